//! Carrying out plans: the record first, then the file.

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::journal::Journal;
use super::lock::lock;
use super::plan::Plan;
use super::record::Record;
use super::records::{NEW_MODE, make_folder, not_removed, read};
use super::set_aside::{remove_seen, settle_set_aside};
use super::surroundings::{missing_folders, remove_leftovers};
use crate::replace::{link_target, replace};

/// The name of the file that is locked while one process edits.
const LOCK: &str = "lock";

impl Journal {
    /// Carries out a plan. `note` is remembered with an edit that is made.
    ///
    /// When this fails the file is as it was or as planned, whole in either case, and planning anew goes on from there.
    ///
    /// # Errors
    /// The file or its record has changed since the plan was made; or something cannot be written.
    pub fn carry_out(&self, plan: &Plan, note: Option<String>) -> Result<(), JournalError> {
        self.records.make_folder()?;
        let _lock = lock(&self.disk, &self.records.folder.join(LOCK))?;
        self.refuse_below_a_session(&plan.file, plan.layer)?;
        let target = link_target(&plan.file);
        remove_leftovers(&target);
        self.records.remove_leftovers();
        if let Some(known) = &plan.known {
            settle_set_aside(&target, known);
        }
        if self.records.get(&plan.file, plan.layer)? != plan.known
            || read(&self.disk, &target)? != plan.current
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
        let missing = missing_folders(target);
        let mut record = record.clone();
        record.note = note;
        let earlier = plan.known.iter().flat_map(|known| known.folders.clone());
        record.folders = earlier.chain(missing.clone()).collect();
        if !plan.changes_the_file() && plan.known.as_ref() == Some(&record) {
            return Ok(());
        }
        let made = self.note_and_put(plan, target, &record, &missing);
        if made.is_err() && self.disk.read(target).is_ok_and(|now| now != plan.after) {
            self.forget(plan, &missing);
        }
        made
    }

    fn note_and_put(
        &self,
        plan: &Plan,
        target: &Path,
        record: &Record,
        missing: &[PathBuf],
    ) -> Result<(), JournalError> {
        match &plan.known {
            Some(known) => {
                let covering = record.covering(known, plan.current.as_deref());
                self.records.write(&covering)?;
            }
            None => self.records.write(record)?,
        }
        for folder in missing {
            make_folder(&self.disk, folder)?;
        }
        self.put(plan, target)?;
        match &plan.known {
            Some(_) => self.records.write(record),
            None => Ok(()),
        }
    }

    /// Leaves the records as if an edit that was not made had never been tried, so that it keeps nobody from theirs. Where that fails too, the
    /// record that stays says no more than what taking back finds out by itself.
    fn forget(&self, plan: &Plan, made: &[PathBuf]) {
        for folder in made.iter().rev() {
            self.disk.remove_folder(folder).ok();
        }
        let forgotten = match &plan.known {
            Some(known) => self.records.write(known),
            None => self.records.remove(&plan.file, plan.layer),
        };
        forgotten.ok();
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
        self.records.remove(&plan.file, plan.layer)
    }

    /// Makes the file what the plan says.
    fn put(&self, plan: &Plan, target: &Path) -> Result<(), JournalError> {
        if !plan.changes_the_file() {
            return Ok(());
        }
        let is_as_seen = |target: &Path| Ok(self.disk.read(target)? == plan.current);
        match &plan.after {
            Some(after) => Ok(replace(&self.disk, target, after, NEW_MODE, is_as_seen)?),
            None => remove_seen(&self.disk, target, plan.current.as_deref()),
        }
    }
}
