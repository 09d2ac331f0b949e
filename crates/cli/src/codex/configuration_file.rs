//! Where Codex's configuration is, and the journal of our edits of it.

use std::path::{Path, PathBuf};

use polywire_client_files::Journal;
use polywire_settings::{CodexPlaces, Paths, ProcessEnvironment};

/// One of Codex's configuration files.
pub(crate) struct ConfigurationFile {
    /// The file to edit.
    pub(crate) path: PathBuf,
    /// The file that Codex reads before it; `None` when it is that one.
    pub(crate) base: Option<PathBuf>,
    /// The name of the profile that it is.
    pub(crate) profile: Option<String>,
}

impl ConfigurationFile {
    /// `config.toml` in Codex's folder, or the file of a profile beside it.
    pub(crate) fn find(profile: Option<&str>) -> anyhow::Result<Self> {
        let home = real(&CodexPlaces::find(&ProcessEnvironment)?.home)?;
        let config = home.join("config.toml");
        let Some(name) = profile else {
            return Ok(Self {
                path: config,
                base: None,
                profile: None,
            });
        };
        anyhow::ensure!(
            is_profile_name(name),
            "`{name}` is no name for a profile\nhint: letters, digits, `-` and `_`"
        );
        Ok(Self {
            path: home.join(format!("{name}.config.toml")),
            base: Some(config),
            profile: Some(name.to_owned()),
        })
    }
}

/// The folder under its one real name, so that an edit is found again however the folder is named the next time. It may not be there yet.
fn real(folder: &Path) -> std::io::Result<PathBuf> {
    let folder = std::path::absolute(folder)?;
    let found = folder.ancestors().find_map(|above| {
        let real = above.canonicalize().ok()?;
        Some(real.join(folder.strip_prefix(above).ok()?))
    });
    // A path with nothing behind it would end with a slash.
    Ok(found.map_or(folder, |found| found.components().collect()))
}

fn is_profile_name(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    !name.is_empty() && name.chars().all(is_plain)
}

/// The journal of edits of clients' files.
pub(crate) fn journal(paths: &Paths) -> Journal {
    Journal::new(edits_folder(&paths.state_dir))
}

fn edits_folder(state: &Path) -> PathBuf {
    state.join("edits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().canonicalize().unwrap();
        std::fs::create_dir(there.join("real")).unwrap();
        std::os::unix::fs::symlink("real", there.join("link")).unwrap();
        for (named, expected) in [
            ("real", "real"),
            ("real/", "real"),
            ("link/", "real"),
            ("link/./later/sub", "real/later/sub"),
            ("later", "later"),
        ] {
            assert_eq!(real(&there.join(named)).unwrap(), there.join(expected));
            let bytes = real(&there.join(named)).unwrap().into_os_string();
            assert_eq!(bytes, there.join(expected).into_os_string());
        }
    }
}
