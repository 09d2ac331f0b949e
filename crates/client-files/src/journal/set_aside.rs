//! Removing a file that somebody may write to at the same moment.
//!
//! It is renamed first, so that nobody's writing goes to it any more, and looked at then: what is not what was seen goes back.

use std::io;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::record::{Record, sha256};
use super::records::not_removed;
use crate::disk::Disk;
use crate::replace::{folder_of, put_back_beside};

/// Where a file is while it is looked at. Not a name of a temporary file: those are removed.
fn aside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    folder_of(target).join(format!(".{name}.set-aside-by-polywire"))
}

/// Removes the file if it is what was seen.
pub(super) fn remove_seen(
    disk: &Disk,
    target: &Path,
    seen: Option<&[u8]>,
) -> Result<(), JournalError> {
    let changed = || JournalError::Changed {
        path: target.to_owned(),
    };
    let aside = aside(target);
    match disk.rename_file(target, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(changed()),
        Err(source) => return Err(not_removed(target, source)),
        Ok(()) => {}
    }
    let removed = match disk.read(&aside) {
        Ok(content) if content.as_deref() == seen => disk.remove_file(&aside),
        Ok(_) => return put_back(&aside, target).and(Err(changed())),
        Err(error) => Err(error),
    };
    if let Err(source) = removed {
        return put_back(&aside, target).and(Err(not_removed(target, source)));
    }
    let synced = disk.sync_folder(folder_of(target));
    synced.map_err(|source| not_removed(target, source))
}

fn put_back(aside: &Path, target: &Path) -> Result<(), JournalError> {
    put_back_beside(aside, target).map_err(|source| JournalError::SetAside {
        path: target.to_owned(),
        aside: aside.to_owned(),
        source,
    })
}

/// Ends what a crash has left half done: a file that is ours goes, any other goes back. One in whose place a new one stands stays where it is.
pub(super) fn settle_set_aside(target: &Path, known: &Record) {
    let aside = aside(target);
    let Ok(content) = std::fs::read(&aside) else {
        return;
    };
    if known.left_as.contains(&sha256(&content)) {
        std::fs::remove_file(&aside).ok();
    } else {
        put_back_beside(&aside, target).ok();
    }
}
