//! The file of the store: there, and closed to others, before SQLite sees it.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use polywire_credentials::{is_private, make_private};

use crate::StoreError;

/// Makes the folder (mode 0700) and the file (mode 0600) where they are missing, and closes a file that others can read.
///
/// A folder that exists is left as it is: it may be shared on purpose. SQLite gives its log files the mode of the file.
pub(crate) fn prepare(path: &Path) -> Result<(), StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        make_folder(folder).map_err(|source| StoreError::MakeFolder {
            path: folder.to_owned(),
            source,
        })?;
    }
    make_file(path).map_err(|source| StoreError::MakeFile {
        path: path.to_owned(),
        source,
    })
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Not truncated: the file may be there, and in use.
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?;
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        close(&file)?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes everybody else's permissions away. A log file may not be there, or go at any time.
fn close(path: &Path) -> io::Result<()> {
    let closed =
        is_private(path).and_then(|private| if private { Ok(()) } else { make_private(path) });
    match closed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        closed => closed,
    }
}
