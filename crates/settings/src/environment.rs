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

/// The variables that say how the network is reached: proxies, and whom to trust. Their values may hold a password.
pub const NETWORK_VARIABLES: [&str; 10] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Names the run (`polywire run`), in every process that comes of it.
pub const RUN_VARIABLE: &str = "POLYWIRE_RUN";

/// The names of the variables that a run has set for its client, and the runs around it, with commas between them.
pub const RUN_SET_VARIABLE: &str = "POLYWIRE_RUN_SET";

/// Environment variables and the home folder.
pub trait Environment {
    /// The value of a variable; `None` when it is not set or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// The user's home folder.
    fn home(&self) -> Option<PathBuf>;
}

/// The environment of this process, without what a run around it has set for its client: the address and the token of a gateway of ours are neither an
/// endpoint nor a key of the user's.
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

    /// The names of the variables that come of a run around this process, those that name it included. What outlives the run must not have them.
    pub fn names_of_run(self) -> Vec<String> {
        let own = [RUN_VARIABLE, RUN_SET_VARIABLE].map(str::to_owned);
        set_by_run(read(RUN_SET_VARIABLE).as_deref())
            .map(str::to_owned)
            .chain(own)
            .collect()
    }
}

fn read(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where the environment is read"
    )]
    std::env::var(name).ok()
}

/// The names that a run has written down.
fn set_by_run(names: Option<&str>) -> impl Iterator<Item = &str> {
    let names = names.unwrap_or_default().split(',');
    names.filter(|name| !name.is_empty())
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        let names = read(RUN_SET_VARIABLE);
        let mut set = set_by_run(names.as_deref());
        read(name).filter(|_| set.all(|set| set != name))
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
