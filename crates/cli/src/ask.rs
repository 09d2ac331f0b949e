//! Questions to somebody at a terminal. They are drawn on the error stream, so that standard output holds answers only.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, bail};
use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, FuzzySelect, Input};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use polywire_credentials::Secret;

use crate::configuration::variable;
use crate::logging::note;
use crate::printable::shortened;

/// How many choices are shown at once.
const CHOICES_SHOWN: usize = 12;

/// What stands before a choice, and a column for the cursor.
const MARGIN: usize = 4;

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
    // A line that does not fit would be drawn over two, and stay when the choices change.
    let width = usize::from(Term::stderr().size().1);
    let choices: Vec<String> = choices
        .iter()
        .map(|choice| shortened(&choice.to_string(), width.saturating_sub(MARGIN)))
        .collect();
    let chosen = FuzzySelect::with_theme(theme.as_ref())
        .with_prompt(question)
        .items(&choices)
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
    // Before the question is there to be answered: whoever pastes at once must not see it either.
    let _hidden = Hidden::new().context("the terminal could not be asked")?;
    loop {
        let answer = typed(question)?;
        match answer.trim() {
            "" => return Ok(None),
            key => match Secret::parse_key(key, "the answer") {
                Ok(key) => return Ok(Some(key)),
                Err(error) => note(error),
            },
        }
    }
}

/// Asks a question and reads a line, all of it but its end.
fn typed(question: &str) -> anyhow::Result<String> {
    let mut out = io::stderr().lock();
    write!(out, "? {question}: ").and_then(|()| out.flush())?;
    drop(out);
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        bail!("there was no answer, and nothing was changed");
    }
    answer.truncate(answer.trim_end_matches(['\n', '\r']).len());
    Ok(answer)
}

/// A terminal that does not show what is typed but for the end of the line. As before when this is dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn new() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        hidden.local_flags.insert(LocalFlags::ECHONL);
        // What was typed already stays to be read.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before) {
            note(format_args!(
                "the terminal still hides what is typed ({error}); `stty echo` shows it again"
            ));
        }
    }
}

/// Asks for a passphrase, without showing it; `again` is the question that it is repeated for.
///
/// # Errors
/// There was no answer.
pub(crate) fn passphrase(question: &str, again: Option<&str>) -> anyhow::Result<Secret> {
    let _hidden = Hidden::new().context("the terminal could not be asked")?;
    loop {
        let answer = typed(question)?;
        let repeated = match again {
            Some(again) => typed(again)?,
            None => answer.clone(),
        };
        if answer == repeated {
            return Ok(Secret::new(answer));
        }
        note("the two are not the same");
    }
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
