//! What can stand behind an option, for shells that ask: read from the settings, silently.

use clap_complete::engine::CompletionCandidate;
use polywire_settings::{Overrides, Settings};

use super::clients;
use crate::configuration;

/// The clients that have a name.
pub(crate) fn clients() -> Vec<CompletionCandidate> {
    let known = clients::clients().iter();
    known
        .map(|client| CompletionCandidate::new(&client.id).help(Some((&client.name).into())))
        .collect()
}

/// The providers that can be used.
pub(crate) fn providers() -> Vec<CompletionCandidate> {
    let settings = settings();
    let known = settings
        .iter()
        .flat_map(|settings| &settings.catalog.providers);
    known
        .map(|provider| CompletionCandidate::new(&provider.id).help(Some((&provider.name).into())))
        .collect()
}

/// The models that are listed, aliases and routes.
pub(crate) fn models() -> Vec<CompletionCandidate> {
    let settings = settings();
    let listed = settings
        .iter()
        .flat_map(|settings| settings.catalog.listed_models());
    listed
        .map(|model| CompletionCandidate::new(model.slug))
        .collect()
}

/// The settings; nothing when they have a mistake, which is not for a shell to tell.
fn settings() -> Option<Settings> {
    configuration::load(&Overrides::default()).ok()
}
