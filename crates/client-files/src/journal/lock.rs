//! One process edits at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::JournalError;
use crate::disk::Disk;

/// How long another polywire is waited for. An edit takes milliseconds; a slow disk a second.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How often a lock that somebody holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Takes the lock, or waits for it. It goes with the file that is given, and with the process. `None` where files cannot be locked: some network
/// file systems have no locks, and the last look before the rename is all there is then.
pub(super) fn lock(disk: &Disk, path: &Path) -> Result<Option<File>, JournalError> {
    lock_within(disk, path, LOCK_WAIT)
}

fn lock_within(disk: &Disk, path: &Path, wait: Duration) -> Result<Option<File>, JournalError> {
    let failed = |source| JournalError::Lock {
        path: path.to_owned(),
        source,
    };
    let file = disk.open_lock(path).map_err(failed)?;
    let end = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(ASK_AGAIN);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked {
                    path: path.to_owned(),
                    wait,
                });
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let disk = Disk::new();
        let held = lock(&disk, &path).unwrap();
        let refused = lock_within(&disk, &path, Duration::from_millis(30)).unwrap_err();
        assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
        assert!(refused.to_string().contains("\nhint: "), "{refused}");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&disk, &path));
            drop(held);
            assert!(waiting.join().unwrap().unwrap().is_some());
        });
    }
}
