//! The journal: plans of edits, and carrying them out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::JournalError;
use super::lock::lock;
use super::plan::{Kept, Plan, Wanted};
use super::record::{Layer, Record, record_name, sha256};
use super::surroundings::{missing_folders, remove_files, remove_leftovers};
use super::take_back::take_back;
use crate::TomlText;
use crate::disk::{Disk, Steps};
use crate::replace::{folder_of, link_target, replace};

/// The name of the file that is locked while one process edits.
const LOCK: &str = "lock";

/// The mode of files that are made: they may hold secrets of others.
const NEW_MODE: u32 = 0o600;

/// Makes edits and takes them back; keeps its records in one folder. Any number of processes may use one journal.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
    disk: Disk,
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
        Self {
            folder: folder.into(),
            disk: Disk::new(),
        }
    }

    /// The same, with somebody who is asked before every step.
    pub fn with_steps(folder: impl Into<PathBuf>, steps: Arc<dyn Steps>) -> Self {
        Self {
            folder: folder.into(),
            disk: Disk::asking(steps),
        }
    }

    /// The edits that have not been taken back.
    ///
    /// # Errors
    /// The folder or a record in it cannot be read.
    pub fn open_edits(&self) -> Result<Vec<Open>, JournalError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            // A file on the way to it says as well as nothing does that there is no record.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(source) => return Err(unreadable(&self.folder, source)),
        };
        let mut open = Vec::new();
        for entry in entries {
            let path = entry
                .map_err(|source| unreadable(&self.folder, source))?
                .path();
            if path.extension().is_none_or(|kind| kind != "json") {
                continue;
            }
            // Taken back in this moment, when it is gone.
            if let Some(record) = self.read_record(&path)? {
                open.push(Open {
                    file: record.file,
                    layer: record.layer,
                    note: record.note,
                });
            }
        }
        open.sort_by(|one, other| (&one.file, one.layer).cmp(&(&other.file, other.layer)));
        Ok(open)
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
        self.refuse_below_a_session(file, layer)?;
        let current = self.read(&link_target(file))?;
        let known = self.record(file, layer)?;
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
        // A file that says all of it by itself needs nothing of us.
        let is_ours = known.is_some() || Some(&after) != current.as_ref();
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
        self.refuse_below_a_session(file, layer)?;
        let Some(known) = self.record(file, layer)? else {
            return Ok(None);
        };
        let current = self.read(&link_target(file))?;
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

    /// Carries out a plan. `note` is remembered with an edit that is made.
    ///
    /// When this fails the file is as it was or as planned, whole in either case, and planning anew goes on from there.
    ///
    /// # Errors
    /// The file or its record has changed since the plan was made; or something cannot be written.
    pub fn carry_out(&self, plan: &Plan, note: Option<String>) -> Result<(), JournalError> {
        self.make_own_folder()?;
        let _lock = lock(&self.disk, &self.folder.join(LOCK))?;
        self.refuse_below_a_session(&plan.file, plan.layer)?;
        let target = link_target(&plan.file);
        remove_leftovers(&target);
        self.remove_own_leftovers();
        if self.record(&plan.file, plan.layer)? != plan.known || self.read(&target)? != plan.current
        {
            return Err(JournalError::Changed {
                path: plan.file.clone(),
            });
        }
        match &plan.record {
            Some(record) => self.apply(plan, &target, record, note),
            None if plan.known.is_some() => self.restore(plan, &target),
            None => Ok(()),
        }
    }

    fn apply(
        &self,
        plan: &Plan,
        target: &Path,
        record: &Record,
        note: Option<String>,
    ) -> Result<(), JournalError> {
        let mut record = record.clone();
        record.note = note;
        let earlier = plan.known.iter().flat_map(|known| known.folders.clone());
        record.folders = earlier.chain(missing_folders(target)).collect();
        if !plan.changes_the_file() && plan.known.as_ref() == Some(&record) {
            return Ok(());
        }
        let path = self.record_path(&plan.file, plan.layer);
        match &plan.known {
            Some(known) => self.note(&path, &record.covering(known, plan.current.as_deref()))?,
            None => self.note(&path, &record)?,
        }
        for folder in missing_folders(target) {
            self.make_folder(&folder)?;
        }
        self.put(plan, target)?;
        match &plan.known {
            Some(_) => self.note(&path, &record),
            None => Ok(()),
        }
    }

    /// Writes a record, to the disk.
    fn note(&self, path: &Path, record: &Record) -> Result<(), JournalError> {
        let content = record.render(path)?;
        Ok(replace(&self.disk, path, &content, NEW_MODE, |_| Ok(true))?)
    }

    fn make_folder(&self, folder: &Path) -> Result<(), JournalError> {
        let made = self.disk.make_folder(folder);
        made.map_err(|source| JournalError::MakeFolder {
            path: folder.to_owned(),
            source,
        })
    }

    fn restore(&self, plan: &Plan, target: &Path) -> Result<(), JournalError> {
        self.put(plan, target)?;
        if plan.after.is_none() {
            let folders = plan.known.iter().flat_map(|known| &known.folders);
            for folder in folders.rev() {
                let removed = self.disk.remove_folder(folder);
                removed.map_err(|source| not_removed(folder, source))?;
            }
        }
        let path = self.record_path(&plan.file, plan.layer);
        let removed = self.disk.remove_file(&path);
        removed.map_err(|source| not_removed(&path, source))?;
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(|source| not_removed(&path, source))
    }

    /// Makes the file what the plan says.
    fn put(&self, plan: &Plan, target: &Path) -> Result<(), JournalError> {
        if !plan.changes_the_file() {
            return Ok(());
        }
        let is_as_seen = |target: &Path| Ok(self.disk.read(target)? == plan.current);
        match &plan.after {
            Some(after) => Ok(replace(&self.disk, target, after, NEW_MODE, is_as_seen)?),
            None => self
                .disk
                .remove_file(target)
                .and_then(|()| self.disk.sync_folder(folder_of(target)))
                .map_err(|source| not_removed(target, source)),
        }
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
        let record_path = self.record_path(file, record.layer);
        let before_text = parse(&record_path, before.unwrap_or_default())?;
        let kept = take_back(&mut text, &before_text, record, tables_whole)
            .map_err(|error| edit_error(file, error))?;
        let after = text.to_bytes();
        let is_empty = after.trim_ascii().is_empty();
        Ok(((before.is_some() || !is_empty).then_some(after), kept))
    }

    fn refuse_below_a_session(&self, file: &Path, layer: Layer) -> Result<(), JournalError> {
        match layer {
            Layer::Session => Ok(()),
            Layer::Lasting if self.record(file, Layer::Session)?.is_none() => Ok(()),
            Layer::Lasting => Err(JournalError::InSession {
                path: file.to_owned(),
            }),
        }
    }

    fn record_path(&self, file: &Path, layer: Layer) -> PathBuf {
        self.folder.join(record_name(file, layer))
    }

    fn record(&self, file: &Path, layer: Layer) -> Result<Option<Record>, JournalError> {
        self.read_record(&self.record_path(file, layer))
    }

    fn read_record(&self, path: &Path) -> Result<Option<Record>, JournalError> {
        let bytes = self.read(path)?;
        bytes.map(|bytes| Record::parse(path, &bytes)).transpose()
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
        let content = self.disk.read(path);
        content.map_err(|source| unreadable(path, source))
    }

    fn make_own_folder(&self) -> Result<(), JournalError> {
        let missing = missing_folders(&self.folder.join(LOCK));
        missing
            .iter()
            .try_for_each(|folder| self.make_folder(folder))
    }

    /// Removes records that a crash has left half written.
    fn remove_own_leftovers(&self) {
        let is_temporary = |name: &str| name.starts_with('.') && name.contains(".json.polywire-");
        remove_files(&self.folder, is_temporary);
    }
}

fn unreadable(path: &Path, source: io::Error) -> JournalError {
    JournalError::Read {
        path: path.to_owned(),
        source,
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

fn not_removed(path: &Path, source: io::Error) -> JournalError {
    JournalError::Remove {
        path: path.to_owned(),
        source,
    }
}
