//! A home for Codex without any configuration, and with everything else.
//!
//! Every entry of the user's home is linked in but the configuration, so that the login, the conversations and the memory are the user's, and
//! what is written there is written there: Codex 0.169 goes through links to folders and databases, and notes conversations under their real
//! paths (seen on 2026-11-25). Moving the user's `config.toml` away for the time would do it too, but take it from every other Codex that
//! runs meanwhile, and a crash would leave them without it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;

use anyhow::Context;

/// What is linked even while it is missing: the login and the two files by which Codex guards it, so that a login that is made or renewed in
/// there is the user's.
const LOGIN: [&str; 3] = ["auth.json", "auth.lock", "auth.json.lock"];

/// What belongs to one configuration, or to one running Codex.
const OWN: [&str; 5] = [
    "models_cache.json",
    "app-server-control",
    "app-server-daemon",
    "tmp",
    ".tmp",
];

/// Makes the home, or brings it up to date: its links are those that the user's home asks for now. One that is right stays, for a Codex that
/// runs in there already.
pub(super) fn prepare(home: &Path, users: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home);
    made.with_context(|| format!("the folder {} could not be made", home.display()))?;
    let linked = remove_wrong_links(home, users).and_then(|()| link_all(home, users));
    linked.with_context(|| {
        format!(
            "the links in {} to {} could not be made",
            home.display(),
            users.display()
        )
    })
}

fn remove_wrong_links(home: &Path, users: &Path) -> io::Result<()> {
    for entry in fs::read_dir(home)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let Ok(to) = fs::read_link(&path) else {
            continue;
        };
        let name = name.to_string_lossy();
        let is_wanted = LOGIN.contains(&&*name) || (to.exists() && !is_left_out(&name));
        if !is_wanted || to != std::path::absolute(users.join(&*name))? {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn link_all(home: &Path, users: &Path) -> io::Result<()> {
    for name in LOGIN {
        link(&users.join(name), &home.join(name))?;
    }
    let entries = match fs::read_dir(users) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if !is_left_out(&name.to_string_lossy()) {
            link(&entry.path(), &home.join(&name))?;
        }
    }
    Ok(())
}

/// What Codex has made in there by itself stays.
fn link(to: &Path, link: &Path) -> io::Result<()> {
    if link.symlink_metadata().is_ok() {
        return Ok(());
    }
    symlink(std::path::absolute(to)?, link)
}

fn is_left_out(name: &str) -> bool {
    let is_configuration = name == "config.toml" || name.ends_with(".config.toml");
    // SQLite keeps these beside the real database.
    let is_beside_a_database = name.ends_with("-wal") || name.ends_with("-shm");
    is_configuration || is_beside_a_database || OWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_configuration_is_linked() {
        let folder = tempfile::tempdir().unwrap();
        let (users, home) = (
            folder.path().join("users"),
            folder.path().join("state/home"),
        );
        fs::create_dir_all(users.join("sessions")).unwrap();
        for name in [
            "auth.json",
            "config.toml",
            "gw.config.toml",
            "AGENTS.md",
            "a.sqlite",
            "a.sqlite-wal",
        ] {
            fs::write(users.join(name), name).unwrap();
        }
        let links = || {
            let entries = fs::read_dir(&home)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let links = entries.filter(|path| path.is_symlink());
            let mut names: Vec<String> = links
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        let login = ["auth.json", "auth.json.lock", "auth.lock"];
        prepare(&home, &users).unwrap();
        assert_eq!(
            links(),
            [&["AGENTS.md", "a.sqlite"], &login[..], &["sessions"]].concat()
        );
        // What is gone from the user's home, and what came, the next time.
        fs::remove_file(users.join("AGENTS.md")).unwrap();
        fs::write(users.join("history.jsonl"), "").unwrap();
        fs::write(home.join("models_cache.json"), "its own").unwrap();
        prepare(&home, &users).unwrap();
        assert_eq!(
            links(),
            [&["a.sqlite"], &login[..], &["history.jsonl", "sessions"]].concat()
        );
        assert_eq!(
            fs::read_to_string(home.join("models_cache.json")).unwrap(),
            "its own"
        );
        // A login that is made in there is the user's.
        fs::remove_file(users.join("auth.json")).unwrap();
        fs::write(home.join("auth.json"), "new").unwrap();
        assert_eq!(fs::read_to_string(users.join("auth.json")).unwrap(), "new");
        prepare(&home, &folder.path().join("nowhere")).unwrap();
        assert_eq!(links(), login);
    }
}
