//! What can keep the settings from being changed.

use std::io;
use std::path::PathBuf;

use polywire_client_files::{ReplaceError, TomlError};

use crate::SettingsError;

/// The settings file could not be changed. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The settings do not work, before the change or after it.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file is not TOML.
    #[error("{}:{}:{}: {}", path.display(), error.line, error.column, error.message)]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        error: TomlError,
    },
    /// The file could not be read.
    #[error("the settings file `{}` could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The change would have changed something else.
    #[error("{}: {source}\nhint: change it in an editor", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        source: polywire_client_files::EditError,
    },
    /// A list is written in a form whose items are not changed one by one.
    #[error(
        "{}: the items of `{key}` are written as tables below headers of their own\nhint: write them as `[{{ id = \"…\" }}, …]`, or change them in an editor",
        path.display()
    )]
    ListOfTables {
        /// The file.
        path: PathBuf,
        /// The key of the list, with dots.
        key: String,
    },
    /// Another polywire is changing the settings.
    #[error("another polywire is changing the settings\nhint: try again; it holds {}", path.display())]
    Locked {
        /// The lock that it holds.
        path: PathBuf,
    },
    /// The lock could not be made.
    #[error("the lock `{}` could not be taken", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder could not be made.
    #[error("the folder `{}` could not be made", path.display())]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else has changed the file in the meantime.
    #[error("{} was changed by somebody else meanwhile, and is left alone\nhint: try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
}
