//! Settings: one typed struct, and where each value came from.
//!
//! The only crate that reads the environment. Values come from, the first that has one: the command line, `POLYWIRE_*`
//! variables, the settings file, the `.env` file beside it (for keys only), defaults. A broken file is an error with a place and a
//! way out, never a half-read configuration.
//!
//! Reading order: [`Settings`], [`load`], [`Paths`], [`Watch`], [`Edit`].

mod codex;
mod dotenv;
mod edit;
mod engines;
mod environment;
mod error;
mod exposure;
mod file;
mod keeping;
mod key_hint;
mod load;
mod log_file;
mod log_format;
mod paths;
mod providers;
mod search;
mod suggest;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use polywire_catalog::Catalog;
use polywire_credentials::Keyring;
pub use polywire_credentials::{KeyError, KeySource, KeyringEntry, Proxy, Secret};
pub use polywire_engine::EngineSettings;

pub use codex::CodexPlaces;
pub use edit::{Edit, EditError, KeyPath, TomlValue, parse_value, toml_text};
pub use environment::{
    Environment, NETWORK_VARIABLES, PLAIN_VARIABLES, ProcessEnvironment, RUN_SET_VARIABLE,
    RUN_VARIABLE, TOKEN_VARIABLE,
};
pub use error::SettingsError;
pub use keeping::{ReceiptSettings, StoreSettings};
pub use load::load;
pub use log_file::LogFileSettings;
pub use log_format::{LogFormat, UnknownLogFormat};
pub use paths::Paths;
pub use search::{SearchProvider, SearchSettings};
pub use watch::Watch;

/// The port that polywire listens on when nobody says otherwise.
pub const DEFAULT_PORT: u16 = 4891;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How clients reach us.
    pub server: ServerSettings,
    /// Providers, models, aliases and routes.
    pub catalog: Catalog,
    /// Where each provider's key comes from, by provider id.
    pub keys: BTreeMap<String, KeySource>,
    /// The engines, by provider.
    pub engines: BTreeMap<String, EngineSettings>,
    /// How providers are reached whose table says so, by provider id; the others as the environment says.
    pub proxies: BTreeMap<String, Proxy>,
    /// Where the login of each provider is that is reached by one, by provider id.
    pub logins: BTreeMap<String, CodexPlaces>,
    /// The gateway's token when `POLYWIRE_TOKEN` gives it; else it is kept in [`Paths::token_file`].
    pub token: Option<Secret>,
    /// What to log, as `tracing` filters are written; `None` for the default.
    pub log: Option<String>,
    /// How the log is written.
    pub log_format: LogFormat,
    /// How much is kept of a log that goes to a file.
    pub log_file: LogFileSettings,
    /// Whether a turn that would lose something severe is refused.
    pub strict: bool,
    /// Where turns are kept, and what of stored responses.
    pub store: StoreSettings,
    /// What is kept of receipts.
    pub receipts: ReceiptSettings,
    /// Who searches the web; `None` for nobody.
    pub search: Option<SearchSettings>,
    /// Where everything is kept.
    pub paths: Paths,
    /// Where each value came from, by its dotted key: `server.listen`, `providers.zai`.
    pub origins: BTreeMap<String, ValueOrigin>,
    /// What the user should know, but what keeps nobody from working.
    pub warnings: Vec<String>,
    /// The environment variables that keys come from, as they were when the settings were read.
    variables: BTreeMap<String, Secret>,
    /// The keyring, if there is one.
    keyring: Keyring,
}

/// How clients reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// What clients have to show.
    pub auth: AuthMode,
    /// How long turns at work may go on once the gateway is asked to stop, in seconds. After 0 seconds they are cut off at once.
    pub drain_timeout: u32,
}

/// Half a minute: most answers are whole by then, and nobody who shuts a machine down waits much longer.
const DRAIN_TIMEOUT: u32 = 30;

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
            auth: AuthMode::Token,
            drain_timeout: DRAIN_TIMEOUT,
        }
    }
}

/// What clients have to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// The gateway's token.
    #[default]
    Token,
    /// Nothing. Only on loopback addresses.
    None,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// Built in.
    Default,
    /// The settings file.
    File(PathBuf),
    /// An environment variable, or its line in the `.env` file.
    Environment(String),
    /// An option of the command line.
    CommandLine(&'static str),
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueOrigin::Default => f.write_str("default"),
            ValueOrigin::File(path) => write!(f, "{}", path.display()),
            ValueOrigin::Environment(name) => write!(f, "environment ({name})"),
            ValueOrigin::CommandLine(option) => write!(f, "command line ({option})"),
        }
    }
}

/// What the command line says. It wins over everything else.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The settings file (`--config`).
    pub config: Option<PathBuf>,
    /// The address to listen on (`--listen`): `address:port`, or a port alone.
    pub listen: Option<String>,
    /// What clients have to show (`--auth`).
    pub auth: Option<AuthMode>,
    /// The provider that takes every name which nobody else knows (`--provider`). The name of a preset is enough.
    pub default_provider: Option<String>,
    /// What to log (`--log`).
    pub log: Option<String>,
    /// How the log is written (`--log-format`).
    pub log_format: Option<LogFormat>,
    /// Refuses turns that would lose something that matters (`--strict`).
    pub strict: bool,
}

impl Settings {
    /// The value of an environment variable that a key source names.
    pub fn variable(&self, name: &str) -> Option<Secret> {
        self.variables.get(name).cloned()
    }

    /// Gets the key of a provider. `None` when it needs none. Files and commands are asked every time: keep the answer.
    ///
    /// # Errors
    /// The key cannot be had. [`Settings::key_hint`] has the way out.
    pub async fn key(&self, provider_id: &str) -> Result<Option<Secret>, KeyError> {
        match self.keys.get(provider_id) {
            Some(source) => {
                source
                    .resolve(|name| self.variables.get(name).cloned())
                    .await
            }
            None => Ok(None),
        }
    }

    /// Gets the key of the search service. `None` when it needs none, or when there is no search.
    ///
    /// # Errors
    /// The key cannot be had.
    pub async fn search_key(&self) -> Result<Option<Secret>, KeyError> {
        match &self.search {
            Some(search) => {
                let variable = |name: &str| self.variables.get(name).cloned();
                search.key.resolve(variable).await
            }
            None => Ok(None),
        }
    }

    /// The place for a provider's key in the system's keyring, whether it is there or not.
    pub fn keyring_entry(&self, provider_id: &str) -> KeyringEntry {
        KeyringEntry::of_provider(self.keyring, provider_id)
    }

    /// The place of this name in the system's keyring, whether it is there or not.
    pub fn named_keyring_entry(&self, name: &str) -> KeyringEntry {
        KeyringEntry::named(self.keyring, name)
    }

    /// Who names the place of a key: `providers.NAME` of each, and `search`.
    pub fn who_names(&self, place: &KeySource) -> Vec<String> {
        let providers = self.keys.iter();
        let providers = providers.map(|(id, source)| (format!("providers.{id}"), source));
        let search = self.search.iter();
        let search = search.map(|search| ("search".to_owned(), &search.key));
        providers
            .chain(search)
            .filter(|(_, source)| source.is_same_place(place))
            .map(|(name, _)| name)
            .collect()
    }

    /// Whether the provider's key is at hand, as far as can be told without running anything.
    pub fn key_is_present(&self, provider_id: &str) -> bool {
        self.keys
            .get(provider_id)
            .is_none_or(|source| self.is_present(source))
    }

    /// Whether the key of the search service is at hand, or none is needed.
    pub fn search_key_is_present(&self) -> bool {
        let search = self.search.as_ref();
        search.is_none_or(|search| self.is_present(&search.key))
    }

    fn is_present(&self, source: &KeySource) -> bool {
        match source {
            KeySource::Env(name) => self.variables.contains_key(name),
            KeySource::File(path) => path.exists(),
            KeySource::Literal(_)
            | KeySource::Command(_)
            | KeySource::Keyring(_)
            | KeySource::None => true,
        }
    }
}
