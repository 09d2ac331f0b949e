//! Where everything is kept.

use std::path::{Component, Path, PathBuf};

use crate::providers::expand;
use crate::{Environment, Overrides, SettingsError};

/// Where everything is kept, by the XDG rules on every system: command-line tools keep to `~/.config` on macOS too, and one rule
/// is easier to write down than two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The settings file.
    pub config_file: PathBuf,
    /// The folder of the settings file.
    pub config_dir: PathBuf,
    /// Keys as `NAME=value` lines, beside the settings file.
    pub env_file: PathBuf,
    /// What polywire keeps for itself.
    pub state_dir: PathBuf,
    /// The gateway's token.
    pub token_file: PathBuf,
    /// Whether the user named the settings file, so that it has to be there.
    pub config_named: bool,
    /// Whether the settings file is the one that is read when the user names none.
    pub config_is_usual: bool,
}

impl Paths {
    /// Finds the places: `--config`, then `POLYWIRE_CONFIG`, then `$XDG_CONFIG_HOME/polywire/config.toml`.
    ///
    /// # Errors
    /// There is no home folder, and the variables that could stand in for it are not set.
    pub fn find(
        overrides: &Overrides,
        environment: &dyn Environment,
    ) -> Result<Self, SettingsError> {
        let named = overrides.config.clone().or_else(|| {
            environment
                .variable("POLYWIRE_CONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        });
        let config_named = named.is_some();
        let usual = folder(environment, "XDG_CONFIG_HOME", ".config");
        let usual = usual.map(|folder| folder.join("config.toml"));
        let (config_file, config_is_usual) = match named {
            Some(path) => {
                let is_usual = usual.is_ok_and(|usual| is_same_file(&path, &usual));
                (path, is_usual)
            }
            None => (usual?, true),
        };
        let config_dir = config_file.parent().unwrap_or(Path::new("")).to_owned();
        let state_dir = folder(environment, "XDG_STATE_HOME", ".local/state")?;
        Ok(Self {
            env_file: config_dir.join(".env"),
            token_file: state_dir.join("token"),
            config_file,
            config_dir,
            state_dir,
            config_named,
            config_is_usual,
        })
    }
}

impl Paths {
    /// A path as it stands in the settings: `~/` is the home folder, other relative paths start at the settings file.
    pub fn expand(&self, path: &Path, environment: &dyn Environment) -> PathBuf {
        expand(path, &self.config_dir, environment.home().as_deref())
    }

    /// The one path of the settings file, without links, whether it is there yet or not.
    pub fn whole_config_file(&self) -> PathBuf {
        plain(&self.config_file)
    }

    /// Whether a file is one that polywire keeps for itself: a key, the token, and whatever else is in its own folders.
    pub fn is_kept(&self, path: &Path) -> bool {
        let folders = [self.config_dir.join("keys"), self.state_dir.clone()];
        let folders = folders.map(|folder| plain(&folder));
        // The keys of the usual settings are polywire's, too, when others are in force.
        let is_key = |folder: &Path| folder.ends_with("polywire/keys");
        let path = plain(path);
        let mut above = path.ancestors().skip(1);
        above.any(|folder| is_key(folder) || folders.iter().any(|own| own == folder))
    }
}

/// A path without links, `.` and `..`, as far as there is something of it.
fn plain(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                plain.push(part);
                plain = plain.canonicalize().unwrap_or(plain);
            }
        }
    }
    plain
}

/// Whether two paths lead to the same place, whether or not there is a file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    plain(one) == plain(other)
}

/// Our folder in one of the XDG folders. A relative path in the variable is ignored, as the XDG rules want it.
fn folder(
    environment: &dyn Environment,
    variable: &'static str,
    below_home: &str,
) -> Result<PathBuf, SettingsError> {
    let base = environment
        .variable(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| environment.home().map(|home| home.join(below_home)));
    match base {
        Some(base) => Ok(base.join("polywire")),
        None => Err(SettingsError::NoHome { variable }),
    }
}
