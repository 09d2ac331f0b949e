//! Small files of ours: whole or not at all, and private from their first byte.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DaemonError;

/// Makes a folder that only its owner may enter, with those that lead to it. One that is there stays as it is.
///
/// # Errors
/// It cannot be made.
pub fn make_private_folder(path: &Path) -> Result<(), DaemonError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|source| DaemonError::MakeFolder {
            path: path.to_owned(),
            source,
        })
}

/// Reads a JSON file; `None` when there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DaemonError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DaemonError::read(path, source)),
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(source) => Err(DaemonError::Parse {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Replaces a JSON file with mode 0600. A crash leaves the old one or the new one.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DaemonError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_private_folder(folder)?;
    let written = serde_json::to_vec_pretty(value)
        .map_err(io::Error::from)
        .and_then(|mut bytes| {
            bytes.push(b'\n');
            replace(folder, path, &bytes, None)
        });
    written.map_err(|source| DaemonError::write(path, source))
}

/// Replaces a file that everybody may read, as unit files are.
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), DaemonError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| DaemonError::MakeFolder {
        path: folder.to_owned(),
        source,
    })?;
    replace(folder, path, text.as_bytes(), Some(0o644))
        .map_err(|source| DaemonError::write(path, source))
}

fn replace(folder: &Path, path: &Path, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
    // Temporary files have mode 0600 from the moment they are made.
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    #[cfg(unix)]
    if let Some(mode) = mode {
        use std::os::unix::fs::PermissionsExt;
        temporary
            .as_file()
            .set_permissions(fs::Permissions::from_mode(mode))?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    // The name is safe only when its folder has been written too. Some file systems cannot be asked for that.
    File::open(folder)?.sync_all().or_else(|error| {
        if error.kind() == io::ErrorKind::InvalidInput {
            Ok(())
        } else {
            Err(error)
        }
    })
}
