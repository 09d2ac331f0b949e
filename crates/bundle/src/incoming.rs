//! What an import brings, whatever file it comes from.

use polywire_credentials::{Secret, is_variable_name};
use serde_json::{Map, Value};
use toml::Table;

use crate::bundle::{Bundle, MARK, with_secrets};
use crate::error::BundleError;
use crate::launcher;
use crate::secrets::SecretValue;

/// What a file brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A bundle of ours. Its secrets may have to be [opened](Bundle::open).
    Bundle(Box<Bundle>),
    /// Providers of the Codex Launcher.
    Launcher(Launcher),
}

/// Providers of the Codex Launcher.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launcher {
    /// The providers, keys and all.
    pub providers: Vec<IncomingProvider>,
    /// The name of the default one, as it will be called here.
    pub default_provider: Option<String>,
    /// What of the file has no equal here, one sentence each.
    pub not_taken: Vec<String>,
}

/// A provider that an import brings.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingProvider {
    /// What it is called.
    pub id: String,
    /// Its table, without secrets that have places of their own.
    pub table: Table,
    /// The key itself, when the file holds it. Where the key comes from otherwise stands in the table.
    pub key: Option<Secret>,
}

impl Bundle {
    /// The providers of the bundle with these secrets put back; keys beside their tables.
    ///
    /// # Errors
    /// What stands for a key cannot be one. The error names every such place, and repeats nothing of it.
    pub fn incoming(
        &self,
        secrets: Vec<(String, SecretValue)>,
    ) -> Result<Vec<IncomingProvider>, BundleError> {
        let mut providers = self.providers.clone();
        with_secrets(&mut providers, secrets);
        let mut incoming = Vec::with_capacity(providers.len());
        let mut wrong = Vec::new();
        for (id, provider) in providers {
            let toml::Value::Table(mut table) = provider else {
                continue;
            };
            match take_key(&mut table) {
                Ok(key) => incoming.push(IncomingProvider { id, table, key }),
                Err(why) => wrong.push(format!("`providers.{id}.key`: {why}")),
            }
        }
        if wrong.is_empty() {
            Ok(incoming)
        } else {
            Err(BundleError::Values(wrong))
        }
    }
}

/// Takes a key that stands in a table out of it. A reference stays.
fn take_key(table: &mut Table) -> Result<Option<Secret>, String> {
    let variable = table.get("key").and_then(|key| key.get("env")?.as_str());
    if variable.is_some_and(|variable| !is_variable_name(variable)) {
        return Err(
            "what `env` names cannot be a variable: its name has letters, digits and `_` only"
                .to_owned(),
        );
    }
    let Some(key) = table.get("key").and_then(toml::Value::as_str) else {
        return Ok(None);
    };
    let key = Secret::parse_key(key, "it").map_err(|error| error.to_string())?;
    table.remove("key");
    Ok(Some(key))
}

/// Reads a file: a bundle of ours, or the `endpoints.json` or a bundle of the Codex Launcher.
///
/// # Errors
/// It is none of these, or something in it is not as it should be. The error names every such place.
pub fn read(text: &str) -> Result<Incoming, BundleError> {
    // Editors on Windows put a byte-order mark in front, which JSON does not know.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text)?;
    let Value::Object(members) = value else {
        return Err(BundleError::Unknown);
    };
    if members.contains_key(MARK) {
        return Bundle::parse(&members).map(|bundle| Incoming::Bundle(Box::new(bundle)));
    }
    if !members.contains_key("endpoints") {
        return Err(BundleError::Unknown);
    }
    launcher::read(&unwrapped(members)).map(Incoming::Launcher)
}

/// A bundle of the launcher may hold the whole `endpoints.json` in its `endpoints`.
fn unwrapped(mut members: Map<String, Value>) -> Map<String, Value> {
    let is_whole_file = members["endpoints"].get("endpoints").is_some();
    if is_whole_file && let Some(Value::Object(inner)) = members.remove("endpoints") {
        members.extend(inner);
    }
    members
}
