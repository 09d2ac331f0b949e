//! Changes of the settings file, value by value.
//!
//! The file is its user's: comments, order and layout of everything else stay to the byte. What comes out is read as settings before it
//! is written, so that no change leaves a file that does not work, and a file that does not work is not touched.

mod error;
mod list;
mod lock;
mod path;

use std::fs;
use std::io;
use std::path::Path;

use polywire_client_files::{TomlText, replace_atomically};
use polywire_credentials::make_private_folder;
use toml::Value;

use crate::load::load_text;
use crate::{Environment, Overrides, Paths, Settings};

pub use toml::Value as TomlValue;

pub use error::EditError;
pub use path::KeyPath;

use lock::Lock;

/// The mode of a settings file that is made: it may come to hold keys.
const NEW_FILE_MODE: u32 = 0o600;

/// A settings file that is being changed. No other polywire changes it as long as this is there, after it is saved, too: whatever goes
/// with a change, such as a key, is to be done by then.
pub struct Edit<'e> {
    overrides: &'e Overrides,
    environment: &'e dyn Environment,
    paths: Paths,
    /// The file as it was; `None` when there was none.
    before: Option<Vec<u8>>,
    text: TomlText,
    _lock: Lock,
}

impl<'e> Edit<'e> {
    /// Begins to change the settings file, which need not be there. Waits some seconds for another polywire that is at it.
    ///
    /// # Errors
    /// The file cannot be read or does not work as it is, or another polywire holds it.
    pub fn begin(
        overrides: &'e Overrides,
        environment: &'e dyn Environment,
    ) -> Result<Self, EditError> {
        let paths = Paths::find(overrides, environment)?;
        let lock = Lock::take(&paths)?;
        let before = read(&paths.config_file)?;
        let text = parse(&paths, before.as_deref().unwrap_or_default())?;
        let edit = Self {
            overrides,
            environment,
            paths,
            before,
            text,
            _lock: lock,
        };
        edit.settings()?;
        Ok(edit)
    }

    /// What the file says now, changes included.
    pub fn text(&self) -> &TomlText {
        &self.text
    }

    /// Where everything is.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Sets a value.
    ///
    /// # Errors
    /// Something else stands in the way; see [`TomlText::set`].
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) -> Result<(), EditError> {
        let set = self.text.set(path, value);
        set.map_err(|source| self.refused(source))
    }

    /// Sets a value as it is to be written.
    ///
    /// # Errors
    /// As [`set`](Self::set), or this is not a TOML value.
    pub fn set_raw(&mut self, path: &[&str], raw: &str) -> Result<(), EditError> {
        let set = self.text.set_raw(path, raw);
        set.map_err(|source| self.refused(source))
    }

    /// Sets a value as somebody typed it: a TOML value, or else a text without quotes.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_typed(&mut self, path: &[&str], typed: &str) -> Result<(), EditError> {
        match parse_value(typed) {
            Some(_) => self.set_raw(path, typed.trim()),
            None => self.set(path, typed),
        }
    }

    /// Takes a value or a whole table out, and tells whether it was there.
    ///
    /// # Errors
    /// It cannot be taken out without changing something else.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool, EditError> {
        let removed = self.text.remove(path);
        removed.map_err(|source| self.refused(source))
    }

    /// Puts another text in the place of all of it, as an editor does.
    ///
    /// # Errors
    /// It is not TOML; what was there before stays.
    pub fn replace(&mut self, bytes: &[u8]) -> Result<(), EditError> {
        self.text = parse(&self.paths, bytes)?;
        Ok(())
    }

    /// The settings as the file has them at this moment.
    ///
    /// # Errors
    /// The file cannot be read or does not work.
    pub fn on_disk(&self) -> Result<Settings, EditError> {
        let bytes = read(&self.paths.config_file)?;
        let text = bytes.as_deref().map(String::from_utf8_lossy);
        let paths = self.paths.clone();
        let settings = load_text(self.overrides, self.environment, paths, text.as_deref());
        Ok(settings?)
    }

    /// The settings as they will be.
    ///
    /// # Errors
    /// They do not work; the error names the place.
    pub fn settings(&self) -> Result<Settings, EditError> {
        let bytes = self.text.to_bytes();
        // What was parsed is UTF-8.
        let text = String::from_utf8_lossy(&bytes);
        let text = Some(text.as_ref()).filter(|text| self.before.is_some() || !text.is_empty());
        let settings = load_text(self.overrides, self.environment, self.paths.clone(), text);
        Ok(settings?)
    }

    /// Writes the file, if anything has changed, and tells whether it has.
    ///
    /// # Errors
    /// The settings do not work as they would be, or somebody has changed the file meanwhile, or it cannot be written. The file is as it
    /// was.
    pub fn save(&mut self) -> Result<bool, EditError> {
        self.settings()?;
        let bytes = self.text.to_bytes();
        if self
            .before
            .as_ref()
            .map_or(bytes.is_empty(), |before| *before == bytes)
        {
            return Ok(false);
        }
        let path = &self.paths.config_file;
        if read(path)? != self.before {
            return Err(EditError::Changed { path: path.clone() });
        }
        if self.before.is_none() {
            make_private_folder(&self.paths.config_dir).map_err(|source| {
                EditError::MakeFolder {
                    path: self.paths.config_dir.clone(),
                    source,
                }
            })?;
        }
        replace_atomically(path, &bytes, NEW_FILE_MODE)?;
        self.before = Some(bytes);
        Ok(true)
    }

    fn refused(&self, source: polywire_client_files::EditError) -> EditError {
        EditError::Refused {
            path: self.paths.config_file.clone(),
            source,
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, EditError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EditError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn parse(paths: &Paths, bytes: &[u8]) -> Result<TomlText, EditError> {
    TomlText::parse(bytes).map_err(|error| EditError::NotToml {
        path: paths.config_file.clone(),
        error,
    })
}

/// What a text says, if it is one TOML value and nothing else.
pub fn parse_value(text: &str) -> Option<Value> {
    let mut table: toml::Table = format!("value = {text}").parse().ok()?;
    (table.len() == 1).then(|| table.remove("value"))?
}

/// A text as TOML writes it.
pub fn toml_text(text: &str) -> String {
    Value::from(text).to_string()
}
