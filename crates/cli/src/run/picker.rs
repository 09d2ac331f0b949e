//! Questions on a terminal: which client, which provider, which model.

use std::io::IsTerminal;
use std::path::PathBuf;

use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{FuzzySelect, Input};
use polywire_catalog::Provider;
use polywire_settings::Settings;
use tokio::signal::unix::{SignalKind, signal};

use super::clients::{Client, clients};
use super::last::LastChoice;
use super::program;
use crate::configuration::{self, login_problem};
use crate::logging;
use crate::printable::printable;

/// The most lines of a list that are shown at a time. Longer ones scroll.
const LINES_MAX: usize = 12;

/// The last line of a list of models.
const ANOTHER: &str = "another model…";

/// The exit code of whoever cancels a question, as shells have it for Ctrl-C.
pub(crate) const CANCELLED: u8 = 130;

/// How a question ended.
pub(crate) enum Picked<T> {
    /// With an answer.
    One(T),
    /// With Escape or Ctrl-C.
    Cancelled,
}

/// Whether there is somebody to ask: the keyboard and the screen are a terminal. Standard output may go elsewhere.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a client: first those that are installed.
pub(crate) fn client(last: &LastChoice) -> anyhow::Result<Picked<Client>> {
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
    let lines = aligned(&rows.collect::<Vec<_>>());
    let before = position(
        known.iter().map(|(client, _)| &client.id),
        last.client.as_ref(),
    );
    match select("Client", &lines, before)? {
        Picked::One(index) => Ok(known.get(index).map_or(Picked::Cancelled, |(client, _)| {
            Picked::One((*client).clone())
        })),
        Picked::Cancelled => Ok(Picked::Cancelled),
    }
}

/// Asks for a provider: the default one first, the demo last, each with what it has of a key.
pub(crate) fn provider(settings: &Settings, last: &LastChoice) -> anyhow::Result<Picked<String>> {
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
            printable(&provider.name),
            key_state(provider, settings),
        ]
    });
    let lines = aligned(&rows.collect::<Vec<_>>());
    let ids = || known.iter().map(|provider| &provider.id);
    let picked = if lines.len() == 1 {
        Picked::One(0)
    } else {
        select("Provider", &lines, position(ids(), last.provider.as_ref()))?
    };
    Ok(match picked {
        Picked::One(index) => ids()
            .nth(index)
            .map_or(Picked::Cancelled, |id| Picked::One(id.clone())),
        Picked::Cancelled => Picked::Cancelled,
    })
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
) -> anyhow::Result<Picked<String>> {
    let known = known_models(provider, fetched);
    let before = last.models.get(&provider.id);
    let picked = match known.len() {
        0 => return another(before.or(provider.default_model.as_ref())),
        1 => Picked::One(0),
        _ => {
            let mut lines: Vec<String> = known.iter().map(|model| printable(model)).collect();
            lines.push(ANOTHER.to_owned());
            let start = match before {
                // It was named by hand.
                Some(before) if !known.contains(before) => known.len(),
                Some(_) | None => position(known.iter(), before),
            };
            select("Model", &lines, start)?
        }
    };
    match picked {
        Picked::One(index) => match known.get(index) {
            Some(model) => Ok(Picked::One(model.clone())),
            None => another(before.filter(|before| !known.contains(before))),
        },
        Picked::Cancelled => Ok(Picked::Cancelled),
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
fn another(usual: Option<&String>) -> anyhow::Result<Picked<String>> {
    asked(|theme, terminal| {
        let mut input = Input::with_theme(theme).with_prompt("Model");
        if let Some(usual) = usual {
            input = input.default(usual.clone());
        }
        input.interact_text_on(terminal).map(Some)
    })
}

fn select(prompt: &str, lines: &[String], start: usize) -> anyhow::Result<Picked<usize>> {
    asked(|theme, terminal| {
        FuzzySelect::with_theme(theme)
            .with_prompt(prompt)
            .items(lines)
            .default(start)
            .highlight_matches(false)
            .max_length(LINES_MAX)
            .interact_on_opt(terminal)
    })
}

/// Asks one question, and leaves the terminal as it was found.
fn asked<T>(
    question: impl FnOnce(&dyn Theme, &Term) -> dialoguer::Result<Option<T>>,
) -> anyhow::Result<Picked<T>> {
    // Ctrl-C comes as a signal. Without somebody who listens it would end us here, with the cursor hidden.
    let _interrupt = signal(SignalKind::interrupt())?;
    let terminal = Term::stderr();
    let answer = if logging::has_colours(&std::io::stderr()) {
        question(&ColorfulTheme::default(), &terminal)
    } else {
        question(&SimpleTheme, &terminal)
    };
    terminal.show_cursor()?;
    match answer {
        Ok(Some(answer)) => Ok(Picked::One(answer)),
        Ok(None) => Ok(Picked::Cancelled),
        Err(dialoguer::Error::IO(error)) if error.kind() == std::io::ErrorKind::Interrupted => {
            terminal.write_line("")?;
            Ok(Picked::Cancelled)
        }
        Err(error) => Err(error.into()),
    }
}

/// The place of what was chosen last, or the first.
fn position<'a>(mut ids: impl Iterator<Item = &'a String>, wanted: Option<&String>) -> usize {
    wanted
        .and_then(|wanted| ids.position(|id| id == wanted))
        .unwrap_or_default()
}

/// Rows of three columns as lines.
fn aligned(rows: &[[String; 3]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths = [width(0), width(1)];
    rows.iter()
        .map(|[id, name, state]| format!("{id:<0$}  {name:<1$}  {state}", widths[0], widths[1]))
        .collect()
}
