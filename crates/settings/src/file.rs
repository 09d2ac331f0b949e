//! The settings file as it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polywire_catalog::{Auth, Model};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::suggest::{nearest, quoted};
use crate::{AuthMode, LogFormat, Proxy, SearchProvider, Secret, SettingsError};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    pub(crate) default_provider: Option<String>,
    pub(crate) log: Option<String>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) strict: Option<bool>,
    #[serde(default)]
    pub(crate) log_file: LogFileTable,
    #[serde(default)]
    pub(crate) server: ServerTable,
    #[serde(default)]
    pub(crate) providers: BTreeMap<String, ProviderTable>,
    #[serde(default)]
    pub(crate) aliases: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) routes: BTreeMap<String, RouteTable>,
    #[serde(default)]
    pub(crate) store: StoreTable,
    #[serde(default)]
    pub(crate) receipts: ReceiptsTable,
    pub(crate) search: Option<SearchTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTable {
    pub(crate) listen: Option<String>,
    pub(crate) auth: Option<AuthMode>,
    pub(crate) drain_timeout: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogFileTable {
    pub(crate) max_mb: Option<u32>,
    pub(crate) keep: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderTable {
    pub(crate) preset: Option<String>,
    pub(crate) kind: Option<polywire_catalog::Kind>,
    pub(crate) base_url: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) key: Option<KeyForm>,
    pub(crate) auth: Option<Auth>,
    pub(crate) private_api: Option<bool>,
    #[serde(default, deserialize_with = "proxy")]
    pub(crate) proxy: Option<Proxy>,
    pub(crate) codex_home: Option<PathBuf>,
    pub(crate) codex_identity: Option<bool>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) models: Option<Vec<Model>>,
    pub(crate) default_model: Option<String>,
    #[serde(default)]
    pub(crate) profile: toml::Table,
    pub(crate) codex: Option<PathBuf>,
    pub(crate) engine_home: Option<PathBuf>,
    pub(crate) codex_config: Option<toml::Table>,
    pub(crate) ephemeral: Option<bool>,
    pub(crate) workers: Option<usize>,
    pub(crate) max_queue: Option<usize>,
    pub(crate) queue_timeout: Option<u32>,
    pub(crate) timeout: Option<u32>,
    pub(crate) max_waiting: Option<usize>,
    pub(crate) waiting_timeout: Option<u32>,
    pub(crate) default_cwd: Option<PathBuf>,
    pub(crate) allowed_roots: Option<Vec<PathBuf>>,
    pub(crate) agent: Option<bool>,
    pub(crate) fast: Option<bool>,
    pub(crate) environment: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteTable {
    pub(crate) targets: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreTable {
    pub(crate) path: Option<PathBuf>,
    pub(crate) responses: Option<bool>,
    pub(crate) max_age_days: Option<u32>,
    pub(crate) max_mb: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptsTable {
    pub(crate) enabled: Option<bool>,
    pub(crate) max_age_days: Option<u32>,
    pub(crate) max_count: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchTable {
    pub(crate) provider: SearchProvider,
    pub(crate) url: Option<String>,
    pub(crate) key: Option<KeyForm>,
    pub(crate) max_results: Option<u32>,
}

/// The ways to write a key.
#[derive(Debug)]
pub(crate) enum KeyForm {
    Literal(Secret),
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
    /// In the keyring, under a name of its own or else the usual one.
    Keyring(Option<String>),
}

impl<'de> Deserialize<'de> for AuthMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        AuthMode::parse(&word)
            .ok_or_else(|| de::Error::custom(format!("auth is `token` or `none`, not `{word}`")))
    }
}

impl AuthMode {
    /// Reads `token` or `none`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "token" => Some(AuthMode::Token),
            "none" => Some(AuthMode::None),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for LogFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        LogFormat::parse(&word).map_err(de::Error::custom)
    }
}

/// A proxy. What is wrong with it is told without repeating it.
fn proxy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Proxy>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Proxy::parse(&text).map(Some).map_err(de::Error::custom)
}

impl<'de> Deserialize<'de> for KeyForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct KeyTable {
            env: Option<String>,
            file: Option<PathBuf>,
            command: Option<Vec<String>>,
            keyring: Option<KeyringForm>,
        }

        #[derive(Deserialize)]
        #[serde(untagged)]
        enum KeyringForm {
            Usual(bool),
            Named(String),
        }

        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = KeyForm;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "a key: a string, `{ env = \"NAME\" }`, `{ file = \"path\" }`, `{ command = [\"program\", …] }` or `{ keyring = true }`",
                )
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<KeyForm, E> {
                Ok(KeyForm::Literal(Secret::new(key)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeyForm, A::Error> {
                let table = KeyTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                match (table.env, table.file, table.command, table.keyring) {
                    (Some(name), None, None, None) => Ok(KeyForm::Env(name)),
                    (None, Some(path), None, None) => Ok(KeyForm::File(path)),
                    (None, None, Some(command), None) if !command.is_empty() => {
                        Ok(KeyForm::Command(command))
                    }
                    (None, None, None, Some(KeyringForm::Usual(true))) => {
                        Ok(KeyForm::Keyring(None))
                    }
                    (None, None, None, Some(KeyringForm::Named(name))) if !name.is_empty() => {
                        Ok(KeyForm::Keyring(Some(name)))
                    }
                    _ => Err(de::Error::custom(
                        "a key comes from exactly one of `env`, `file`, `command` and `keyring = true`",
                    )),
                }
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

/// Reads the file's text.
pub(crate) fn parse(path: &Path, text: &str) -> Result<ConfigFile, SettingsError> {
    // Editors on Windows put a byte-order mark in front, which TOML does not know.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    toml::from_str(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        let (message, hint) = match unknown_key(error.message()) {
            Some((message, hint)) => (message, Some(hint)),
            None => (without_value(error.message()), None),
        };
        SettingsError::Parse {
            path: path.to_owned(),
            line,
            column,
            message,
            hint,
        }
    })
}

/// The tables of the providers as they are written. The text is one that [`parse`] reads.
pub(crate) fn provider_tables(text: &str) -> BTreeMap<String, toml::Table> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        providers: BTreeMap<String, toml::Table>,
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let named = toml::from_str(text).map(|named: Named| named.providers);
    named.unwrap_or_default()
}

/// The line and the column, from 1, of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// A message about a value of the wrong type, without the value: it may be a key or a password, and the place tells which one is meant.
///
/// The parser's message: ``invalid type: string "a", expected b``, ``invalid value: integer `-1`, expected b``.
fn without_value(message: &str) -> String {
    let about_value = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|start| Some((start, message.strip_prefix(start)?)));
    let Some((start, rest)) = about_value else {
        return message.to_owned();
    };
    // The value may hold anything, what is expected holds no such word.
    let Some((found, expected)) = rest.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let kind = found.split(['"', '`']).next().unwrap_or_default();
    format!("{start}{}, expected {expected}", kind.trim_end())
}

/// For a key that does not exist: what to say, and the key that was probably meant.
///
/// The parser's message is the only place that tells the key and those that exist: ``unknown field `a`, expected one of `b`,
/// `c` ``.
fn unknown_key(message: &str) -> Option<(String, String)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (written, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let hint = match nearest(written, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", quoted(known)),
    };
    Some((format!("there is no key `{written}` here"), hint))
}
