//! The folder of the records.

use std::io;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::record::{Layer, Record, record_name};
use super::surroundings::{missing_folders, remove_files};
use crate::disk::Disk;
use crate::replace::{folder_of, replace};

/// The mode of files that are made: they may hold secrets of others.
pub(super) const NEW_MODE: u32 = 0o600;

/// The records, in one folder. It is made when something is to be kept in it.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) folder: PathBuf,
    pub(super) disk: Disk,
}

impl Records {
    /// All that can be read; the others are an error.
    pub(super) fn all(&self) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        for path in self.paths()? {
            // Taken back in this moment, when it is gone.
            records.extend(self.read_record(&path)?);
        }
        Ok(records)
    }

    fn paths(&self) -> Result<Vec<PathBuf>, JournalError> {
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
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| unreadable(&self.folder, source))?;
            paths.push(path.path());
        }
        paths.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
        Ok(paths)
    }

    /// The path by which the records know a file: another one that leads to it, as after its folder was moved and linked, or else this one.
    pub(super) fn known_path(&self, file: &Path) -> Result<PathBuf, JournalError> {
        let is_known = [Layer::Lasting, Layer::Session]
            .iter()
            .any(|layer| self.path(file, *layer).exists());
        if is_known {
            return Ok(file.to_owned());
        }
        let real = real_path(file);
        // What cannot be understood is of another file, or is told when it is asked for by its name.
        let paths = self.paths()?;
        let records = paths
            .iter()
            .filter_map(|path| self.read_record(path).ok().flatten());
        let mut same = records.filter(|record| real_path(&record.file) == real);
        Ok(same.next().map_or(file.to_owned(), |record| record.file))
    }

    /// Where the record of an edit of this file is kept.
    pub(super) fn path(&self, file: &Path, layer: Layer) -> PathBuf {
        self.folder.join(record_name(file, layer))
    }

    /// The record of an edit of this file.
    pub(super) fn get(&self, file: &Path, layer: Layer) -> Result<Option<Record>, JournalError> {
        self.read_record(&self.path(file, layer))
    }

    /// Writes a record, to the disk.
    pub(super) fn write(&self, record: &Record) -> Result<(), JournalError> {
        let path = self.path(&record.file, record.layer);
        let content = record.render(&path)?;
        Ok(replace(&self.disk, &path, &content, NEW_MODE, |_| {
            Ok(true)
        })?)
    }

    /// Removes a record, from the disk.
    pub(super) fn remove(&self, file: &Path, layer: Layer) -> Result<(), JournalError> {
        let path = self.path(file, layer);
        let removed = self.disk.remove_file(&path);
        removed
            .and_then(|()| self.disk.sync_folder(&self.folder))
            .map_err(|source| not_removed(&path, source))
    }

    pub(super) fn make_folder(&self) -> Result<(), JournalError> {
        let missing = missing_folders(&self.folder.join("any"));
        missing
            .iter()
            .try_for_each(|folder| make_folder(&self.disk, folder))
    }

    /// Removes records that a crash has left half written. To be called under the lock.
    pub(super) fn remove_leftovers(&self) {
        let is_temporary = |name: &str| name.starts_with('.') && name.contains(".json.polywire-");
        remove_files(&self.folder, is_temporary);
    }

    fn read_record(&self, path: &Path) -> Result<Option<Record>, JournalError> {
        let bytes = read(&self.disk, path)?;
        bytes.map(|bytes| Record::parse(path, &bytes)).transpose()
    }
}

/// Where a path leads in the end, even if the file is not there.
fn real_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let folder = folder_of(path).canonicalize();
        match (folder, path.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name),
            (Ok(_) | Err(_), _) => path.to_owned(),
        }
    })
}

pub(super) fn read(disk: &Disk, path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    disk.read(path).map_err(|source| unreadable(path, source))
}

pub(super) fn make_folder(disk: &Disk, folder: &Path) -> Result<(), JournalError> {
    let made = disk.make_folder(folder);
    made.map_err(|source| JournalError::MakeFolder {
        path: folder.to_owned(),
        source,
    })
}

fn unreadable(path: &Path, source: io::Error) -> JournalError {
    JournalError::Read {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn not_removed(path: &Path, source: io::Error) -> JournalError {
    JournalError::Remove {
        path: path.to_owned(),
        source,
    }
}
