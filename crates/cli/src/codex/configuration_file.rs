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
        let home = CodexPlaces::find(&ProcessEnvironment)?.home;
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
