//! The journal: plans of edits. `carry_out.rs` carries them out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::JournalError;
use super::plan::{Kept, Plan, Wanted};
use super::record::{Layer, Record, sha256};
use super::records::{Records, read};
use super::take_back::take_back;
use crate::TomlText;
use crate::disk::{Disk, Steps};
use crate::replace::link_target;

/// Makes edits and takes them back; keeps its records in one folder. Any number of processes may use one journal.
///
/// A file is the same one by whichever path it is named, as long as both lead to it.
#[derive(Clone, Debug)]
pub struct Journal {
    pub(super) records: Records,
    pub(super) disk: Disk,
}

/// An edit that has not been taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The file, as it was named.
    pub file: PathBuf,
    /// On which layer.
    pub layer: Layer,
    /// What whoever made it wanted to remember.
    pub note: Option<String>,
}

impl Journal {
    /// The journal in this folder. It is made when something is to be kept in it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::on(folder.into(), Disk::new())
    }

    /// The same, with somebody who is asked before every step.
    pub fn with_steps(folder: impl Into<PathBuf>, steps: Arc<dyn Steps>) -> Self {
        Self::on(folder.into(), Disk::asking(steps))
    }

    fn on(folder: PathBuf, disk: Disk) -> Self {
        let records = Records {
            folder,
            disk: disk.clone(),
        };
        Self { records, disk }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.records.folder
    }

    /// The edits that have not been taken back.
    ///
    /// # Errors
    /// The folder or a record in it cannot be read.
    pub fn open_edits(&self) -> Result<Vec<Open>, JournalError> {
        let records = self.records.all()?.into_iter();
        let mut open: Vec<Open> = records
            .map(|record| Open {
                file: record.file,
                layer: record.layer,
                note: record.note,
            })
            .collect();
        open.sort_by(|one, other| (&one.file, one.layer).cmp(&(&other.file, other.layer)));
        Ok(open)
    }

    /// The layers on which an edit of this file has not been taken back.
    ///
    /// # Errors
    /// A record of it cannot be read.
    pub fn layers(&self, file: &Path) -> Result<Vec<Layer>, JournalError> {
        let file = self.records.known_path(file)?;
        let mut layers = Vec::new();
        for layer in [Layer::Lasting, Layer::Session] {
            if self.records.get(&file, layer)?.is_some() {
                layers.push(layer);
            }
        }
        Ok(layers)
    }

    /// What the file will be when the wanted values are set in it. An earlier edit of ours on this layer is replaced: what stood there
    /// before it is what will be put back.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML, or has something else where a value is to go; or a session holds it.
    pub fn plan_apply(
        &self,
        file: &Path,
        layer: Layer,
        wanted: &Wanted,
    ) -> Result<Plan, JournalError> {
        let file = &self.records.known_path(file)?;
        self.refuse_below_a_session(file, layer)?;
        let known = self.records.get(file, layer)?;
        self.plan(file, layer, wanted, known)
    }

    /// The same for a session that begins. Only one holds a file: of two that begin at the same moment the second one's plan is not carried out.
    ///
    /// # Errors
    /// As with [`Self::plan_apply`]; or a session holds the file, be it one that has ended and was not taken back.
    pub fn plan_session(&self, file: &Path, wanted: &Wanted) -> Result<Plan, JournalError> {
        let file = &self.records.known_path(file)?;
        self.refuse_in_session(file)?;
        self.plan(file, Layer::Session, wanted, None)
    }

    fn plan(
        &self,
        file: &Path,
        layer: Layer,
        wanted: &Wanted,
        known: Option<Record>,
    ) -> Result<Plan, JournalError> {
        let current = read(&self.disk, &link_target(file))?;
        let (before, kept) = match &known {
            Some(record) => self.without_us(file, current.as_deref(), record, false)?,
            None => (current.clone(), Vec::new()),
        };
        let mut text = parse(file, before.as_deref().unwrap_or_default())?;
        for setting in &wanted.settings {
            let path: Vec<&str> = setting.path.iter().map(String::as_str).collect();
            text.set(&path, setting.value.clone())
                .map_err(|error| edit_error(file, error))?;
        }
        let after = text.to_bytes();
        // A file that says all of it by itself needs nothing of us; but a session holds it all the same.
        let is_ours =
            layer == Layer::Session || known.is_some() || Some(&after) != current.as_ref();
        let record = is_ours.then(|| Record::new(file, layer, before, &after, wanted));
        Ok(Plan {
            file: file.to_owned(),
            layer,
            record,
            after: Some(after),
            kept,
            current,
            known,
        })
    }

    /// What the file will be without our edit; `None` when there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML any more; or a session holds it.
    pub fn plan_restore(&self, file: &Path, layer: Layer) -> Result<Option<Plan>, JournalError> {
        let file = &self.records.known_path(file)?;
        self.refuse_below_a_session(file, layer)?;
        let Some(known) = self.records.get(file, layer)? else {
            return Ok(None);
        };
        let current = read(&self.disk, &link_target(file))?;
        let (after, kept) = self.without_us(file, current.as_deref(), &known, true)?;
        Ok(Some(Plan {
            file: file.to_owned(),
            layer,
            current,
            after,
            kept,
            known: Some(known),
            record: None,
        }))
    }

    /// The file without what the record says is ours.
    fn without_us(
        &self,
        file: &Path,
        current: Option<&[u8]>,
        record: &Record,
        tables_whole: bool,
    ) -> Result<(Option<Vec<u8>>, Vec<Kept>), JournalError> {
        let before = record.before.as_deref().map(str::as_bytes);
        let Some(current) = current else {
            let kept = before.map(|_| Kept::File);
            return Ok((None, kept.into_iter().collect()));
        };
        if before == Some(current) || record.left_as.contains(&sha256(current)) {
            return Ok((before.map(<[u8]>::to_vec), Vec::new()));
        }
        let mut text = parse(file, current)?;
        let record_path = self.records.path(file, record.layer);
        let before_text = parse(&record_path, before.unwrap_or_default())?;
        let kept = take_back(&mut text, &before_text, record, tables_whole)
            .map_err(|error| edit_error(file, error))?;
        let after = text.to_bytes();
        let is_empty = after.trim_ascii().is_empty();
        Ok(((before.is_some() || !is_empty).then_some(after), kept))
    }

    pub(super) fn refuse_below_a_session(
        &self,
        file: &Path,
        layer: Layer,
    ) -> Result<(), JournalError> {
        match layer {
            Layer::Session => Ok(()),
            Layer::Lasting => self.refuse_in_session(file),
        }
    }

    fn refuse_in_session(&self, file: &Path) -> Result<(), JournalError> {
        match self.records.get(file, Layer::Session)? {
            None => Ok(()),
            Some(_) => Err(JournalError::InSession {
                path: file.to_owned(),
                record: self.records.path(file, Layer::Session),
            }),
        }
    }
}

fn parse(file: &Path, bytes: &[u8]) -> Result<TomlText, JournalError> {
    TomlText::parse(bytes).map_err(|error| JournalError::NotToml {
        path: file.to_owned(),
        error,
    })
}

fn edit_error(file: &Path, error: crate::EditError) -> JournalError {
    JournalError::Edit {
        path: file.to_owned(),
        error,
    }
}
