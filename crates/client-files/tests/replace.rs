//! Replacing a file: through links, with mode kept, the old or the new content and nothing beside it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use polywire_client_files::{ReplaceError, replace_atomically};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    replace_atomically(&path, b"one", 0o600).unwrap();
    assert_eq!(
        (fs::read(&path).unwrap(), mode(&path)),
        (b"one".to_vec(), 0o600)
    );
    set_mode(&path, 0o640);
    replace_atomically(&path, b"two", 0o600).unwrap();
    assert_eq!(
        (fs::read(&path).unwrap(), mode(&path)),
        (b"two".to_vec(), 0o640)
    );
    assert_eq!(names(folder.path()), ["config.toml"]);
}

#[test]
fn links_stay_links() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("dotfiles/real.toml");
    fs::create_dir(real.parent().unwrap()).unwrap();
    fs::write(&real, "old").unwrap();
    let near = folder.path().join("near.toml");
    let far = folder.path().join("far.toml");
    symlink("dotfiles/real.toml", &near).unwrap();
    symlink(&near, &far).unwrap();
    replace_atomically(&far, b"new", 0o600).unwrap();
    assert_eq!(fs::read(&real).unwrap(), b"new");
    assert!(near.is_symlink() && far.is_symlink());
    assert_eq!(names(folder.path()), ["dotfiles", "far.toml", "near.toml"]);
    // One that leads to nothing yet makes what it leads to.
    let dangling = folder.path().join("dangling.toml");
    symlink("dotfiles/later.toml", &dangling).unwrap();
    replace_atomically(&dangling, b"made", 0o600).unwrap();
    assert!(dangling.is_symlink());
    assert_eq!(
        fs::read(folder.path().join("dotfiles/later.toml")).unwrap(),
        b"made"
    );
}

#[test]
fn what_may_not_be_changed_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, "old").unwrap();
    set_mode(&path, 0o444);
    let error = replace_atomically(&path, b"new", 0o600).unwrap_err();
    assert!(matches!(error, ReplaceError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("\nhint: `chmod u+w "), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    let nowhere = folder.path().join("gone/config.toml");
    let error = replace_atomically(&nowhere, b"new", 0o600).unwrap_err();
    assert!(matches!(error, ReplaceError::Write { .. }), "{error}");
    // A folder is no file.
    let error = replace_atomically(folder.path(), b"new", 0o600).unwrap_err();
    assert!(matches!(error, ReplaceError::Replace { .. }), "{error}");
    assert_eq!(names(folder.path()), ["config.toml"]);
}
