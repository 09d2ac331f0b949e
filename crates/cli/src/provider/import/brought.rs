//! What a file brings, read and opened.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use polywire_bundle::{
    Bundle, BundleError, Incoming, IncomingProvider, OpenError, SecretValue, read,
};

use super::ImportArguments;
use super::plan::Names;
use crate::logging::note;
use crate::printable::printable;

/// More bytes than any such file has. A thousand models for each of a hundred providers are four megabytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How often a passphrase is asked for.
const TRIES_MAX: usize = 3;

/// What a file brings.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) providers: Vec<IncomingProvider>,
    pub(super) names: Names,
    /// What is to be said of what is not taken, one sentence each.
    pub(super) notes: Vec<String>,
    /// Secrets have no place but the settings file.
    pub(super) needs_private_file: bool,
}

/// What the file brings, secrets opened.
pub(super) fn brought(arguments: &ImportArguments) -> anyhow::Result<Brought> {
    let path = &arguments.file;
    let text = text_of(path)?;
    let read = read(&text).map_err(|error| anyhow::anyhow!(with_place(path, &error)))?;
    match read {
        Incoming::Launcher(launcher) => Ok(Brought {
            providers: launcher.providers,
            names: Names {
                default_provider: launcher.default_provider,
                ..Names::default()
            },
            notes: launcher.not_taken,
            needs_private_file: false,
        }),
        Incoming::Bundle(bundle) => {
            let secrets = secrets(&bundle, arguments)?;
            Ok(Brought {
                notes: left_out(&bundle, &secrets),
                needs_private_file: secrets.iter().any(|(_, secret)| secret.path != ["key"]),
                providers: bundle
                    .incoming(secrets)
                    .map_err(|error| anyhow::anyhow!(with_place(path, &error)))?,
                names: Names {
                    aliases: bundle.aliases,
                    routes: bundle.routes,
                    default_provider: bundle.default_provider,
                },
            })
        }
    }
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("{} could not be read", path.display()))?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("{} could not be read", path.display()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        bail!("{} is too large to be such a file", path.display());
    }
    Ok(text)
}

/// The error with the file in front, as compilers do.
fn with_place(path: &Path, error: &BundleError) -> String {
    let path = path.display();
    match error {
        BundleError::NotJson {
            line,
            column,
            message,
        } => format!("{path}:{line}:{column}: {message}\nhint: the file must be JSON"),
        BundleError::Values(places) => {
            let places: Vec<String> = places.iter().map(|place| printable(place)).collect();
            format!(
                "{path}: {}\nhint: nothing was imported",
                places.join(&format!("\n{path}: "))
            )
        }
        BundleError::Unknown | BundleError::Version { .. } => format!("{path}: {error}"),
    }
}

fn secrets(
    bundle: &Bundle,
    arguments: &ImportArguments,
) -> anyhow::Result<Vec<(String, SecretValue)>> {
    if !bundle.is_sealed() || arguments.without_secrets {
        return Ok(Vec::new());
    }
    for tries in 1..=TRIES_MAX {
        let Some(passphrase) = arguments.passphrase.known_one()? else {
            bail!(
                "the bundle holds sealed secrets, and there is nobody to ask for the passphrase\nhint: --passphrase-stdin, --passphrase-fd NUMBER, or --without-secrets"
            );
        };
        match bundle.open(&passphrase) {
            Ok(secrets) => return Ok(secrets),
            Err(OpenError::Passphrase) if !arguments.passphrase.is_given() && tries < TRIES_MAX => {
                note("the passphrase is wrong");
            }
            Err(error) => {
                let hint = match error {
                    OpenError::Passphrase => "\nhint: `--without-secrets` imports the rest",
                    OpenError::Changed | OpenError::Unreadable(_) => "",
                };
                bail!("{}: {error}{hint}", arguments.file.display());
            }
        }
    }
    Ok(Vec::new())
}

/// What is said of the secrets that the bundle does not hold, or that stay closed.
fn left_out(bundle: &Bundle, secrets: &[(String, SecretValue)]) -> Vec<String> {
    let is_there = |place: &Vec<String>| {
        secrets.iter().any(|(id, secret)| {
            place.get(1) == Some(id) && place.get(2..) == Some(secret.path.as_slice())
        })
    };
    bundle
        .left_out
        .iter()
        .filter(|place| !is_there(place))
        .map(|place| {
            format!(
                "`{}` is a secret that was left out; set it yourself",
                place.join(".")
            )
        })
        .collect()
}
