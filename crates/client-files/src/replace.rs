//! A new content in the place of an old one: the file is the one or the other, whatever happens.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// The most symbolic links that are followed, as in the kernel.
const LINKS_MAX: usize = 40;

/// A file that could not be replaced. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Its owner has made it read-only, which is a wish.
    #[error("{} is read-only\nhint: `chmod u+w {}` if it may be changed", path.display(), path.display())]
    ReadOnly {
        /// Where the path leads, past symbolic links.
        path: PathBuf,
    },
    /// The new content could not be written beside it.
    #[error("nothing could be written in the folder of {}", path.display())]
    Write {
        /// The file to replace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The new content could not be put in its place.
    #[error("{} could not be replaced", path.display())]
    Replace {
        /// The file to replace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else has written to it meanwhile.
    #[error("{} was changed by somebody else at the same moment\nhint: try again", path.display())]
    Changed {
        /// The file to replace.
        path: PathBuf,
    },
}

/// Replaces the content of the file that `path` leads to, past symbolic links, or makes it. Its folder must be there.
///
/// The new content is written beside the file, brought to the disk, and renamed over it, so that no reader sees half of it and no crash
/// leaves half of it. Mode and owner stay; a file that is made has mode `new_mode` from its first byte. When this returns, the disk has it.
///
/// # Errors
/// The file is read-only, or nothing can be written in its folder, or the disk is full, or its owner cannot be kept. The file is as it was.
pub fn replace_atomically(path: &Path, content: &[u8], new_mode: u32) -> Result<(), ReplaceError> {
    replace(&Disk::new(), path, content, new_mode, |_| Ok(true))
}

/// The same on this disk. `is_as_seen` is asked for the target at the last moment; when it says no, nothing is replaced.
pub(crate) fn replace(
    disk: &Disk,
    path: &Path,
    content: &[u8],
    new_mode: u32,
    is_as_seen: impl Fn(&Path) -> io::Result<bool>,
) -> Result<(), ReplaceError> {
    let target = link_target(path);
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(|old| old.permissions().readonly()) {
        return Err(ReplaceError::ReadOnly { path: target });
    }
    let written = disk.write_beside(&target, content, old.as_ref(), new_mode);
    let file = written.map_err(|source| ReplaceError::Write {
        path: target.clone(),
        source,
    })?;
    let failed = |source| ReplaceError::Replace {
        path: target.clone(),
        source,
    };
    if !is_as_seen(&target).map_err(failed)? {
        return Err(ReplaceError::Changed {
            path: target.clone(),
        });
    }
    disk.rename(file, &target)
        .and_then(|()| disk.sync_folder(folder_of(&target)))
        .map_err(failed)
}

/// Gives a file its name back, if nothing has that name by now.
pub(crate) fn put_back_beside(aside: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(aside, target) {
        Ok(()) => fs::remove_file(aside),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Some file systems have no second names.
        Err(_) if target.symlink_metadata().is_err() => fs::rename(aside, target),
        Err(error) => Err(error),
    }
}

/// Where a path leads, past symbolic links. A rename over a link would replace the link.
pub(crate) fn link_target(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&target) else {
            break;
        };
        // A relative link starts from the folder that it is in.
        target = folder_of(&target).join(next);
    }
    target
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

/// How temporary files beside a file are called: hidden, and told from everybody else's.
pub(crate) fn temporary_prefix(name: &str) -> String {
    format!(".{name}.polywire-")
}
