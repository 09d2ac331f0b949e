//! Questions on a terminal: which client, which provider, which model.

use std::path::PathBuf;

use anyhow::Context;
use polywire_catalog::Provider;
use polywire_settings::Settings;

use super::clients::{Client, clients};
use super::last::LastChoice;
use super::program;
use crate::ask;
use crate::columns::{CELL_MAX, columns};
use crate::configuration::{self, login_problem};

/// Nobody can choose what is not shown.
const NO_CHOICE: &str = "nothing was chosen";

/// The last line of a list of models.
const ANOTHER: &str = "another model…";

/// Asks for a client: first those that are installed.
pub(crate) fn client(last: &LastChoice) -> anyhow::Result<Client> {
    let search_path = configuration::variable("PATH");
    let found = |client: &Client| program::find(&client.program, search_path.as_deref());
    let mut known: Vec<(&Client, Option<PathBuf>)> = clients()
        .iter()
        .map(|client| (client, found(client)))
        .collect();
    known.sort_by_key(|(_, program)| program.is_none());
    let rows = known.iter().map(|(client, program)| {
        let state = program.as_ref().map_or("not installed".to_owned(), |path| {
            path.display().to_string()
        });
        [client.id.clone(), client.name.clone(), state]
    });
    let lines = columns(&rows.collect::<Vec<_>>(), CELL_MAX);
    let ids = known.iter().map(|(client, _)| &client.id);
    let index = ask::choice("Client", &lines, position(ids, last.client.as_ref()))?;
    let (client, _) = known.get(index).context(NO_CHOICE)?;
    Ok((*client).clone())
}

/// Asks for a provider: the default one first, the demo last, each with what it has of a key.
pub(crate) fn provider(settings: &Settings, last: &LastChoice) -> anyhow::Result<String> {
    let default = settings.catalog.default_provider.as_deref();
    let mut known: Vec<&Provider> = settings
        .catalog
        .providers
        .iter()
        .map(AsRef::as_ref)
        .collect();
    let rank = |provider: &Provider| match provider.id.as_str() {
        id if Some(id) == default => 0,
        "demo" => 2,
        _ => 1,
    };
    known.sort_by_key(|provider| rank(provider));
    let rows = known.iter().map(|provider| {
        [
            provider.id.clone(),
            provider.name.clone(),
            key_state(provider, settings),
        ]
    });
    let lines = columns(&rows.collect::<Vec<_>>(), CELL_MAX);
    let mut ids = known.iter().map(|provider| &provider.id);
    let index = match lines.len() {
        1 => 0,
        _ => ask::choice(
            "Provider",
            &lines,
            position(ids.clone(), last.provider.as_ref()),
        )?,
    };
    ids.nth(index).cloned().context(NO_CHOICE)
}

/// What is there of a key, in a few words.
fn key_state(provider: &Provider, settings: &Settings) -> String {
    let id = &provider.id;
    if settings.logins.contains_key(id) {
        return match login_problem(settings, id) {
            Some(_) => "not logged in".to_owned(),
            None => "logged in".to_owned(),
        };
    }
    match (settings.keys.get(id), settings.key_is_present(id)) {
        (None | Some(polywire_settings::KeySource::None), _) => "needs no key".to_owned(),
        (Some(_), true) => "key is there".to_owned(),
        (Some(_), false) => match &provider.key_variable {
            Some(name) => format!("no key: set {name}"),
            None => "no key".to_owned(),
        },
    }
}

/// Asks for a model of a provider: its default first, then what the settings or the preset list, then what the provider itself did when it
/// was asked last. Any other can be named.
pub(crate) fn model(
    provider: &Provider,
    fetched: &[String],
    last: &LastChoice,
) -> anyhow::Result<String> {
    let known = known_models(provider, fetched);
    let before = last.models.get(&provider.id);
    let index = match known.len() {
        0 => return another(before.or(provider.default_model.as_ref())),
        1 => 0,
        _ => {
            let start = match before {
                // It was named by hand.
                Some(before) if !known.contains(before) => known.len(),
                Some(_) | None => position(known.iter(), before),
            };
            let another = ANOTHER.to_owned();
            let lines: Vec<&String> = known.iter().chain([&another]).collect();
            ask::choice("Model", &lines, start)?
        }
    };
    match known.get(index) {
        Some(model) => Ok(model.clone()),
        None => another(before.filter(|before| !known.contains(before))),
    }
}

/// The models that are known to be there, the default one first.
fn known_models(provider: &Provider, fetched: &[String]) -> Vec<String> {
    let default = provider.default_model.iter().cloned();
    let listed = provider.models.iter().map(|model| model.id.clone());
    let mut known: Vec<String> = Vec::new();
    for model in default.chain(listed).chain(fetched.iter().cloned()) {
        if !known.contains(&model) {
            known.push(model);
        }
    }
    known
}

/// Asks for the name of a model that no list has.
fn another(usual: Option<&String>) -> anyhow::Result<String> {
    let is_named = |name: &str| match name.trim() {
        "" => Err("a model has a name".to_owned()),
        _ => Ok(()),
    };
    ask::line("Model", usual.map(String::as_str), is_named)
}

/// The place of what was chosen last, or the first.
fn position<'a>(mut ids: impl Iterator<Item = &'a String>, wanted: Option<&String>) -> usize {
    wanted
        .and_then(|wanted| ids.position(|id| id == wanted))
        .unwrap_or_default()
}
