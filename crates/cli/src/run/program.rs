//! Where a program is.

use std::path::{Path, PathBuf};

/// Finds a program as a shell does: a name with a slash is a path, any other is looked for on the search path. The path that comes back means the same in any
/// folder, and is never taken for a name.
pub(crate) fn find(name: &str, search_path: Option<&str>) -> Option<PathBuf> {
    let found = if name.contains('/') {
        Some(PathBuf::from(name)).filter(|path| is_program(path))
    } else {
        on_path(name, search_path)
    };
    std::path::absolute(found?).ok()
}

fn on_path(name: &str, search_path: Option<&str>) -> Option<PathBuf> {
    let folders = search_path.map(std::env::split_paths).into_iter().flatten();
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates.find(|path| is_program(path))
}

/// Whether it can be started.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
