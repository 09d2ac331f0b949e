//! What lies around a file: folders that it needs, and what a crash has left beside it.

use std::path::{Path, PathBuf};

use crate::replace::{folder_of, temporary_prefix};

/// The folders that a file needs and that are not there, the outermost first.
pub(super) fn missing_folders(target: &Path) -> Vec<PathBuf> {
    let above = folder_of(target).ancestors();
    let missing = above.take_while(|folder| *folder != Path::new("") && !folder.exists());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    missing.reverse();
    missing
}

/// Removes the temporary files that a crash has left beside a file. To be called under the lock: what looks like one is one then.
pub(super) fn remove_leftovers(target: &Path) {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let prefix = temporary_prefix(&name);
    remove_files(folder_of(target), |name| name.starts_with(&prefix));
}

/// Removes the files of these names. One that stays harms nobody.
pub(super) fn remove_files(folder: &Path, is_meant: impl Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if is_meant(&entry.file_name().to_string_lossy()) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}
