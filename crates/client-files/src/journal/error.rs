//! Why an edit was not made, or not taken back.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::{EditError, ReplaceError, TomlError};

/// An edit that was not made or not taken back. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder of the journal could not be made.
    #[error("the folder {} could not be made", path.display())]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("{} could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file to edit is not TOML.
    #[error("{}, {error}\nhint: correct it there, then try again", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        error: TomlError,
    },
    /// A value cannot be set in it.
    #[error("{}: {error}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EditError,
    },
    /// Another process has been at it for long.
    #[error("another polywire has been editing files for {} s\nhint: {} is its lock; wait for it to end", wait.as_secs(), path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// How long it was waited for.
        wait: Duration,
    },
    /// The lock could not be taken.
    #[error("the lock {} could not be taken", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file changed between the preview and the edit.
    #[error("{} has changed since it was looked at\nhint: look at it again, then try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A session holds the file.
    #[error("{} is in use by a session that polywire began\nhint: end the program that was launched; its edit is taken back then. If it has ended and polywire says that its edit cannot be taken back, {} holds what the file was, as `before`", path.display(), record.display())]
    InSession {
        /// The file.
        path: PathBuf,
        /// The record of the session.
        record: PathBuf,
    },
    /// The file was to be removed, and was changed at that moment by others who have made a new one as well.
    #[error("{} was changed by somebody else at the same moment and could not be put back\nhint: it is {} now", path.display(), aside.display())]
    SetAside {
        /// The file.
        path: PathBuf,
        /// Where it is.
        aside: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was noted of an edit cannot be understood.
    #[error("{} cannot be understood: {why}\nhint: it says what the file was before; move it away when you have looked at it", path.display())]
    BadRecord {
        /// The record.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The record or the file could not be written.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
    /// Something could not be removed.
    #[error("{} could not be removed", path.display())]
    Remove {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
