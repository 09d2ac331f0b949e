//! Where polywire keeps the keys that it is given: in the system's keyring, else in a file of mode 0600.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use polywire_client_files::replace_atomically;
use polywire_credentials::{
    KeySource, KeyringEntry, KeyringError, Secret, make_private, make_private_folder, on_one_line,
};
use polywire_settings::{Settings, toml_text};

use crate::logging::note;
use crate::provider::key::{GivenKey, KeyPlace};
use crate::provider::key_places::{KeyPlaces, Owner};

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
    InFile(PathBuf, Option<Vec<u8>>),
    InKeyring(KeyringEntry, Option<Secret>),
}

/// The places for one provider's key.
pub(crate) struct KeyStore<'s> {
    places: KeyPlaces<'s>,
}

impl<'s> KeyStore<'s> {
    /// `before` are the settings as they are before anything is changed: a place that they do not name is not written over.
    pub(crate) fn new(before: &'s Settings, provider: &'s str) -> Self {
        Self {
            places: KeyPlaces::new(before, provider),
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
        let (entry, before) = self.place_in_keyring().await?;
        entry.store(key).await?;
        note(format_args!(
            "the key of `{}` is kept in the system's keyring, as `{entry}` of polywire",
            self.places.provider()
        ));
        let name = entry.to_string();
        let reference = if entry == self.places.entry(self.places.provider()) {
            "{ keyring = true }".to_owned()
        } else {
            format!("{{ keyring = {} }}", toml_text(&name))
        };
        Ok(Kept {
            reference,
            before: Before::InKeyring(entry, before),
        })
    }

    /// The first place in the keyring that is free or this provider's own, and what is in it.
    async fn place_in_keyring(&self) -> Result<(KeyringEntry, Option<Secret>), KeyringError> {
        let mut names = self.places.names();
        loop {
            let name = names.next().unwrap_or_default();
            let entry = self.places.entry(&name);
            let there = entry.read().await?;
            let is_own = self.places.is_its_own(&KeySource::Keyring(entry.clone()));
            if there.is_none() || is_own {
                return Ok((entry, there));
            }
            tell_left_alone(&format!("`{entry}` of polywire in the keyring"));
        }
    }

    fn keep_in_file(&self, key: &Secret) -> anyhow::Result<Kept> {
        let (file, name, before) = self.place_in_file();
        let folder = file.parent().unwrap_or(Path::new("."));
        make_private_folder(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
        if before.is_some() {
            // One that its user has opened to others would stay so.
            make_private(&file)?;
        }
        replace_atomically(&file, format!("{}\n", key.reveal()).as_bytes(), MODE)?;
        note(format_args!(
            "the key of `{}` is kept in {} (mode 0600)",
            self.places.provider(),
            file.display()
        ));
        Ok(Kept {
            reference: format!("{{ file = {} }}", toml_text(&name)),
            before: Before::InFile(file, before),
        })
    }

    /// The first file that is not there or this provider's own, how the settings name it, and what is in it.
    fn place_in_file(&self) -> (PathBuf, String, Option<Vec<u8>>) {
        let mut names = self.places.names();
        loop {
            let (file, name) = self.places.file(&names.next().unwrap_or_default());
            if file.symlink_metadata().is_err() {
                return (file, name, None);
            }
            if self.places.is_its_own(&KeySource::File(file.clone())) {
                let before = fs::read(&file).ok();
                return (file, name, before);
            }
            tell_left_alone(&file.display().to_string());
        }
    }

    /// Puts back what was there before a key was kept, because the settings do not name it after all.
    ///
    /// # Errors
    /// It cannot be put back.
    pub(crate) async fn undo(&self, kept: Kept) -> anyhow::Result<()> {
        match kept.before {
            Before::Untouched => {}
            Before::InFile(file, Some(bytes)) => replace_atomically(&file, &bytes, MODE)?,
            Before::InFile(file, None) => fs::remove_file(&file)?,
            Before::InKeyring(entry, Some(key)) => entry.store(&key).await?,
            Before::InKeyring(entry, None) => {
                entry.remove().await?;
            }
        }
        Ok(())
    }

    /// Whether polywire itself keeps the key that this source names, for these settings and no others.
    pub(crate) fn keeps(&self, source: &KeySource) -> bool {
        self.places.owner(source) == Owner::TheseSettings
    }

    /// Takes away the key that this source names, if polywire keeps it and nobody else needs it, and says so. `after` are the settings as
    /// they are now.
    ///
    /// # Errors
    /// It is there and does not go.
    pub(crate) async fn forget(&self, source: &KeySource, after: &Settings) -> anyhow::Result<()> {
        match self.places.owner(source) {
            Owner::User => return Ok(()),
            Owner::PerhapsOthers => {
                note(format_args!(
                    "{} stays, because other settings files may name it, too",
                    in_words(source)
                ));
                return Ok(());
            }
            Owner::TheseSettings => {}
        }
        let still = after.who_names(source);
        if !still.is_empty() {
            note(format_args!(
                "{} stays, because `{}` names it",
                in_words(source),
                still.join("`, `")
            ));
            return Ok(());
        }
        take_away(source).await
    }
}

fn tell_left_alone(place: &str) {
    note(format_args!(
        "{place} holds a key that is not this provider's alone, and is left as it is"
    ));
}

/// `the key file …`.
fn in_words(source: &KeySource) -> String {
    match source {
        KeySource::Keyring(entry) => format!("the key `{entry}` in the keyring"),
        KeySource::File(path) => format!("the key file {}", path.display()),
        KeySource::Literal(_) | KeySource::Env(_) | KeySource::Command(_) | KeySource::None => {
            "the key".to_owned()
        }
    }
}

async fn take_away(source: &KeySource) -> anyhow::Result<()> {
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
        KeySource::Literal(_) | KeySource::Env(_) | KeySource::Command(_) | KeySource::None => {}
    }
    Ok(())
}
