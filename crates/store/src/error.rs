//! What can go wrong with the store.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// What the database said.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The store could not do what was asked. The message names the place and, where there is one, the way out on a line of its own.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder could not be made.
    #[error("the folder `{}` for the store could not be made", path.display())]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be made, or not be closed to others.
    #[error("the store `{}` could not be made, or not be closed to other users", path.display())]
    MakeFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be opened as a database.
    #[error(
        "the store `{}` could not be opened\nhint: if it is damaged, move it away; polywire makes a new one",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// The file is a database of something else.
    #[error(
        "`{}` is a database, but not a store of polywire's\nhint: name another file as `path` under [store] in the settings",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer polywire.
    #[error(
        "the store `{}` has version {found}, and this polywire knows versions up to {known}\nhint: use the newer polywire that wrote it, or name another file as `path` under [store] in the settings",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that we know.
        known: u32,
    },
    /// The file could not be brought to the version that we use. It is as it was before.
    #[error("the store `{}` could not be brought to version {version}", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// The version.
        version: u32,
        /// Why.
        source: Cause,
    },
    /// The thread of the store could not be started.
    #[error("the thread of the store could not be started")]
    StartThread {
        /// Why.
        source: io::Error,
    },
    /// A response is too large to be kept.
    #[error(
        "the response `{id}` has {bytes} bytes with its input; no more than {bytes_max} are stored"
    )]
    TooLarge {
        /// The response.
        id: String,
        /// Its bytes, input included.
        bytes: u64,
        /// The most that are stored.
        bytes_max: u64,
    },
    /// Items are not a JSON array, so no history could be made of them. A mistake of ours.
    #[error("the {which} items of the response `{id}` are not a JSON array")]
    NotAnArray {
        /// The response.
        id: String,
        /// `input` or `output`.
        which: &'static str,
    },
    /// A receipt in the store cannot be read.
    #[error("the receipt `{id}` cannot be read")]
    DamagedReceipt {
        /// The receipt.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The database failed.
    #[error("the store could not {doing}")]
    Database {
        /// What we were doing: `keep a response`.
        doing: &'static str,
        /// What the database said.
        source: Cause,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Names what failed.
    pub(crate) fn doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |error| Self::Database {
            doing,
            source: error.into(),
        }
    }
}

/// The history that ends with a response cannot be had. It is never given in part.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// No such response: it never was, or it was deleted, or it became too old.
    #[error("there is no stored response `{id}`")]
    Unknown {
        /// The id that was asked for.
        id: String,
    },
    /// An earlier response of the chain is gone.
    #[error("the response `{missing}`, which `{id}` goes on from, is no longer stored")]
    Broken {
        /// The response whose parent is gone.
        id: String,
        /// The parent.
        missing: String,
    },
    /// The chain has too many responses.
    #[error("the history of `{id}` has more than {length_max} responses")]
    TooLong {
        /// The id that was asked for.
        id: String,
        /// The most.
        length_max: usize,
    },
    /// The chain has too many bytes.
    #[error("the history of `{id}` has more than {bytes_max} bytes")]
    TooLarge {
        /// The id that was asked for.
        id: String,
        /// The most.
        bytes_max: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
