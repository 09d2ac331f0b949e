//! Noticing that the settings changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::Paths;

/// Notices changes of the settings file and of the `.env` file beside it.
///
/// Meant to be asked when a turn begins: it looks at two files' metadata and reads nothing, a few microseconds in all. Reloading is
/// the caller's work.
#[derive(Clone, Debug)]
pub struct Watch {
    files: [(PathBuf, Stamp); 2],
}

/// What changes when a file is edited or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    Missing,
    Present {
        modified: Option<SystemTime>,
        bytes: u64,
        /// Tells a replaced file from the old one even when both were written in the same moment.
        inode: u64,
    },
}

impl Watch {
    /// Begins to watch. Take it before reading the settings, so that a change in between is not missed.
    pub fn new(paths: &Paths) -> Self {
        let watched = |path: &Path| (path.to_owned(), Stamp::of(path));
        Self {
            files: [watched(&paths.config_file), watched(&paths.env_file)],
        }
    }

    /// Whether anything changed since it was last asked. Each change is told once.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, stamp) in &mut self.files {
            let now = Stamp::of(path);
            changed |= now != *stamp;
            *stamp = now;
        }
        changed
    }
}

impl Stamp {
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(metadata) => Stamp::Present {
                modified: metadata.modified().ok(),
                bytes: metadata.len(),
                inode: inode(&metadata),
            },
            Err(_) => Stamp::Missing,
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
