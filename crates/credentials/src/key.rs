//! Where a provider's key comes from.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::{KeyringEntry, KeyringError, Secret};

/// How long a key command may take. A password manager that asks a person for a fingerprint needs several seconds; one that
/// waits for a terminal which is not there needs for ever.
pub const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);

/// The longest key in bytes. Real ones have fewer than 2,000; more means that the wrong file was named.
const KEY_BYTES_MAX: usize = 16 * 1024;

/// Where a provider's key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// It stands in the settings.
    Literal(Secret),
    /// An environment variable holds it.
    Env(String),
    /// A file holds it and nothing else.
    File(PathBuf),
    /// A program prints it: the program and its arguments, without a shell.
    Command(Vec<String>),
    /// The system's keyring holds it.
    Keyring(KeyringEntry),
    /// The provider needs none.
    None,
}

/// A key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The variable is not set, or empty.
    #[error("the environment variable `{name}` is not set")]
    VariableMissing {
        /// The variable.
        name: String,
    },
    /// The file could not be read.
    #[error("the key could not be read from `{}`", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program could not be started.
    #[error("the key command `{program}` could not be started")]
    StartCommand {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The command has no program in it.
    #[error("the key command is empty; it must be a list: the program and its arguments")]
    EmptyCommand,
    /// The program failed.
    #[error("the key command `{program}` failed: {status}")]
    CommandFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The program took too long and was stopped.
    #[error("the key command `{program}` gave no key within {} s", limit.as_secs())]
    CommandTimedOut {
        /// The program.
        program: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The keyring could not be asked.
    #[error("the key `{entry}` could not be had from the keyring")]
    Keyring {
        /// The name of the key there.
        entry: KeyringEntry,
        /// Why.
        source: KeyringError,
    },
    /// The keyring holds no such key.
    #[error("the keyring holds no key `{entry}`")]
    NotInKeyring {
        /// The name of the key.
        entry: KeyringEntry,
    },
    /// What was found cannot be a key.
    #[error("what {place} holds cannot be a key: {why}")]
    Unusable {
        /// Where it was found.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// An error with what led to it, on one line. Where there is room for one line only, the reason must not be lost: a keyring can fail in
/// many ways.
pub fn on_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let levels: Vec<String> = chain.map(ToString::to_string).collect();
    levels.join(": ")
}

impl KeySource {
    /// Whether both are the same file or the same name in the keyring, however the path is written. Keys that are in neither are in
    /// no place that could be shared by accident.
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (KeySource::File(one), KeySource::File(other)) => {
                one == other
                    || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
            }
            (KeySource::Keyring(one), KeySource::Keyring(other)) => one == other,
            (
                KeySource::Literal(_)
                | KeySource::Env(_)
                | KeySource::File(_)
                | KeySource::Command(_)
                | KeySource::Keyring(_)
                | KeySource::None,
                _,
            ) => false,
        }
    }

    /// Gets the key. `variable` looks up an environment variable. `None` when the provider needs no key.
    ///
    /// Files, commands and the keyring are asked every time; the caller keeps the answer as long as it likes. Dropping the future stops the
    /// command.
    ///
    /// # Errors
    /// See [`KeyError`]; its message names the place.
    pub async fn resolve(
        &self,
        variable: impl Fn(&str) -> Option<Secret>,
    ) -> Result<Option<Secret>, KeyError> {
        let (found, place) = match self {
            KeySource::None => return Ok(None),
            KeySource::Literal(secret) => {
                (secret.reveal().to_owned(), "the settings file".to_owned())
            }
            KeySource::Env(name) => {
                let value = variable(name).filter(|value| !value.reveal().trim().is_empty());
                let value =
                    value.ok_or_else(|| KeyError::VariableMissing { name: name.clone() })?;
                (value.reveal().to_owned(), format!("`{name}`"))
            }
            KeySource::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| KeyError::ReadFile {
                    path: path.clone(),
                    source,
                })?;
                (text, format!("`{}`", path.display()))
            }
            KeySource::Command(command) => {
                let (program, arguments) = command.split_first().ok_or(KeyError::EmptyCommand)?;
                let text = run(program, arguments, COMMAND_TIME_MAX).await?;
                (text, format!("the output of `{program}`"))
            }
            KeySource::Keyring(entry) => {
                let found = entry.read().await;
                let found = found.map_err(|source| KeyError::Keyring {
                    entry: entry.clone(),
                    source,
                })?;
                let key = found.ok_or_else(|| KeyError::NotInKeyring {
                    entry: entry.clone(),
                })?;
                (key.reveal().to_owned(), "the keyring".to_owned())
            }
        };
        usable(&found, place).map(Some)
    }
}

impl Secret {
    /// Takes a key in that somebody typed or piped.
    ///
    /// # Errors
    /// [`KeyError::Unusable`]: it is not one line of visible ASCII. `place` says where it came from.
    pub fn parse_key(text: &str, place: &str) -> Result<Self, KeyError> {
        usable(text, place.to_owned())
    }
}

/// A key goes into a header, so it is one line of visible ASCII.
fn usable(found: &str, place: String) -> Result<Secret, KeyError> {
    let key = found.trim();
    let why = if key.is_empty() {
        "it is empty"
    } else if key.len() > KEY_BYTES_MAX {
        "it is too long"
    } else if key.contains(['\n', '\r']) {
        "it has more than one line"
    } else if !key
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        "it has characters that no header can hold"
    } else {
        return Ok(Secret::new(key));
    };
    Err(KeyError::Unusable { place, why })
}

async fn run(program: &str, arguments: &[String], limit: Duration) -> Result<String, KeyError> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(limit, output)
        .await
        .map_err(|_| KeyError::CommandTimedOut {
            program: program.to_owned(),
            limit,
        })?
        .map_err(|source| KeyError::StartCommand {
            program: program.to_owned(),
            source,
        })?;
    if !output.status.success() {
        return Err(KeyError::CommandFailed {
            program: program.to_owned(),
            status: output.status,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> KeySource {
        KeySource::Command(words.iter().copied().map(str::to_owned).collect())
    }

    /// Expects the key, `none`, or the error's message.
    async fn check(source: KeySource, expected: &str) {
        let variable = |name: &str| match name {
            "SET" => Some(Secret::new("sk-env")),
            "BLANK" => Some(Secret::new("  ")),
            _ => None,
        };
        let outcome = match source.resolve(variable).await {
            Ok(Some(key)) => key.reveal().to_owned(),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(outcome, expected, "{source:?}");
    }

    #[tokio::test]
    async fn every_source_gives_a_key_or_says_why_not() {
        check(KeySource::None, "none").await;
        check(KeySource::Literal(Secret::new("sk-1")), "sk-1").await;
        check(
            KeySource::Literal(Secret::new("sk\u{e4}")),
            "what the settings file holds cannot be a key: it has characters that no header can hold",
        )
        .await;
        check(KeySource::Env("SET".to_owned()), "sk-env").await;
        let not_set = |name: &str| format!("the environment variable `{name}` is not set");
        for name in ["UNSET", "BLANK"] {
            check(KeySource::Env(name.to_owned()), &not_set(name)).await;
        }
    }

    #[tokio::test]
    async fn files_hold_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let place = path.display().to_string();
        let file = || KeySource::File(path.clone());
        check(file(), &format!("the key could not be read from `{place}`")).await;
        for (text, expected) in [
            ("sk-file\n", "sk-file".to_owned()),
            (
                "\n",
                format!("what `{place}` holds cannot be a key: it is empty"),
            ),
            (
                "one\ntwo\n",
                format!("what `{place}` holds cannot be a key: it has more than one line"),
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            check(file(), &expected).await;
        }
        std::fs::write(&path, "x".repeat(KEY_BYTES_MAX + 1)).unwrap();
        let too_long = format!("what `{place}` holds cannot be a key: it is too long");
        check(file(), &too_long).await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn commands_print_a_key() {
        check(command(&["printf", "sk-%s\\n", "cmd"]), "sk-cmd").await;
        check(
            command(&["false"]),
            "the key command `false` failed: exit status: 1",
        )
        .await;
        check(
            command(&["true"]),
            "what the output of `true` holds cannot be a key: it is empty",
        )
        .await;
        check(
            command(&["no-such-program-anywhere"]),
            "the key command `no-such-program-anywhere` could not be started",
        )
        .await;
        check(
            command(&[]),
            "the key command is empty; it must be a list: the program and its arguments",
        )
        .await;
    }

    /// The command would run for an hour; the test ends because the limit does.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_that_hangs_is_stopped() {
        let error = run("sleep", &["3600".to_owned()], Duration::from_millis(20))
            .await
            .unwrap_err();
        assert!(matches!(error, KeyError::CommandTimedOut { .. }), "{error}");
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        let source = KeySource::Literal(Secret::new("sk-1"));
        assert_eq!(format!("{source:?}"), "Literal(***)");
    }
}
