//! Reading the settings.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use polywire_catalog::{Auth, Catalog, Preset, Provider, UnknownModel, demo_provider, presets};
use polywire_credentials::{Keyring, is_private};
use polywire_engine::EngineSettings;

use crate::engines::EngineTable;
use crate::exposure;
use crate::file::{self, ConfigFile};
use crate::providers::{
    self, Built, PRIVATE_API, SUPPORTED_WAY, Surroundings, Wrong, is_private_api, usual_key_source,
};
use crate::suggest::{nearest, quoted};
use crate::{
    AuthMode, CodexPlaces, DEFAULT_PORT, Environment, KeySource, LogFormat, Overrides, Paths,
    Proxy, SearchSettings, Secret, ServerSettings, Settings, SettingsError, ValueOrigin, dotenv,
};

/// Reads the settings.
///
/// A file that the user did not name may be missing. No provider at all is fine: the built-in demo is always there.
///
/// # Errors
/// See [`SettingsError`]. Nothing is half-read: on an error the caller keeps what it had.
pub fn load(
    overrides: &Overrides,
    environment: &dyn Environment,
) -> Result<Settings, SettingsError> {
    let paths = Paths::find(overrides, environment)?;
    let text = read_text(&paths)?;
    load_text(overrides, environment, paths, text.as_deref())
}

/// Reads the settings from a text that is meant for the file, or from nothing, as when there is no file.
pub(crate) fn load_text(
    overrides: &Overrides,
    environment: &dyn Environment,
    paths: Paths,
    text: Option<&str>,
) -> Result<Settings, SettingsError> {
    let mut loading = Loading {
        overrides,
        environment,
        paths: &paths,
        env_file: BTreeMap::new(),
        origins: BTreeMap::new(),
        warnings: Vec::new(),
        keys: BTreeMap::new(),
        engines: BTreeMap::new(),
        proxies: BTreeMap::new(),
        logins: BTreeMap::new(),
    };
    let mut config = loading.read_config(text)?;
    loading.read_env_file();
    let server = loading.server(&config)?;
    let log = loading.log(&config);
    let log_format = loading.log_format(&config)?;
    let log_file = loading.log_file(&config)?;
    let token = loading.token()?;
    let strict = loading.strict(overrides, &config)?;
    let store = loading.store(&config)?;
    let receipts = loading.receipts(&config)?;
    let search = loading.search(config.search.take())?;
    let catalog = loading.catalog(config)?;
    let variables = loading.key_variables(search.as_ref());
    let Loading {
        origins,
        warnings,
        keys,
        engines,
        proxies,
        logins,
        ..
    } = loading;
    Ok(Settings {
        server,
        catalog,
        keys,
        engines,
        proxies,
        logins,
        token,
        log,
        log_format,
        log_file,
        strict,
        store,
        receipts,
        search,
        paths,
        origins,
        warnings,
        variables,
        keyring: find_keyring(environment),
    })
}

pub(crate) struct Loading<'a> {
    overrides: &'a Overrides,
    pub(crate) environment: &'a dyn Environment,
    pub(crate) paths: &'a Paths,
    /// The variables of the `.env` file.
    env_file: BTreeMap<String, String>,
    pub(crate) origins: BTreeMap<String, ValueOrigin>,
    warnings: Vec<String>,
    keys: BTreeMap<String, KeySource>,
    engines: BTreeMap<String, EngineSettings>,
    proxies: BTreeMap<String, Proxy>,
    logins: BTreeMap<String, CodexPlaces>,
}

impl Loading<'_> {
    fn read_config(&mut self, text: Option<&str>) -> Result<ConfigFile, SettingsError> {
        let Some(text) = text else {
            return Ok(ConfigFile::default());
        };
        let path = &self.paths.config_file;
        let config = file::parse(path, text)?;
        let tables = file::provider_tables(text);
        exposure::refuse(path, &config, &tables)?;
        for (id, table) in tables {
            let origins = table.into_iter().map(|(key, _)| {
                let origin = ValueOrigin::File(path.clone());
                (format!("providers.{id}.{key}"), origin)
            });
            self.origins.extend(origins);
        }
        Ok(config)
    }

    pub(crate) fn surroundings<'a>(&'a self, home: Option<&'a Path>) -> Surroundings<'a> {
        Surroundings {
            config_dir: &self.paths.config_dir,
            home,
            keyring: find_keyring(self.environment),
        }
    }

    fn read_env_file(&mut self) {
        let path = &self.paths.env_file;
        let Ok(private) = is_private(path) else {
            return;
        };
        let place = path.display();
        if !private {
            self.warnings.push(format!(
                "`{place}` is not read, because others can read it too; run `chmod 600 {place}`"
            ));
            return;
        }
        match fs::read_to_string(path) {
            Ok(text) => {
                let (values, unreadable) = dotenv::parse(&text);
                self.env_file = values;
                for line in unreadable {
                    self.warnings
                        .push(format!("`{place}` line {line} is not `NAME=value`"));
                }
            }
            Err(error) => self
                .warnings
                .push(format!("`{place}` could not be read: {error}")),
        }
    }

    /// A variable, when it is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .variable(name)
            .or_else(|| self.env_file.get(name).cloned())
            .filter(|value| !value.trim().is_empty())
    }

    /// The first of the command line, the environment and the file that has a value; notes which it was.
    pub(crate) fn first<T>(
        &mut self,
        key: &str,
        option: (&'static str, Option<T>),
        variable: (&str, Option<T>),
        in_file: Option<T>,
    ) -> Option<T> {
        let (value, origin) = if let (option, Some(value)) = option {
            (Some(value), ValueOrigin::CommandLine(option))
        } else if let (name, Some(value)) = variable {
            (Some(value), ValueOrigin::Environment(name.to_owned()))
        } else if in_file.is_some() {
            (in_file, ValueOrigin::File(self.paths.config_file.clone()))
        } else {
            (None, ValueOrigin::Default)
        };
        self.origins.insert(key.to_owned(), origin);
        value
    }

    /// A value that only the file can have.
    pub(crate) fn in_file<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        self.first(key, ("", None), ("", None), value)
    }

    fn server(&mut self, config: &ConfigFile) -> Result<ServerSettings, SettingsError> {
        let mut server = ServerSettings::default();
        let listen = self.first(
            "server.listen",
            ("--listen", self.overrides.listen.clone()),
            ("POLYWIRE_LISTEN", self.variable("POLYWIRE_LISTEN")),
            config.server.listen.clone(),
        );
        if let Some(listen) = listen {
            server.listen = parse_listen(&listen).ok_or_else(|| {
                self.value_error(
                    "server.listen",
                    format!("`{listen}` is not an address to listen on"),
                    Some(format!(
                        "write `address:port`, such as `127.0.0.1:{DEFAULT_PORT}`"
                    )),
                )
            })?;
        }
        let in_environment = self.auth_variable()?;
        let auth = self.first(
            "server.auth",
            ("--auth", self.overrides.auth),
            ("POLYWIRE_AUTH", in_environment),
            config.server.auth,
        );
        server.auth = auth.unwrap_or_default();
        let drain_timeout = self.in_file("server.drain_timeout", config.server.drain_timeout);
        server.drain_timeout = drain_timeout.unwrap_or(server.drain_timeout);
        self.check_exposure(&server)?;
        Ok(server)
    }

    fn auth_variable(&self) -> Result<Option<AuthMode>, SettingsError> {
        let Some(word) = self.variable("POLYWIRE_AUTH") else {
            return Ok(None);
        };
        match AuthMode::parse(&word) {
            Some(auth) => Ok(Some(auth)),
            None => Err(SettingsError::Value {
                place: "POLYWIRE_AUTH".to_owned(),
                message: format!("auth is `token` or `none`, not `{word}`"),
                hint: None,
            }),
        }
    }

    fn check_exposure(&mut self, server: &ServerSettings) -> Result<(), SettingsError> {
        if server.listen.ip().is_loopback() {
            return Ok(());
        }
        let listen = server.listen;
        match server.auth {
            AuthMode::None => Err(self.value_error(
                "server.auth",
                format!("`none` would let everybody who reaches {listen} use your keys"),
                Some("listen on a loopback address such as 127.0.0.1, or keep `token`".to_owned()),
            )),
            AuthMode::Token => {
                self.warnings.push(format!(
                    "listening on {listen}, which other machines can reach; they need the token, and the connection is not encrypted"
                ));
                Ok(())
            }
        }
    }

    fn log(&mut self, config: &ConfigFile) -> Option<String> {
        self.first(
            "log",
            ("--log", self.overrides.log.clone()),
            ("POLYWIRE_LOG", self.variable("POLYWIRE_LOG")),
            config.log.clone(),
        )
    }

    fn log_format(&mut self, config: &ConfigFile) -> Result<LogFormat, SettingsError> {
        let variable = "POLYWIRE_LOG_FORMAT";
        let in_environment = self.variable(variable).map(|word| LogFormat::parse(&word));
        let in_environment =
            in_environment
                .transpose()
                .map_err(|unknown| SettingsError::Value {
                    place: variable.to_owned(),
                    message: unknown.to_string(),
                    hint: None,
                })?;
        let format = self.first(
            "log_format",
            ("--log-format", self.overrides.log_format),
            (variable, in_environment),
            config.log_format,
        );
        Ok(format.unwrap_or_default())
    }

    fn token(&mut self) -> Result<Option<Secret>, SettingsError> {
        let token = self.first(
            "server.token",
            ("--token", None),
            ("POLYWIRE_TOKEN", self.variable("POLYWIRE_TOKEN")),
            None,
        );
        let Some(token) = token.map(|token| token.trim().to_owned()) else {
            return Ok(None);
        };
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Some(Secret::new(token)))
        } else {
            Err(SettingsError::Value {
                place: "POLYWIRE_TOKEN".to_owned(),
                message: "a token has visible ASCII characters only".to_owned(),
                hint: None,
            })
        }
    }

    fn catalog(&mut self, config: ConfigFile) -> Result<Catalog, SettingsError> {
        let default_provider = self.first(
            "default_provider",
            ("--provider", self.overrides.default_provider.clone()),
            (
                "POLYWIRE_DEFAULT_PROVIDER",
                self.variable("POLYWIRE_DEFAULT_PROVIDER"),
            ),
            config.default_provider,
        );
        let mut found = self.configured_providers(config.providers)?;
        let configured = found.len();
        self.add_presets_with_keys(&mut found)?;
        if let Some(wanted) = &default_provider {
            self.add_wanted_preset(wanted, &mut found)?;
        }
        let default_provider = match default_provider {
            Some(wanted) => Some(self.check_default(wanted, &found)?),
            None => only_choice(&found, configured),
        };
        if found.iter().all(|provider| provider.id != "demo") {
            self.add_provider(demo_provider(), ValueOrigin::Default, &mut found)?;
        }
        let catalog = Catalog {
            providers: found.into_iter().map(Arc::new).collect(),
            aliases: config.aliases,
            routes: config
                .routes
                .into_iter()
                .map(|(name, route)| (name, route.targets))
                .collect(),
            default_provider,
        };
        self.check_names(&catalog)?;
        Ok(catalog)
    }

    fn configured_providers(
        &mut self,
        tables: BTreeMap<String, file::ProviderTable>,
    ) -> Result<Vec<Provider>, SettingsError> {
        let home = self.environment.home();
        let mut found = Vec::with_capacity(tables.len() + 1);
        for (id, table) in tables {
            let codex_home = table
                .codex_home
                .as_deref()
                .map(|path| providers::expand(path, &self.paths.config_dir, home.as_deref()));
            let built = providers::build(&id, table, self.surroundings(home.as_deref()));
            let Built {
                provider,
                key,
                proxy,
                engine,
            } = built.map_err(|wrong| self.provider_error(&id, wrong))?;
            if is_private_api(provider.kind) {
                let kind = provider.kind.name();
                self.warnings
                    .push(format!("`providers.{id}`: kind `{kind}` {PRIVATE_API}"));
            }
            let engine = self.engine(&id, provider.kind, engine, proxy.as_ref());
            let engine = engine.map_err(|wrong| self.provider_error(&id, wrong))?;
            if let Some(engine) = engine {
                self.engines.insert(id.clone(), engine);
            }
            self.keys.insert(id.clone(), key);
            self.add_login(&provider, codex_home)?;
            let origin = ValueOrigin::File(self.paths.config_file.clone());
            if let Some(proxy) = proxy {
                self.proxies.insert(id.clone(), proxy);
                self.origins
                    .insert(format!("providers.{id}.proxy"), origin.clone());
            }
            self.origins.insert(format!("providers.{id}"), origin);
            found.push(provider);
        }
        Ok(found)
    }

    /// A preset whose usual key variable is set needs no line in the settings file, unless it wants to be named.
    fn add_presets_with_keys(&mut self, found: &mut Vec<Provider>) -> Result<(), SettingsError> {
        for preset in presets() {
            let configured = found.iter().any(|provider| {
                provider.id == preset.id || provider.preset.as_deref() == Some(&preset.id)
            });
            let wanted = !configured && !preset.explicit;
            let Some(name) = preset.key_variable.as_ref().filter(|_| wanted) else {
                continue;
            };
            if self.variable(name).is_some() {
                let origin = ValueOrigin::Environment(name.clone());
                self.add_provider(preset.to_provider(&preset.id), origin, found)?;
            }
        }
        Ok(())
    }

    /// Whoever asks for a preset by its name gets it, key or not: a missing key is told when it is needed.
    fn add_wanted_preset(
        &mut self,
        wanted: &str,
        found: &mut Vec<Provider>,
    ) -> Result<(), SettingsError> {
        if found.iter().any(|provider| provider.id == wanted) {
            return Ok(());
        }
        let Some(preset) = polywire_catalog::preset(wanted) else {
            return Ok(());
        };
        self.check_needs_no_file(preset)?;
        let origin = self
            .origins
            .get("default_provider")
            .cloned()
            .unwrap_or(ValueOrigin::Default);
        let engine = self.engine(wanted, preset.kind, EngineTable::default(), None);
        let engine = engine.map_err(|wrong| self.provider_error(wanted, wrong))?;
        if let Some(engine) = engine {
            self.engines.insert(wanted.to_owned(), engine);
        }
        self.add_provider(preset.to_provider(wanted), origin, found)
    }

    /// Two things only the settings file can say of a preset: an address, and the choice of a private API.
    fn check_needs_no_file(&self, preset: &Preset) -> Result<(), SettingsError> {
        let id = &preset.id;
        let file = self.paths.config_file.display();
        let add = |line: &str| {
            format!("add `[providers.{id}]` with `preset = \"{id}\"` and `{line}` to {file}")
        };
        let (message, hint) = if let Some(form) = &preset.base_url_form {
            (
                format!("preset `{id}` has no `base_url`, because it cannot know yours"),
                add(&format!("base_url = \"{form}\"")),
            )
        } else if is_private_api(preset.kind) {
            (
                format!("kind `{}` {PRIVATE_API}", preset.kind.name()),
                format!(
                    "{SUPPORTED_WAY}; to choose this one, {}",
                    add("private_api = true")
                ),
            )
        } else {
            return Ok(());
        };
        Err(self.value_error("default_provider", message, Some(hint)))
    }

    fn add_provider(
        &mut self,
        provider: Provider,
        origin: ValueOrigin,
        found: &mut Vec<Provider>,
    ) -> Result<(), SettingsError> {
        self.keys
            .insert(provider.id.clone(), usual_key_source(&provider));
        self.add_login(&provider, None)?;
        self.origins
            .insert(format!("providers.{}", provider.id), origin);
        found.push(provider);
        Ok(())
    }

    /// Notes where the login is of a provider that is reached by one: where the table says, else where Codex has its own.
    fn add_login(
        &mut self,
        provider: &Provider,
        codex_home: Option<PathBuf>,
    ) -> Result<(), SettingsError> {
        match provider.auth {
            Auth::Login => {}
            Auth::Bearer | Auth::Header { .. } | Auth::None => return Ok(()),
        }
        let mut places = CodexPlaces::find(self.environment)?;
        if let Some(home) = codex_home {
            places.home = home;
        }
        self.logins.insert(provider.id.clone(), places);
        Ok(())
    }

    fn check_default(&self, wanted: String, found: &[Provider]) -> Result<String, SettingsError> {
        if wanted == "demo" || found.iter().any(|provider| provider.id == wanted) {
            return Ok(wanted);
        }
        let known = || found.iter().map(|provider| provider.id.as_str());
        let presets = presets().iter().map(|preset| preset.id.as_str());
        let message = format!("there is no provider `{wanted}`");
        let hint = match nearest(&wanted, known().chain(presets)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if found.is_empty() => {
                "no provider is configured; `polywire provider add` adds one, `polywire provider presets` lists those that only need a key".to_owned()
            }
            None => format!("configured are {}", quoted(known())),
        };
        Err(self.value_error("default_provider", message, Some(hint)))
    }

    /// Names that can never work are errors; names that do not work today are worth a word.
    fn check_names(&mut self, catalog: &Catalog) -> Result<(), SettingsError> {
        for name in catalog.aliases.keys().chain(catalog.routes.keys()) {
            let table = if catalog.aliases.contains_key(name) {
                "aliases"
            } else {
                "routes"
            };
            let key = format!("{table}.{name}");
            if catalog.aliases.contains_key(name) && catalog.routes.contains_key(name) {
                let message = "is both an alias and a route".to_owned();
                return Err(self.value_error(&key, message, None));
            }
            match catalog.resolve(name) {
                Ok(_) => {}
                Err(error @ (UnknownModel::Loop { .. } | UnknownModel::EmptyRoute { .. })) => {
                    return Err(self.value_error(&key, error.to_string(), None));
                }
                Err(
                    error @ (UnknownModel::NotListed { .. }
                    | UnknownModel::NoDefaultModel { .. }
                    | UnknownModel::NoDefaultProvider),
                ) => self.warnings.push(format!("`{key}`: {error}")),
            }
            if let Some((prefix, _)) = name.split_once('/')
                && catalog.provider(prefix).is_some()
            {
                self.warnings.push(format!(
                    "`{key}` is never used: a name that begins with `{prefix}/` is a model of provider `{prefix}`"
                ));
            }
        }
        Ok(())
    }

    /// The values of the variables that keys come from.
    fn key_variables(&self, search: Option<&SearchSettings>) -> BTreeMap<String, Secret> {
        self.keys
            .values()
            .chain(search.map(|search| &search.key))
            .filter_map(|source| match source {
                KeySource::Env(name) => Some((name.clone(), Secret::new(self.variable(name)?))),
                KeySource::Literal(_)
                | KeySource::File(_)
                | KeySource::Command(_)
                | KeySource::Keyring(_)
                | KeySource::None => None,
            })
            .collect()
    }

    fn provider_error(&self, id: &str, wrong: Wrong) -> SettingsError {
        let key = if wrong.key.is_empty() {
            format!("providers.{id}")
        } else {
            format!("providers.{id}.{}", wrong.key)
        };
        let place = format!("{} `{key}`", self.paths.config_file.display());
        SettingsError::Value {
            place,
            message: wrong.message,
            hint: wrong.hint,
        }
    }

    /// An error about a value, told with the place that the value came from.
    pub(crate) fn value_error(
        &self,
        key: &str,
        message: String,
        hint: Option<String>,
    ) -> SettingsError {
        let place = match self.origins.get(key) {
            Some(ValueOrigin::CommandLine(option)) => (*option).to_owned(),
            Some(ValueOrigin::Environment(name)) => name.clone(),
            Some(ValueOrigin::File(_) | ValueOrigin::Default) | None => {
                format!("{} `{key}`", self.paths.config_file.display())
            }
        };
        SettingsError::Value {
            place,
            message,
            hint,
        }
    }
}

/// The text of the settings file; nothing when there is none and need not be one.
fn read_text(paths: &Paths) -> Result<Option<String>, SettingsError> {
    let path = &paths.config_file;
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && paths.config_named => {
            Err(SettingsError::ConfigMissing { path: path.clone() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SettingsError::ReadConfig {
            path: path.clone(),
            source,
        }),
    }
}

/// The keyring, if there is one to ask. On Linux it is found on the session bus; without a word about one the library would look for
/// a display and start a bus there.
fn find_keyring(environment: &dyn Environment) -> Keyring {
    let is_set = |name: &str| environment.variable(name).filter(|value| !value.is_empty());
    let has_bus = || {
        is_set("DBUS_SESSION_BUS_ADDRESS").is_some()
            || is_set("XDG_RUNTIME_DIR")
                .is_some_and(|folder| Path::new(&folder).join("bus").exists())
    };
    if cfg!(target_os = "macos") || (cfg!(target_os = "linux") && has_bus()) {
        Keyring::System
    } else {
        Keyring::Absent
    }
}

/// The default provider when nobody names one: the only one of the settings file, else the only one with a key in the
/// environment, else the demo when there is nothing at all. Of several none is chosen: it would be a guess.
fn only_choice(found: &[Provider], configured: usize) -> Option<String> {
    let (in_file, in_environment) = found.split_at(configured);
    match (in_file, in_environment) {
        ([only], _) | ([], [only]) => Some(only.id.clone()),
        ([], []) => Some("demo".to_owned()),
        _ => None,
    }
}

/// `address:port`, or a port alone on loopback. `localhost` is 127.0.0.1: looking names up could wait for a network.
fn parse_listen(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    if let Ok(port) = text.parse() {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().ok()
}
