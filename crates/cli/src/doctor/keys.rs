//! Whether the key or login of each provider is at hand.

use super::check::Subject;
use super::finding::Finding;
use super::settings::split_hint;
use crate::configuration::login_problem;

pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    let Ok(settings) = &subject.settings else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for provider in &settings.catalog.providers {
        let id = provider.id.as_str();
        let is_default = settings.catalog.default_provider.as_deref() == Some(id);
        // What a turn needs that nobody names a provider for is a problem; the others may be there for another day.
        let missing = |what: String| {
            if is_default {
                Finding::problem("no_key", what)
            } else {
                Finding::warning("no_key", what)
            }
        };
        if let Some(problem) = login_problem(settings, id) {
            let problem = problem.to_string();
            let (what, hint) = split_hint(&problem);
            let hint = hint.unwrap_or("`polywire login` makes a new one");
            found.push(missing(what).at(id).hint(hint));
        }
        match settings.key(id).await {
            Ok(Some(_)) => found.push(Finding::ok("key", "its key is at hand").at(id)),
            Ok(None) => {}
            Err(error) => {
                let error = error.to_string();
                let (what, _) = split_hint(&error);
                found.push(missing(what).at(id).hint(settings.key_hint(id)));
            }
        }
    }
    found
}
