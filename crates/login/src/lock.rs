//! The locks that every program takes which renews a login.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::LoginError;

/// How often a lock that somebody holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(25);

/// A lock that is held. Dropping it, and the end of the process, gives it back.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Option<File>,
}

/// Takes an exclusive lock on a file, which is made if it is missing, within `wait`.
///
/// Asked for again and again instead of waited for: a thread that waits in the kernel for a lock cannot be called back, and would
/// keep the process from ending while another one is stopped in a debugger with the lock in its hands.
pub(crate) async fn lock(path: &Path, wait: Duration) -> Result<Lock, LoginError> {
    let failed = |source: io::Error| LoginError::Write {
        path: path.to_owned(),
        source: Arc::new(source),
    };
    let file = open(path).map_err(failed)?;
    let end = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: Some(file) }),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(LoginError::Locked {
                    path: path.to_owned(),
                    wait,
                });
            }
            // Some network file systems have no locks. Codex's would be none either.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "files cannot be locked here: two programs that renew the login at once may lose it");
                return Ok(Lock { _file: None });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// The locks to hold while the login at `file`, which may be a symbolic link to `target`, is renewed.
///
/// Codex locks `auth.lock` in its own folder, wherever `auth.json` leads. So that a program whose folder is the real one is kept away
/// as well, the lock beside the target is taken too; always second, so that two programs never wait for each other.
pub(crate) async fn for_renewal(
    file: &Path,
    target: &Path,
    wait: Duration,
) -> Result<Vec<Lock>, LoginError> {
    let mut folders = vec![folder(file)];
    if !is_same(&folder(file), &folder(target)) {
        folders.push(folder(target));
    }
    let mut locks = Vec::new();
    for folder in folders {
        locks.push(lock(&folder.join("auth.lock"), wait).await?);
    }
    Ok(locks)
}

/// The lock that Codex holds while it writes. Unlike `auth.lock` it is beside the file that a link leads to (Codex 0.169, seen in its
/// system calls on 2026-11-25).
pub(crate) fn for_writing(target: &Path) -> PathBuf {
    folder(target).join("auth.json.lock")
}

fn folder(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).to_owned()
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), _) | (_, Err(_)) => one == other,
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.lock");
        let held = lock(&path, Duration::ZERO).await.unwrap();
        let refused = lock(&path, Duration::from_millis(30)).await.unwrap_err();
        assert!(matches!(refused, LoginError::Locked { .. }), "{refused}");
        let waiting = lock(&path, Duration::from_mins(1));
        let (taken, ()) = tokio::join!(waiting, async { drop(held) });
        taken.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_to_another_folder_takes_both_locks() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        std::fs::create_dir(&here).unwrap();
        std::fs::create_dir(&there).unwrap();
        let (file, target) = (here.join("auth.json"), there.join("auth.json"));
        let locks = for_renewal(&file, &target, Duration::ZERO).await.unwrap();
        for folder in [&here, &there] {
            let taken = lock(&folder.join("auth.lock"), Duration::ZERO).await;
            assert!(matches!(taken, Err(LoginError::Locked { .. })));
        }
        drop(locks);
        // One folder under two names has one lock.
        std::os::unix::fs::symlink(&here, folder.path().join("alias")).unwrap();
        let alias = folder.path().join("alias/auth.json");
        let locks = for_renewal(&file, &alias, Duration::ZERO).await.unwrap();
        assert_eq!(locks.len(), 1);
    }
}
