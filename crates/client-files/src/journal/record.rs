//! What is noted of an edit.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::JournalError;
use super::plan::Wanted;

/// The form of the records. A newer polywire may write another one.
const VERSION: u32 = 1;

/// Edits of two kinds can lie on one file, the one above the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Until it is asked to be taken back.
    Lasting,
    /// As long as a program runs. While there is one, the layer below is left alone.
    Session,
}

impl Layer {
    fn name(self) -> &'static str {
        match self {
            Self::Lasting => "lasting",
            Self::Session => "session",
        }
    }
}

/// What is noted of an edit, before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// The file as it was named.
    pub(crate) file: PathBuf,
    pub(crate) layer: Layer,
    /// What whoever made the edit wants to remember.
    pub(crate) note: Option<String>,
    /// The file as it was without us; `None` when there was none.
    pub(crate) before: Option<String>,
    /// SHA-256 of the forms that the file may have from our own hands alone. Taken back from any of them, it is `before` to the byte.
    pub(crate) left_as: Vec<String>,
    pub(crate) ours: Vec<Ours>,
    /// Tables that hold nothing but what we set.
    pub(crate) tables: Vec<Vec<String>>,
    /// Folders that are made for the file, the outermost first.
    pub(crate) folders: Vec<PathBuf>,
}

/// A value that we set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ours {
    pub(crate) path: Vec<String>,
    /// What it may be, as TOML: what it is set to, and what it was set to by an earlier edit that this one replaces.
    pub(crate) values: Vec<String>,
    /// The path of another value of ours, with which it goes.
    #[serde(default)]
    pub(crate) along_with: Option<Vec<String>>,
}

impl Record {
    /// The record of an edit that makes `after` of `before`.
    pub(crate) fn new(
        file: &Path,
        layer: Layer,
        before: Option<Vec<u8>>,
        after: &[u8],
        wanted: &Wanted,
    ) -> Self {
        let ours = wanted.settings.iter().map(|setting| Ours {
            path: setting.path.clone(),
            values: vec![setting.value.to_string()],
            along_with: setting.along_with.clone(),
        });
        Self {
            version: VERSION,
            file: file.to_owned(),
            layer,
            note: None,
            // It was parsed before, so that it is Unicode.
            before: before.map(|before| String::from_utf8_lossy(&before).into_owned()),
            left_as: vec![sha256(after)],
            ours: ours.collect(),
            tables: wanted.tables.clone(),
            folders: Vec::new(),
        }
    }

    /// The record for the time until the file is replaced, in which it still is as an earlier edit left it: what that one set is ours as well.
    pub(crate) fn covering(&self, earlier: &Self, current: Option<&[u8]>) -> Self {
        let mut record = self.clone();
        record.left_as.extend(current.map(sha256));
        for ours in &earlier.ours {
            match record.ours.iter_mut().find(|it| it.path == ours.path) {
                Some(it) => it.values.extend_from_slice(&ours.values),
                None => record.ours.push(ours.clone()),
            }
        }
        record.tables.extend_from_slice(&earlier.tables);
        record
    }

    /// Reads a record.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, JournalError> {
        let bad = |why: String| JournalError::BadRecord {
            path: path.to_owned(),
            why,
        };
        let record: Self = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if record.version != VERSION {
            return Err(bad(format!("it has version {}", record.version)));
        }
        Ok(record)
    }

    /// The record as it is kept.
    pub(crate) fn render(&self, path: &Path) -> Result<Vec<u8>, JournalError> {
        // Fails for a path that is not Unicode.
        serde_json::to_vec_pretty(self).map_err(|error| JournalError::BadRecord {
            path: path.to_owned(),
            why: error.to_string(),
        })
    }
}

/// The name of the record of an edit of this file.
pub(crate) fn record_name(file: &Path, layer: Layer) -> String {
    let digest = sha256(file.as_os_str().as_encoded_bytes());
    format!("{}-{}.json", &digest[..32], layer.name())
}

/// SHA-256, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing into a string does not fail.
        if write!(digits, "{byte:02x}").is_err() {
            break;
        }
    }
    digits
}
