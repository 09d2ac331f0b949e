//! Questions to somebody at a terminal. They are drawn on the error stream, so that standard output holds answers only.

use std::fmt::{self, Display};
use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, FuzzySelect, Input};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use polywire_credentials::Secret;
use tokio::signal::unix::{SignalKind, signal};

use crate::logging::{has_colours, note};
use crate::printable::{printable, shortened};

/// The exit code of whoever turns back from a question, as shells have it for Ctrl-C.
pub(crate) const CANCELLED: u8 = 130;

/// How many choices are shown at once. More of them scroll.
const CHOICES_SHOWN: usize = 12;

/// What stands before a choice, and a column for the cursor.
const MARGIN: usize = 4;

/// Somebody has turned back from a question, with Escape or Ctrl-C. The program ends with [`CANCELLED`].
#[derive(Debug)]
pub(crate) struct Cancelled;

impl Display for Cancelled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cancelled; nothing was changed")
    }
}

impl std::error::Error for Cancelled {}

/// Whether there is somebody to ask: the keyboard and the screen are a terminal. Standard output may go elsewhere.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Lets one be chosen by typing parts of it. Gives its number.
///
/// # Errors
/// [`Cancelled`], or the terminal fails.
pub(crate) fn choice<T: Display>(
    question: &str,
    choices: &[T],
    first: usize,
) -> anyhow::Result<usize> {
    // A line that does not fit would be drawn over two, and stay when the choices change.
    let width = usize::from(Term::stderr().size().1);
    let choices: Vec<String> = choices
        .iter()
        .map(|choice| {
            let choice = printable(&choice.to_string());
            shortened(&choice, width.saturating_sub(MARGIN))
        })
        .collect();
    asked(|theme, terminal| {
        FuzzySelect::with_theme(theme)
            .with_prompt(question)
            .items(&choices)
            .default(first)
            .highlight_matches(false)
            .max_length(CHOICES_SHOWN)
            .interact_on_opt(terminal)
    })
}

/// Asks for a line. `usual` is what an empty answer means.
///
/// # Errors
/// As [`choice`].
pub(crate) fn line(
    question: &str,
    usual: Option<&str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> anyhow::Result<String> {
    let answer = asked(|theme, terminal| {
        let mut input = Input::<String>::with_theme(theme).with_prompt(question);
        if let Some(usual) = usual {
            input = input.default(usual.to_owned());
        }
        let input = input.validate_with(|text: &String| check(text));
        input.interact_text_on(terminal).map(Some)
    })?;
    Ok(answer.trim().to_owned())
}

/// Asks for yes or no.
///
/// # Errors
/// As [`choice`].
pub(crate) fn whether(question: &str, usual: bool) -> anyhow::Result<bool> {
    asked(|theme, terminal| {
        Confirm::with_theme(theme)
            .with_prompt(question)
            .default(usual)
            .interact_on_opt(terminal)
    })
}

/// Asks one question, and leaves the terminal as it was found.
fn asked<T>(
    question: impl FnOnce(&dyn Theme, &Term) -> dialoguer::Result<Option<T>>,
) -> anyhow::Result<T> {
    let _mode = Mode::with_keys_only().context("the terminal could not be asked")?;
    // The library sends us the signal for the key. Without somebody who listens it would end us here, with the cursor hidden.
    let _interrupt = signal(SignalKind::interrupt())?;
    let terminal = Term::stderr();
    let answer = if has_colours(&io::stderr()) {
        question(&ColorfulTheme::default(), &terminal)
    } else {
        question(&SimpleTheme, &terminal)
    };
    terminal.show_cursor()?;
    match answer {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Cancelled.into()),
        Err(dialoguer::Error::IO(error)) if error.kind() == io::ErrorKind::Interrupted => {
            terminal.write_line("")?;
            Err(Cancelled.into())
        }
        Err(error) => Err(error).context("the terminal could not be asked"),
    }
}

/// Asks for a key, without showing it; `None` for an empty answer. It is asked again until it can be a key.
///
/// # Errors
/// As [`choice`].
pub(crate) fn secret(question: &str) -> anyhow::Result<Option<Secret>> {
    // Before the question is there to be answered: whoever pastes at once must not see it either.
    let hidden = Mode::hidden().context("the terminal could not be asked")?;
    loop {
        let answer = hidden.typed(question)?;
        match answer.trim() {
            "" => return Ok(None),
            key => match Secret::parse_key(key, "the answer") {
                Ok(key) => return Ok(Some(key)),
                Err(error) => note(error),
            },
        }
    }
}

/// Asks for a passphrase, without showing it; `again` is the question that it is repeated for.
///
/// # Errors
/// As [`choice`].
pub(crate) fn passphrase(question: &str, again: Option<&str>) -> anyhow::Result<Secret> {
    let hidden = Mode::hidden().context("the terminal could not be asked")?;
    loop {
        let answer = hidden.typed(question)?;
        let repeated = match again {
            Some(again) => hidden.typed(again)?,
            None => answer.clone(),
        };
        if answer == repeated {
            return Ok(Secret::new(answer));
        }
        note("the two are not the same");
    }
}

/// A terminal in another mode. As before when this is dropped.
struct Mode {
    before: Termios,
}

impl Mode {
    /// Ctrl-C is a key and no signal: that would be lost between two keys, because only one that interrupts the reading is seen.
    fn with_keys_only() -> nix::Result<Self> {
        Self::changed(|terminal| terminal.local_flags.remove(LocalFlags::ISIG))
    }

    /// What is typed is not shown, but for the end of the line. Ctrl-C is a key that ends the line: a signal would end us before the terminal is as
    /// it was.
    fn hidden() -> nix::Result<Self> {
        Self::changed(|terminal| {
            terminal
                .local_flags
                .remove(LocalFlags::ECHO | LocalFlags::ISIG);
            terminal.local_flags.insert(LocalFlags::ECHONL);
            terminal.control_chars[SpecialCharacterIndices::VEOL as usize] =
                interrupt_key(terminal);
        })
    }

    fn changed(change: impl FnOnce(&mut Termios)) -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut changed = before.clone();
        change(&mut changed);
        // What was typed already stays to be read.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &changed)?;
        Ok(Self { before })
    }

    /// Asks a question and reads a line, all of it but its end.
    fn typed(&self, question: &str) -> anyhow::Result<String> {
        let mut out = io::stderr().lock();
        write!(out, "? {question}: ").and_then(|()| out.flush())?;
        drop(out);
        let interrupt = interrupt_key(&self.before);
        let mut answer = Vec::new();
        let mut keys = io::stdin().lock();
        loop {
            let typed = keys.fill_buf()?;
            let end = typed
                .iter()
                .position(|key| [b'\n', interrupt].contains(key));
            let used = end.map_or(typed.len(), |end| end + 1);
            answer.extend_from_slice(&typed[..used]);
            keys.consume(used);
            match answer.last() {
                None => bail!("there was no answer, and nothing was changed"),
                Some(b'\n') => break,
                Some(key) if *key == interrupt => {
                    note("");
                    return Err(Cancelled.into());
                }
                Some(_) if used == 0 => bail!("there was no answer, and nothing was changed"),
                Some(_) => {}
            }
        }
        let answer = String::from_utf8(answer).context("what was typed is not UTF-8")?;
        Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
    }
}

/// The key that interrupts a program.
fn interrupt_key(terminal: &Termios) -> u8 {
    terminal.control_chars[SpecialCharacterIndices::VINTR as usize]
}

impl Drop for Mode {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before) {
            note(format_args!(
                "the terminal is not as it was ({error}); `stty sane` mends it"
            ));
        }
    }
}
