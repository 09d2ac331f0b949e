//! Where polywire keeps the keys that it is given: in the system's keyring, else in a file of mode 0600.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use polywire_client_files::replace_atomically;
use polywire_credentials::{
    KeySource, KeyringEntry, KeyringError, Secret, make_private, make_private_folder, on_one_line,
};
use polywire_settings::{Paths, toml_text};

use crate::logging::note;
use crate::provider::key::{GivenKey, KeyPlace};

/// The folder of key files, beside the settings file.
const FOLDER: &str = "keys";

/// The mode of a key file.
const MODE: u32 = 0o600;

/// A key that is kept.
pub(crate) struct Kept {
    /// What the settings say of it, as TOML.
    pub(crate) reference: String,
    before: Before,
}

/// What was in the place of a key before.
enum Before {
    Untouched,
    InFile(Option<Vec<u8>>),
    InKeyring(Option<Secret>),
}

/// The places for one provider's key.
pub(crate) struct KeyStore {
    entry: KeyringEntry,
    provider: String,
    /// The file, and how the settings name it.
    file: PathBuf,
    file_name: String,
}

impl KeyStore {
    /// `entry` is the place in the keyring.
    pub(crate) fn new(paths: &Paths, entry: KeyringEntry, provider: &str) -> Self {
        Self {
            file: paths.config_dir.join(FOLDER).join(provider),
            file_name: format!("{FOLDER}/{provider}"),
            provider: provider.to_owned(),
            entry,
        }
    }

    /// Keeps a key where it is not kept yet.
    ///
    /// # Errors
    /// It can be kept in none of the places that are allowed.
    pub(crate) async fn keep(&self, given: GivenKey) -> anyhow::Result<Kept> {
        let (key, place) = match given {
            GivenKey::Reference(reference) => {
                return Ok(Kept {
                    reference,
                    before: Before::Untouched,
                });
            }
            GivenKey::Itself { key, place } => (key, place),
        };
        match place {
            Some(KeyPlace::File) => self.keep_in_file(&key),
            Some(KeyPlace::Keyring) => self.keep_in_keyring(&key).await.context(
                "the key could not be kept in the keyring\nhint: `--key-in file` keeps it in a file of mode 0600",
            ),
            None => match self.keep_in_keyring(&key).await {
                Ok(kept) => Ok(kept),
                Err(KeyringError::Absent) => self.keep_in_file(&key),
                Err(
                    error @ (KeyringError::Locked
                    | KeyringError::NoText
                    | KeyringError::Refused(_)
                    | KeyringError::TimedOut { .. }),
                ) => {
                    note(format_args!(
                        "the keyring is not used: {}",
                        on_one_line(&error)
                    ));
                    self.keep_in_file(&key)
                }
            },
        }
    }

    async fn keep_in_keyring(&self, key: &Secret) -> Result<Kept, KeyringError> {
        let before = Before::InKeyring(self.entry.read().await?);
        self.entry.store(key).await?;
        note(format_args!(
            "the key of `{}` is kept in the system's keyring, as `{}` of polywire",
            self.provider, self.entry
        ));
        Ok(Kept {
            reference: "{ keyring = true }".to_owned(),
            before,
        })
    }

    fn keep_in_file(&self, key: &Secret) -> anyhow::Result<Kept> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        make_private_folder(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
        let before = fs::read(&self.file).ok();
        if before.is_some() {
            // One that its user has opened to others would stay so.
            make_private(&self.file)?;
        }
        replace_atomically(&self.file, format!("{}\n", key.reveal()).as_bytes(), MODE)?;
        note(format_args!(
            "the key of `{}` is kept in {} (mode 0600)",
            self.provider,
            self.file.display()
        ));
        Ok(Kept {
            reference: format!("{{ file = {} }}", toml_text(&self.file_name)),
            before: Before::InFile(before),
        })
    }

    /// Puts back what was there before a key was kept, because the settings do not name it after all.
    ///
    /// # Errors
    /// It cannot be put back.
    pub(crate) async fn undo(&self, kept: Kept) -> anyhow::Result<()> {
        match kept.before {
            Before::Untouched => {}
            Before::InFile(Some(bytes)) => replace_atomically(&self.file, &bytes, MODE)?,
            Before::InFile(None) => fs::remove_file(&self.file)?,
            Before::InKeyring(Some(key)) => self.entry.store(&key).await?,
            Before::InKeyring(None) => {
                self.entry.remove().await?;
            }
        }
        Ok(())
    }

    /// Whether polywire itself keeps the key that this source names.
    pub(crate) fn keeps(&self, source: &KeySource) -> bool {
        match source {
            KeySource::Keyring(entry) => *entry == self.entry,
            KeySource::File(path) => *path == self.file,
            KeySource::Literal(_) | KeySource::Env(_) | KeySource::Command(_) | KeySource::None => {
                false
            }
        }
    }

    /// Takes away the key that this source names, if polywire keeps it, and says so.
    ///
    /// # Errors
    /// It is there and does not go.
    pub(crate) async fn forget(&self, source: &KeySource) -> anyhow::Result<()> {
        if !self.keeps(source) {
            return Ok(());
        }
        match source {
            KeySource::Keyring(entry) => {
                let removed = entry.remove().await;
                let removed = removed.with_context(|| {
                    format!("the key `{entry}` could not be taken out of the keyring\nhint: remove it with the keyring's own program, as `{entry}` of polywire")
                })?;
                if removed {
                    note(format_args!("the key `{entry}` is gone from the keyring"));
                }
            }
            KeySource::File(path) => match fs::remove_file(path) {
                Ok(()) => note(format_args!("the key file {} is gone", path.display())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let what = format!("the key file {} could not be removed", path.display());
                    return Err(error).context(what);
                }
            },
            KeySource::Literal(_) | KeySource::Env(_) | KeySource::Command(_) | KeySource::None => {
            }
        }
        Ok(())
    }
}
