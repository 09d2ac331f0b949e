//! An edit before it is made.

use std::path::{Path, PathBuf};

use toml::Value;

use super::record::{Layer, Record};

/// What is to be set in a file.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The values, in the order in which they are written.
    pub settings: Vec<Setting>,
    /// Tables that are made of these values alone and mean something only as a whole. One that somebody has added to or changed stays whole
    /// when the edit is taken back.
    pub tables: Vec<Vec<String>>,
}

/// A value to be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
    /// Another value of ours, without which this one means nothing: as long as that is in force, whatever stands here was chosen for it, and
    /// goes with it.
    pub along_with: Option<Vec<String>>,
}

impl Setting {
    /// A value at a path of keys.
    pub fn new(path: &[&str], value: impl Into<Value>) -> Self {
        Self {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            value: value.into(),
            along_with: None,
        }
    }

    /// The same, as a value that goes with the one at this path.
    #[must_use]
    pub fn along_with(self, path: &[&str]) -> Self {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        Self {
            along_with: Some(path),
            ..self
        }
    }
}

/// Something that others have made of what we set. But for [`Kept::Along`] it is theirs now and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A value is not what we set.
    Changed {
        /// Its path, with dots.
        path: String,
    },
    /// A value is not what we set, and goes with another one that is still ours.
    Along {
        /// Its path, with dots.
        path: String,
        /// The path of the other one, with dots.
        with: String,
    },
    /// A value that stood there before us is gone.
    Removed {
        /// Its path, with dots.
        path: String,
    },
    /// A table of ours holds something else too, and stays whole.
    Table {
        /// Its path, with dots.
        table: String,
        /// The paths of what it holds that is not ours, with dots.
        others: Vec<String>,
    },
    /// The file is gone.
    File,
}

/// An edit that is ready to be made or taken back, and can be looked at before.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) file: PathBuf,
    pub(super) layer: Layer,
    pub(super) current: Option<Vec<u8>>,
    pub(super) after: Option<Vec<u8>>,
    pub(super) kept: Vec<Kept>,
    /// The record that was there when the plan was made.
    pub(super) known: Option<Record>,
    /// The record that is there afterwards.
    pub(super) record: Option<Record>,
}

impl Plan {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The file as it is; `None` when there is none.
    pub fn current(&self) -> Option<&[u8]> {
        self.current.as_deref()
    }

    /// The file as it will be; `None` when it will be removed.
    pub fn after(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }

    /// What of an earlier edit others have changed meanwhile.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// What was remembered with the edit that is replaced or taken back.
    pub fn known_note(&self) -> Option<&str> {
        self.known.as_ref()?.note.as_deref()
    }

    /// The paths of the values that are ours: those that were set and those that are to be.
    pub fn ours(&self) -> impl Iterator<Item = &[String]> {
        let records = self.known.iter().chain(&self.record);
        records.flat_map(|record| record.ours.iter().map(|ours| ours.path.as_slice()))
    }

    /// Whether the file will be another one afterwards.
    pub fn changes_the_file(&self) -> bool {
        self.current != self.after
    }
}
