//! The places in which polywire keeps the key of a provider: which may be written, and which may be taken away again.
//!
//! A place can be named by other settings files, too, which nobody here knows of. So the usual settings file has the plain name, every
//! other one has something of its path in the name, and what was there before and is not known is left alone.

use std::path::{Path, PathBuf};

use polywire_credentials::Secret;
use polywire_settings::{KeySource, KeyringEntry, Paths, Settings};

/// The folder of key files, beside the settings file.
const FOLDER: &str = "keys";

/// What the names of keys of providers begin with in the keyring.
const IN_KEYRING: &str = "provider.";

/// Stands between a provider's name, which cannot have it, and the mark of the settings file.
const AT: char = '@';

/// How many digits of the hash of its path tell one settings file from another.
const MARK_DIGITS: usize = 8;

/// Whose a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Polywire's, for these settings.
    TheseSettings,
    /// Polywire's; another settings file may name it as well.
    PerhapsOthers,
    /// Its user's.
    User,
}

/// The places for the key of one provider.
pub(crate) struct KeyPlaces<'s> {
    /// As they are in the file.
    settings: &'s Settings,
    provider: &'s str,
    mark: String,
}

impl<'s> KeyPlaces<'s> {
    /// `settings` are those that are in force before anything is changed.
    pub(crate) fn new(settings: &'s Settings, provider: &'s str) -> Self {
        Self {
            settings,
            provider,
            mark: mark(&settings.paths),
        }
    }

    /// The provider.
    pub(crate) fn provider(&self) -> &str {
        self.provider
    }

    /// Names for the key, the best one first. There is no end to them.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let provider = self.provider;
        let plain = self.settings.paths.config_is_usual;
        let plain = plain.then(|| provider.to_owned());
        let marked = format!("{provider}{AT}{}", self.mark);
        let further = marked.clone();
        plain
            .into_iter()
            .chain([marked])
            .chain((2u32..).map(move |number| format!("{further}-{number}")))
    }

    /// The file of this name, and how the settings name it.
    pub(crate) fn file(&self, name: &str) -> (PathBuf, String) {
        let path = self.settings.paths.config_dir.join(FOLDER).join(name);
        (path, format!("{FOLDER}/{name}"))
    }

    /// The entry of this name in the keyring.
    pub(crate) fn entry(&self, name: &str) -> KeyringEntry {
        let settings = self.settings;
        settings.named_keyring_entry(&format!("{IN_KEYRING}{name}"))
    }

    /// Whether the settings name this place for this provider and for nobody else, so that another key may take it.
    pub(crate) fn is_its_own(&self, place: &KeySource) -> bool {
        self.settings.who_names(place) == [format!("providers.{}", self.provider)]
    }

    /// Whose the place is that a source names.
    pub(crate) fn owner(&self, source: &KeySource) -> Owner {
        let name = match source {
            KeySource::File(path) => self.name_of_file(path),
            KeySource::Keyring(entry) => {
                let name = entry.to_string();
                name.strip_prefix(IN_KEYRING).map(str::to_owned)
            }
            KeySource::Literal(_) | KeySource::Env(_) | KeySource::Command(_) | KeySource::None => {
                None
            }
        };
        let Some(name) = name else { return Owner::User };
        let own_mark = format!("{AT}{}", self.mark);
        match name.strip_prefix(self.provider) {
            Some("") if self.settings.paths.config_is_usual => Owner::TheseSettings,
            Some("") => Owner::PerhapsOthers,
            Some(rest) if rest.starts_with(&own_mark) => Owner::TheseSettings,
            Some(rest) if rest.starts_with(AT) => Owner::PerhapsOthers,
            Some(_) | None => Owner::User,
        }
    }

    fn name_of_file(&self, path: &Path) -> Option<String> {
        let folder = self.settings.paths.config_dir.join(FOLDER);
        let name = path.file_name()?.to_str()?;
        (path.parent()? == folder).then(|| name.to_owned())
    }
}

/// What tells a settings file from all others: its name for people, and a part of the hash of its path.
fn mark(paths: &Paths) -> String {
    let file = &paths.config_file;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let hash = Secret::new(paths.whole_config_file().to_string_lossy()).fingerprint();
    format!("{stem}-{}", &hash[..MARK_DIGITS])
}
