//! Reading the settings.

mod catalog;
mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use polywire_credentials::{Keyring, is_private};
use polywire_engine::EngineSettings;

use crate::exposure;
use crate::file::{self, ConfigFile};
use crate::providers::Surroundings;
use crate::{
    CodexPlaces, Environment, KeySource, Overrides, Paths, Proxy, SearchSettings, Secret, Settings,
    SettingsError, ValueOrigin, dotenv,
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
