//! A new content in the place of an old one: the file is the one or the other, whatever happens.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

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
}

/// Replaces the content of the file that `path` leads to, past symbolic links, or makes it. Its folder must be there.
///
/// The new content is written beside the file, brought to the disk, and renamed over it, so that no reader sees half of it and no crash
/// leaves half of it. Mode and owner stay; a file that is made has mode `new_mode` from its first byte. When this returns, the disk has it.
///
/// # Errors
/// The file is read-only, or nothing can be written in its folder, or the disk is full, or its owner cannot be kept. The file is as it was.
pub fn replace_atomically(path: &Path, content: &[u8], new_mode: u32) -> Result<(), ReplaceError> {
    let target = link_target(path);
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(|old| old.permissions().readonly()) {
        return Err(ReplaceError::ReadOnly { path: target });
    }
    let file = written_beside(&target, content, old.as_ref(), new_mode).map_err(|source| {
        ReplaceError::Write {
            path: target.clone(),
            source,
        }
    })?;
    let replaced = file.persist(&target).map_err(|error| error.error);
    replaced
        .and_then(|_| sync_folder(folder_of(&target)))
        .map_err(|source| ReplaceError::Replace {
            path: target.clone(),
            source,
        })
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

fn written_beside(
    target: &Path,
    content: &[u8],
    old: Option<&Metadata>,
    new_mode: u32,
) -> io::Result<NamedTempFile> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut file = tempfile::Builder::new()
        .prefix(&temporary_prefix(&name))
        .tempfile_in(folder_of(target))?;
    keep_owner_and_mode(file.as_file(), old, new_mode)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// How temporary files beside a file are called: hidden, and told from everybody else's.
pub(crate) fn temporary_prefix(name: &str) -> String {
    format!(".{name}.polywire-")
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, old: Option<&Metadata>, new_mode: u32) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let new = file.metadata()?;
    if let Some(old) = old
        && (old.uid(), old.gid()) != (new.uid(), new.gid())
    {
        // Root edits somebody's file: it must stay theirs.
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    let mode = old.map_or(new_mode, |old| old.permissions().mode() & 0o7777);
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: Option<&Metadata>, _: u32) -> io::Result<()> {
    Ok(())
}

/// Brings a new name to the disk. Systems where a folder cannot be opened write it by themselves.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(_) => Ok(()),
    }
}
