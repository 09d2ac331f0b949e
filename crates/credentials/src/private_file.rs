//! Files that only their owner may read.

use std::io;
use std::path::Path;

/// Whether nobody but the owner can read or write the file.
///
/// On systems without such permissions every file counts as private: there is nothing that we could check.
///
/// # Errors
/// The file's permissions cannot be read.
pub fn is_private(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode();
        let of_others = mode & 0o077;
        Ok(of_others == 0)
    }
    #[cfg(not(unix))]
    {
        std::fs::metadata(path)?;
        Ok(true)
    }
}

/// Takes everybody else's permissions away: mode 0600 for a file, 0700 for a folder.
///
/// # Errors
/// The permissions cannot be changed.
pub fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if std::fs::metadata(path)?.is_dir() {
            0o700
        } else {
            0o600
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        std::fs::metadata(path).map(drop)
    }
}

/// Makes a folder, with those that lead to it, that nobody else can look into. One that exists is left as it is: it may be shared on
/// purpose.
///
/// # Errors
/// It cannot be made.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}
