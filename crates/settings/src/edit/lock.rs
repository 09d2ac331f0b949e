//! One polywire at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use polywire_credentials::make_private_folder;

use crate::{EditError, Paths};

/// How long another polywire is waited for. A change takes milliseconds; one that waits for a keyring takes some seconds.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// How often the lock is tried meanwhile.
const PAUSE: Duration = Duration::from_millis(25);

/// The lock that everybody holds who changes the settings. It goes with the process.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, which stands in the folder for state, so that nothing of ours lies about beside the user's file.
    pub(super) fn take(paths: &Paths) -> Result<Self, EditError> {
        let folder = &paths.state_dir;
        make_private_folder(folder).map_err(|source| EditError::MakeFolder {
            path: folder.clone(),
            source,
        })?;
        let path = folder.join("settings.lock");
        let file = open(&path).map_err(|source| EditError::Lock {
            path: path.clone(),
            source,
        })?;
        let begin = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if begin.elapsed() < WAIT_MAX => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(EditError::Locked { path }),
                Err(TryLockError::Error(source)) => return Err(EditError::Lock { path, source }),
            }
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
