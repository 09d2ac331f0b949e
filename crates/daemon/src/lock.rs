//! One hand at a time on the gateway in the background.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::DaemonError;
use crate::files::make_private_folder;

/// The right to start or stop the gateway in the background. Given back when dropped, and by the system when the process ends.
#[derive(Debug)]
pub struct Lock {
    /// `None` where the file system has no locks, as some network file systems have none: then two commands at once may get into each other's way, which is
    /// better than no command at all.
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock if nobody has it; `None` when somebody has.
    ///
    /// # Errors
    /// The file cannot be made or opened, or the system refuses.
    pub fn try_take(path: &Path) -> Result<Option<Self>, DaemonError> {
        make_private_folder(path.parent().unwrap_or(Path::new(".")))?;
        let refused = |source| DaemonError::Lock {
            path: path.to_owned(),
            source,
        };
        let file = open(path).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Some(Self { _file: None }))
            }
            Err(TryLockError::Error(source)) => Err(refused(source)),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/gateway.lock");
        let first = Lock::try_take(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
