//! The folder of a turn's files.

use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// The folder of a turn's files. Removed with it.
///
/// As long as it is at work it holds a lock on the folder, which the system gives back however polywire ends. So whoever finds a folder knows whether
/// anybody works there, even somebody in a container. The turn's process does not inherit it.
pub(super) struct Folder {
    folder: TempDir,
    /// `None` where the file system has no locks.
    _lock: Option<File>,
}

impl Folder {
    pub(super) fn new(scratch: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("turn-")
            .tempdir_in(scratch)?;
        let lock = File::open(folder.path())?;
        // Only those hold it against us who look whether we do, for an instant.
        let locked = lock.lock_shared();
        Ok(Self {
            folder,
            _lock: locked.is_ok().then_some(lock),
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::TryLockError;

    use super::*;

    #[test]
    fn a_folder_is_locked_until_it_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::new(scratch.path()).unwrap();
        let other = File::open(folder.path()).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
        assert!(other.try_lock().is_ok());
    }
}
