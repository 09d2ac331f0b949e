//! Whether polywire's own settings can be read.

use super::check::Subject;
use super::finding::Finding;

pub(crate) fn check(subject: &Subject) -> Vec<Finding> {
    let settings = match &subject.settings {
        Ok(settings) => settings,
        Err(error) => {
            let (what, hint) = split_hint(error);
            let hint = hint.unwrap_or("correct the file, or move it away to begin anew");
            return vec![Finding::problem("settings", what).hint(hint)];
        }
    };
    let file = &settings.paths.config_file;
    let mut found: Vec<Finding> = settings
        .warnings
        .iter()
        .map(|warning| {
            let (what, hint) = split_hint(warning);
            let hint = hint.unwrap_or("change it in the settings, or leave it if it is meant");
            Finding::warning("settings_warning", what)
                .at(file.display())
                .hint(hint)
        })
        .collect();
    found.push(if file.exists() {
        Finding::ok("settings", "the settings are read").at(file.display())
    } else {
        Finding::ok("settings", "there is no settings file; the defaults hold").at(file.display())
    });
    let configured = settings.catalog.providers.iter();
    let has_provider = configured.into_iter().any(|provider| provider.id != "demo");
    if !has_provider {
        found.push(
            Finding::notice(
                "no_provider",
                "no provider is configured, only the built-in demo",
            )
            .hint("`polywire provider add` adds one"),
        );
    }
    found
}

/// Our messages carry what to do on a line of its own.
pub(crate) fn split_hint(message: &str) -> (String, Option<&str>) {
    match message.split_once("\nhint: ") {
        Some((what, hint)) => (what.to_owned(), Some(hint)),
        None => (message.to_owned(), None),
    }
}
