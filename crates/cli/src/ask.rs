//! Questions to somebody at a terminal. They are drawn on the error stream, so that standard output holds answers only.

use std::fmt::Display;
use std::io::{self, IsTerminal};

use anyhow::{Context, bail};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, FuzzySelect, Input, Password};
use polywire_credentials::Secret;

use crate::configuration::variable;

/// How many choices are shown at once.
const CHOICES_SHOWN: usize = 12;

/// Whether there is somebody to ask.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn theme() -> Box<dyn Theme> {
    match variable("NO_COLOR").filter(|value| !value.is_empty()) {
        Some(_) => Box::new(SimpleTheme),
        None => Box::new(ColorfulTheme::default()),
    }
}

/// Lets one be chosen by typing parts of it. Gives its number.
///
/// # Errors
/// Nothing was chosen.
pub(crate) fn choice<T: Display>(
    question: &str,
    choices: &[T],
    first: usize,
) -> anyhow::Result<usize> {
    let theme = theme();
    let chosen = FuzzySelect::with_theme(theme.as_ref())
        .with_prompt(question)
        .items(choices)
        .default(first)
        .max_length(CHOICES_SHOWN)
        .interact_opt();
    answered(chosen)?.context("nothing was chosen, and nothing was changed")
}

/// Asks for a line. `usual` is what an empty answer means.
///
/// # Errors
/// There was no answer.
pub(crate) fn line(
    question: &str,
    usual: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> anyhow::Result<String> {
    let theme = theme();
    let mut input = Input::<String>::with_theme(theme.as_ref()).with_prompt(question);
    if let Some(usual) = usual {
        input = input.default(usual.to_owned());
    }
    let input = input.validate_with(|text: &String| check(text));
    Ok(answered(input.interact_text())?.trim().to_owned())
}

/// Asks for yes or no.
///
/// # Errors
/// There was no answer.
pub(crate) fn whether(question: &str, usual: bool) -> anyhow::Result<bool> {
    let theme = theme();
    let confirm = Confirm::with_theme(theme.as_ref())
        .with_prompt(question)
        .default(usual);
    answered(confirm.interact())
}

/// Asks for a key, without showing it; `None` for an empty answer. It is asked again until it can be a key.
///
/// # Errors
/// There was no answer.
pub(crate) fn secret(question: &str) -> anyhow::Result<Option<Secret>> {
    let theme = theme();
    let check = |text: &String| match text.trim() {
        "" => Ok(()),
        key => Secret::parse_key(key, "the answer")
            .map(drop)
            .map_err(|error| error.to_string()),
    };
    let password = Password::with_theme(theme.as_ref())
        .with_prompt(question)
        .allow_empty_password(true)
        .validate_with(check);
    let answer = answered(password.interact())?;
    let key = Some(answer.trim()).filter(|key| !key.is_empty());
    Ok(key.map(Secret::new))
}

/// Asks for a passphrase, without showing it; `again` is the question that it is repeated for.
///
/// # Errors
/// There was no answer.
pub(crate) fn passphrase(question: &str, again: Option<&str>) -> anyhow::Result<Secret> {
    let theme = theme();
    let mut password = Password::with_theme(theme.as_ref()).with_prompt(question);
    if let Some(again) = again {
        password = password.with_confirmation(again, "The two are not the same.");
    }
    Ok(Secret::new(answered(password.interact())?))
}

fn answered<T>(answer: Result<T, dialoguer::Error>) -> anyhow::Result<T> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(dialoguer::Error::IO(error)) if error.kind() == io::ErrorKind::Interrupted => {
            bail!("interrupted; nothing was changed")
        }
        Err(error) => Err(error).context("the terminal could not be asked"),
    }
}
