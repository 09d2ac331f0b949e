//! `polywire provider remove`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polywire_credentials::KeySource;
use polywire_settings::{Edit, Overrides, ProcessEnvironment, Settings, ValueOrigin};

use crate::ask;
use crate::logging::{note, say};
use crate::provider::add::is_in_file;
use crate::provider::change::tell_new_warnings;
use crate::provider::key_store::KeyStore;
use crate::provider::models::cache;

#[derive(Args)]
pub(crate) struct RemoveArguments {
    /// The provider
    name: String,
    /// Leave its key where polywire keeps it [default: on a terminal it is asked, elsewhere the key goes]
    #[arg(long)]
    keep_key: bool,
}

pub(crate) async fn remove(
    arguments: &RemoveArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let environment = ProcessEnvironment;
    let name = arguments.name.as_str();
    let forget = wants_to_forget(arguments, overrides)?;
    let mut edit = Edit::begin(overrides, &environment)?;
    let before = edit.settings()?;
    let none = KeySource::None;
    let source = before.keys.get(name).unwrap_or(&none);
    let store = KeyStore::new(&before, name);
    if !is_in_file(&edit, name) {
        bail!(not_there(&before, name));
    }
    edit.remove(&["providers", name])?;
    let default = edit.text().get(&["default_provider"]);
    let was_default = default.and_then(|value| value.as_str()) == Some(name);
    if was_default {
        edit.remove(&["default_provider"])?;
    }
    let after = edit.settings()?;
    let file = edit.paths().config_file.display().to_string();
    edit.save()?;
    say(format_args!("provider `{name}` is gone from {file}"));
    if was_default {
        match &after.catalog.default_provider {
            Some(other) => note(format_args!(
                "it was the default one; now that is `{other}`"
            )),
            None => note("it was the default one; now there is none"),
        }
    }
    tell_new_warnings(&before, &after);
    tell_leftovers(&after, name);
    if let Err(error) = cache::forget(&after.paths, name) {
        note(format_args!("warning: its list of models stays: {error}"));
    }
    if forget {
        store.forget(source, &edit.on_disk()?).await?;
    } else if store.keeps(source) {
        note("its key stays where it is");
    }
    if let Some(ValueOrigin::Environment(variable)) =
        after.origins.get(&format!("providers.{name}"))
    {
        note(format_args!(
            "it can still be used by its preset, because {variable} is set"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the key goes, too. Asked while nobody waits for the settings.
fn wants_to_forget(arguments: &RemoveArguments, overrides: &Overrides) -> anyhow::Result<bool> {
    if arguments.keep_key || !ask::is_possible() {
        return Ok(!arguments.keep_key);
    }
    let name = arguments.name.as_str();
    let settings = Edit::begin(overrides, &ProcessEnvironment)?.settings()?;
    let source = settings.keys.get(name).unwrap_or(&KeySource::None);
    if !KeyStore::new(&settings, name).keeps(source) {
        return Ok(true);
    }
    ask::whether(
        &format!("Remove the key of `{name}` that polywire keeps, too?"),
        true,
    )
}

/// Aliases and routes that still lead to the provider. They are their user's, so they stay; what they lead to is somebody else now, or
/// nobody.
fn tell_leftovers(settings: &Settings, name: &str) {
    let prefix = format!("{name}/");
    let catalog = &settings.catalog;
    let aliases = catalog.aliases.iter();
    let aliases = aliases.filter(|(_, target)| target.starts_with(&prefix));
    for (alias, target) in aliases {
        note(format_args!(
            "warning: `aliases.{alias}` still names it: `{target}`"
        ));
    }
    for (route, targets) in &catalog.routes {
        if let Some(target) = targets.iter().find(|target| target.starts_with(&prefix)) {
            note(format_args!(
                "warning: `routes.{route}` still names it: `{target}`"
            ));
        }
    }
}

fn not_there(settings: &Settings, name: &str) -> String {
    let file = settings.paths.config_file.display();
    match settings.origins.get(&format!("providers.{name}")) {
        Some(ValueOrigin::Environment(variable)) => format!(
            "provider `{name}` is not in {file}: it is there because {variable} is set\nhint: unset the variable"
        ),
        Some(_) => format!("provider `{name}` is built in"),
        None => format!(
            "there is no provider `{name}` in {file}\nhint: `polywire provider list` shows those there are"
        ),
    }
}
