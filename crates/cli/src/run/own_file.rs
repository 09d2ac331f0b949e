//! A file of ours that a client reads for one run, for what its environment cannot tell it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use polywire_settings::Settings;
use serde_json::Value;

use super::in_use::Users;

/// A file that nobody holds is left over from a `run` that was killed and from a client that has ended, unless it is as young as this: then its `run` may be
/// about to hold it.
const LEFT_AFTER: Duration = Duration::from_mins(1);

/// Such a file. It is there as long as this is, or as the keeper of the run's gateway, and nobody else can read it.
#[derive(Debug)]
pub(crate) struct OwnFile {
    path: PathBuf,
    /// Locked, to tell others that it is in use. The system lets go of it with our process, however that ends. Several may hold it.
    _held: File,
    /// Another process of ours removes it.
    is_kept: bool,
}

impl OwnFile {
    /// Writes one for the run with this mark, in the folder for state, and removes what runs have left there that were killed.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) async fn write(
        document: &Value,
        mark: &str,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let (folder, path) = place(mark, settings);
        let write = || -> std::io::Result<File> {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.lock_shared()?;
            file.write_all(document.to_string().as_bytes())?;
            Ok(file)
        };
        let held = write().with_context(|| format!("{} could not be written", path.display()))?;
        remove_left(&folder).await;
        Ok(Self {
            path,
            _held: held,
            is_kept: false,
        })
    }

    /// Takes care of the one that `run` has written, so that it is there as long as the client, however `run` ends.
    ///
    /// # Errors
    /// It is not there, or cannot be held.
    pub(crate) fn keep(mark: &str, settings: &Settings) -> std::io::Result<Self> {
        let (_, path) = place(mark, settings);
        let held = File::open(&path)?;
        held.lock_shared()?;
        Ok(Self {
            path,
            _held: held,
            is_kept: false,
        })
    }

    /// Leaves its end to whoever [keeps](Self::keep) it.
    pub(crate) fn leave(&mut self) {
        self.is_kept = true;
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The folder of such files, and that of the run with this mark.
fn place(mark: &str, settings: &Settings) -> (PathBuf, PathBuf) {
    let folder = settings.paths.state_dir.join("runs");
    let path = folder.join(format!("{mark}.json"));
    (folder, path)
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!("{} stays: {error}", self.path.display());
        }
    }
}

/// Removes what runs have left that were killed.
async fn remove_left(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if is_left(&path).await && fs::remove_file(&path).is_err() {
            tracing::debug!("{} is left over and stays", path.display());
        }
    }
}

async fn is_left(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let age = file
        .metadata()
        .and_then(|about| about.modified())
        .ok()
        .and_then(|modified| modified.elapsed().ok());
    if age.is_none_or(|age| age <= LEFT_AFTER) || file.try_lock().is_err() {
        return false;
    }
    // On a gateway that is not the run's own nobody keeps the file when `run` is killed, and the client lives on.
    match path.file_stem().and_then(OsStr::to_str) {
        Some(mark) => !Users::new(mark).are_there().await,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[tokio::test]
    async fn only_old_files_that_nobody_holds_are_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let age = |path: &Path, age: Duration| {
            let file = File::create(path).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            file
        };
        let [young, old, held] = ["young", "old", "held"].map(|name| folder.path().join(name));
        age(&young, Duration::ZERO);
        age(&old, 2 * LEFT_AFTER);
        let holder = age(&held, 2 * LEFT_AFTER);
        holder.lock_shared().unwrap();
        remove_left(folder.path()).await;
        assert!(young.exists() && !old.exists() && held.exists());
    }
}
