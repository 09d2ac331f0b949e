//! The environment, behind a trait, so that tests need no real one.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variable that holds the gateway's token: the only one of ours that holds a secret.
pub const TOKEN_VARIABLE: &str = "POLYWIRE_TOKEN";

/// The variables of ours that hold no secret, so that they may be written down for the next start.
pub const PLAIN_VARIABLES: [&str; 11] = [
    "POLYWIRE_AUTH",
    "POLYWIRE_CHATGPT_URL",
    "POLYWIRE_CODEX_ISSUER",
    "POLYWIRE_CONFIG",
    "POLYWIRE_DEFAULT_PROVIDER",
    "POLYWIRE_LISTEN",
    "POLYWIRE_LOG",
    "POLYWIRE_LOG_FORMAT",
    "POLYWIRE_STORE",
    "POLYWIRE_STRICT",
    "CODEX_HOME",
];

/// Environment variables and the home folder.
pub trait Environment {
    /// The value of a variable; `None` when it is not set or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// The user's home folder.
    fn home(&self) -> Option<PathBuf>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl ProcessEnvironment {
    /// The names of the variables that begin so.
    pub fn names_with(self, prefix: &str) -> Vec<String> {
        let names = std::env::vars_os().map(|(name, _)| name);
        names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| name.starts_with(prefix))
            .collect()
    }
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place where the environment is read"
        )]
        std::env::var(name).ok()
    }

    fn home(&self) -> Option<PathBuf> {
        etcetera::home_dir().ok()
    }
}

/// Variables by name; `HOME` is the home folder.
impl Environment for BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }
}
