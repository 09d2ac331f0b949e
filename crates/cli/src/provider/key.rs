//! Where a key comes from when a provider is added or changed: a prompt, standard input, or a reference. Never an argument.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use polywire_credentials::{Secret, is_variable_name};
use polywire_settings::toml_text;

use crate::ask;
use crate::misuse::Misuse;

/// More bytes than any key has.
const KEY_BYTES_MAX: u64 = 64 * 1024;

#[derive(Args, Default)]
pub(crate) struct KeyArguments {
    /// Read the key from standard input, or ask for it without showing it on a terminal
    #[arg(long, group = "key_source")]
    key_stdin: bool,
    /// The environment variable that holds the key
    #[arg(long, group = "key_source", value_name = "NAME")]
    key_env: Option<String>,
    /// The file that holds the key and nothing else; `~/` is the home folder
    #[arg(long, group = "key_source", value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// The program that prints the key, with its arguments: `"pass show zai"`. No shell is involved
    #[arg(long, group = "key_source", value_name = "COMMAND")]
    key_command: Option<String>,
    /// Where a key that is read or asked for is kept [default: the system's keyring, else a file of mode 0600]
    #[arg(long, value_name = "PLACE")]
    key_in: Option<KeyPlace>,
    /// Not there on purpose: arguments can be read by every user of the machine.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", value_name = "NEVER", aliases = ["api-key", "apikey", "token"])]
    key: Option<Secretly>,
}

/// A value that is not kept, because it should never have been there.
#[derive(Clone)]
struct Secretly;

impl std::str::FromStr for Secretly {
    type Err = std::convert::Infallible;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Self)
    }
}

/// Where polywire keeps a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyPlace {
    /// The system's keyring
    Keyring,
    /// A file of mode 0600 beside the settings file
    File,
}

/// A key as somebody gave it.
pub(crate) enum GivenKey {
    /// Itself; it is still to be kept.
    Itself {
        /// The key.
        key: Secret,
        /// Where its user wants it; `None` leaves that to us.
        place: Option<KeyPlace>,
    },
    /// A reference, as TOML.
    Reference(String),
}

impl KeyArguments {
    /// Whether anything is said about a key.
    pub(crate) fn say_something(&self) -> bool {
        self.key_stdin
            || self.key_env.is_some()
            || self.key_file.is_some()
            || self.key_command.is_some()
            || self.key.is_some()
            || self.key_in.is_some()
    }

    /// The key that they speak of; `None` when they speak of none. `provider` is for the prompt;
    /// `may_ask` tells whether somebody is asked for one later.
    ///
    /// # Errors
    /// The key stands among the arguments, or it cannot be read, or is none.
    pub(crate) fn given(&self, provider: &str, may_ask: bool) -> anyhow::Result<Option<GivenKey>> {
        if self.key.is_some() {
            bail!(
                "a key is not taken as an argument, because every user of this machine can read those, and the shell keeps them in its history\nhint: change the key if it is a real one, then use --key-stdin, --key-env, --key-file or --key-command"
            );
        }
        if let Some(name) = &self.key_env {
            check_variable(name)?;
            return Ok(Some(GivenKey::Reference(format!(
                "{{ env = {} }}",
                toml_text(name)
            ))));
        }
        if let Some(path) = &self.key_file {
            // In the settings a relative path would start at their own folder.
            let path = if path.starts_with("~") {
                path.clone()
            } else {
                std::path::absolute(path)?
            };
            let path = path
                .to_str()
                .context("the path of the key is not Unicode")?;
            return Ok(Some(GivenKey::Reference(format!(
                "{{ file = {} }}",
                toml_text(path)
            ))));
        }
        if let Some(command) = &self.key_command {
            return reference_to_command(command).map(Some);
        }
        if self.key_stdin {
            let key = read_or_ask(provider)?;
            let place = self.key_in;
            return Ok(Some(GivenKey::Itself { key, place }));
        }
        if self.key_in.is_some() && !(may_ask && ask::is_possible()) {
            let none =
                "--key-in says where a key is kept, and there is none\nhint: add --key-stdin";
            return Err(Misuse(none).into());
        }
        Ok(None)
    }

    /// Where a key is to be kept that is asked for.
    pub(crate) fn place(&self) -> Option<KeyPlace> {
        self.key_in
    }
}

/// A key that somebody took for the name of a variable must not be written into the settings.
///
/// # Errors
/// It is no name of a variable. It is not repeated.
pub(crate) fn check_variable(name: &str) -> anyhow::Result<()> {
    if !is_variable_name(name) {
        bail!(
            "the name of an environment variable has letters, digits and `_` only, and what was given has more\nhint: if that was a key, change it, and use --key-stdin"
        );
    }
    Ok(())
}

fn reference_to_command(command: &str) -> anyhow::Result<GivenKey> {
    let words =
        shell_words::split(command).context("--key-command has a quote that is not closed")?;
    if words.is_empty() {
        bail!("--key-command names no program");
    }
    let words: Vec<String> = words.iter().map(|word| toml_text(word)).collect();
    Ok(GivenKey::Reference(format!(
        "{{ command = [{}] }}",
        words.join(", ")
    )))
}

fn read_or_ask(provider: &str) -> anyhow::Result<Secret> {
    if std::io::stdin().is_terminal() {
        let key = ask::secret(&format!("Key of {provider}"))?;
        return key.context("no key was given\nhint: nothing was changed");
    }
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(KEY_BYTES_MAX)
        .read_to_string(&mut text)
        .context("the key could not be read from standard input")?;
    Ok(Secret::parse_key(&text, "standard input")?)
}
