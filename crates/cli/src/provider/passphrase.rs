//! The passphrase of a bundle: asked for at a terminal, or read from where a script puts it. Never an argument.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, bail};
use clap::Args;
use polywire_credentials::Secret;

use crate::ask;

/// More bytes than any passphrase has.
const BYTES_MAX: u64 = 64 * 1024;

/// Shorter ones are found by trying, whatever work each try is made to cost.
const CHARS_MIN: usize = 8;

#[derive(Args)]
pub(crate) struct PassphraseArguments {
    /// Read the passphrase from the first line of standard input
    #[arg(long, group = "passphrase")]
    passphrase_stdin: bool,
    /// Read the passphrase from the first line of this file descriptor
    #[arg(long, group = "passphrase", value_name = "NUMBER")]
    passphrase_fd: Option<u32>,
}

impl PassphraseArguments {
    /// A new passphrase, which is asked for twice.
    ///
    /// # Errors
    /// There is none, or it is too short, or nobody can be asked.
    pub(crate) fn new_one(&self) -> anyhow::Result<Secret> {
        let passphrase = match self.read()? {
            Some(passphrase) => passphrase,
            None if ask::is_possible() => {
                ask::passphrase("Passphrase for the secrets", Some("Once more"))?
            }
            None => bail!(
                "--with-secrets needs a passphrase, and there is nobody to ask\nhint: --passphrase-stdin or --passphrase-fd NUMBER"
            ),
        };
        if passphrase.reveal().chars().count() < CHARS_MIN {
            bail!(
                "the passphrase is too short\nhint: take {CHARS_MIN} characters at least; several words are better"
            );
        }
        Ok(passphrase)
    }

    /// The passphrase of a bundle, if it is given or can be asked for.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn known_one(&self) -> anyhow::Result<Option<Secret>> {
        match self.read()? {
            Some(passphrase) => Ok(Some(passphrase)),
            None if ask::is_possible() => {
                ask::passphrase("Passphrase of the bundle", None).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Whether it comes from where it cannot be asked for again.
    pub(crate) fn is_given(&self) -> bool {
        self.passphrase_stdin || self.passphrase_fd.is_some()
    }

    fn read(&self) -> anyhow::Result<Option<Secret>> {
        if self.passphrase_stdin {
            return first_line(std::io::stdin().lock(), "standard input").map(Some);
        }
        let Some(number) = self.passphrase_fd else {
            return Ok(None);
        };
        let place = format!("file descriptor {number}");
        let file = File::open(format!("/dev/fd/{number}"))
            .with_context(|| format!("the passphrase could not be read from {place}"))?;
        first_line(file, &place).map(Some)
    }
}

fn first_line(from: impl Read, place: &str) -> anyhow::Result<Secret> {
    let mut text = String::new();
    from.take(BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("the passphrase could not be read from {place}"))?;
    // All but the end of the line counts: blanks may be part of it.
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    if line.is_empty() {
        bail!("there is no passphrase on {place}");
    }
    Ok(Secret::new(line))
}
