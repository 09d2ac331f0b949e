//! Where a program is.

use std::path::{Path, PathBuf};

/// Finds a program as a shell does: a name with a slash is a path, any other is looked for on the search path.
pub(crate) fn find(name: &str, search_path: Option<&str>) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    let folders = search_path.map(std::env::split_paths).into_iter().flatten();
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates.find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
