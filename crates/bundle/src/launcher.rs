//! The Codex Launcher's `endpoints.json`, and the bundles that it exports (seed-behaviours.md A2.11 and A2.12).
//!
//! `{"default": NAME, "endpoints": [{"name", "backend_type", "base_url", "api_key", "default_model", "models", "provider_preset",
//! "cc_version", "reasoning_enabled", "reasoning_effort"}]}`; a bundle has `version`, `exported_at` and `codex_config_toml` beside it.

use polywire_catalog::{Kind, Preset, normalise_base_url, presets};
use polywire_credentials::{Secret, is_variable_name};
use serde_json::{Map, Value};
use toml::Table;

use crate::error::BundleError;
use crate::incoming::{IncomingProvider, Launcher};

/// The most characters of a value that an error repeats.
const QUOTED_CHARS_MAX: usize = 60;

/// What an endpoint's `backend_type` is here.
#[derive(Clone, Copy)]
enum BackEnd {
    /// A protocol.
    Kind(Kind),
    /// Command Code, for which the launcher uses the private API.
    Private,
}

impl BackEnd {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "openai-compat" => Some(BackEnd::Kind(Kind::Chat)),
            "anthropic" => Some(BackEnd::Kind(Kind::Messages)),
            "native" => Some(BackEnd::Kind(Kind::Responses)),
            "command-code" => Some(BackEnd::Private),
            _ => None,
        }
    }
}

pub(crate) fn read(members: &Map<String, Value>) -> Result<Launcher, BundleError> {
    let mut reading = Reading::default();
    let default = reading.text(members, "default", "the file");
    for (name, fields) in endpoints(members, &mut reading) {
        reading.endpoint(name, fields);
    }
    for key in members.keys() {
        match key.as_str() {
            "default" | "endpoints" | "exported_at" => {}
            "version" if members[key] == 1 => {}
            "version" => reading.launcher.not_taken.push(format!(
                "`version`: {} is not known; what is taken is taken as version 1 means it",
                members[key]
            )),
            "codex_config_toml" => reading.launcher.not_taken.push(
                "`codex_config_toml`: polywire leaves Codex's own settings alone; what it needs is given when Codex is launched"
                    .to_owned(),
            ),
            _ => reading.launcher.not_taken.push(format!("`{key}`: it has no equal here")),
        }
    }
    if let Some(default) = default.filter(|default| !default.is_empty()) {
        reading.choose_default(&default);
    }
    if reading.wrong.is_empty() {
        Ok(reading.launcher)
    } else {
        Err(BundleError::Values(reading.wrong))
    }
}

/// The endpoints, as a list or by name.
fn endpoints<'m>(
    members: &'m Map<String, Value>,
    reading: &mut Reading,
) -> Vec<(Option<&'m str>, &'m Value)> {
    match members.get("endpoints") {
        Some(Value::Array(items)) => items.iter().map(|item| (None, item)).collect(),
        Some(Value::Object(items)) => items
            .iter()
            .map(|(name, item)| (Some(name.as_str()), item))
            .collect(),
        Some(_) | None => {
            reading.wrong.push("`endpoints`: must be a list".to_owned());
            Vec::new()
        }
    }
}

#[derive(Default)]
struct Reading {
    launcher: Launcher,
    /// The launcher's names of the providers, in order.
    names: Vec<String>,
    count: usize,
    wrong: Vec<String>,
}

impl Reading {
    fn endpoint(&mut self, name: Option<&str>, fields: &Value) {
        let index = self.count;
        self.count += 1;
        let Value::Object(fields) = fields else {
            self.wrong
                .push(format!("`endpoints[{index}]`: must be an object"));
            return;
        };
        let place = match (name, fields.get("name").and_then(Value::as_str)) {
            (_, Some(name)) | (Some(name), None) => {
                format!("`endpoints[{index}]` ({})", quoted(name))
            }
            (None, None) => format!("`endpoints[{index}]`"),
        };
        let before = self.wrong.len();
        let given = self.text(fields, "name", &place);
        let given = given
            .or_else(|| name.map(str::to_owned))
            .unwrap_or_default();
        if given.trim().is_empty() && before == self.wrong.len() {
            self.wrong.push(format!("{place}: `name` is missing"));
        }
        let back_end = self.text(fields, "backend_type", &place);
        let base_url = self.text(fields, "base_url", &place);
        let key = self.text(fields, "api_key", &place);
        let default_model = self.text(fields, "default_model", &place);
        let models = self.models(fields, &place);
        if self.wrong.len() > before {
            return;
        }
        // The launcher's own default.
        let word = back_end.filter(|word| !word.is_empty());
        let word = word.unwrap_or_else(|| "openai-compat".to_owned());
        let Some(back_end) = BackEnd::parse(&word) else {
            self.launcher.not_taken.push(format!(
                "{place}: polywire has no equal of `backend_type` {}; the endpoint is left out",
                quoted(&word)
            ));
            return;
        };
        let id = self.fresh_id(&given);
        let mut table = Table::new();
        if id != given {
            table.insert("name".to_owned(), given.as_str().into());
        }
        self.target(back_end, base_url.as_deref(), &place, &mut table);
        if !models.is_empty() {
            let models = models.into_iter().map(toml::Value::String).collect();
            table.insert("models".to_owned(), toml::Value::Array(models));
        }
        if let Some(model) = default_model.filter(|model| !model.is_empty()) {
            table.insert("default_model".to_owned(), model.into());
        }
        let key = match key_of(key.as_deref().unwrap_or_default(), &mut table) {
            Ok(key) => key,
            Err(wrong) => {
                self.wrong.push(format!("{place}: {wrong}"));
                return;
            }
        };
        self.unknown_fields(fields, &place);
        self.names.push(given);
        self.launcher
            .providers
            .push(IncomingProvider { id, table, key });
    }

    /// Kind or preset, and address.
    fn target(
        &mut self,
        back_end: BackEnd,
        base_url: Option<&str>,
        place: &str,
        table: &mut Table,
    ) {
        let kind = match back_end {
            BackEnd::Kind(kind) => kind,
            BackEnd::Private => {
                self.launcher.not_taken.push(format!(
                    "{place}: the launcher uses Command Code's private API; the supported one is taken here. Preset `command-code-private` chooses the private one"
                ));
                table.insert("preset".to_owned(), "command-code".into());
                return;
            }
        };
        let url = match normalise_base_url(kind, base_url.unwrap_or_default()) {
            Ok(url) => url,
            Err(error) => {
                self.wrong.push(format!("{place}: `base_url`: {error}"));
                return;
            }
        };
        if let Some(preset) = preset_at(kind, &url) {
            table.insert("preset".to_owned(), preset.id.as_str().into());
            if preset.base_url.as_ref() != Some(&url) {
                table.insert("base_url".to_owned(), url.into());
            }
            return;
        }
        table.insert("kind".to_owned(), kind.name().into());
        table.insert("base_url".to_owned(), url.into());
        if kind == Kind::Messages {
            // How the launcher sends keys there.
            let mut auth = Table::new();
            auth.insert("header".to_owned(), "x-api-key".into());
            table.insert("auth".to_owned(), auth.into());
        }
    }

    /// Model names, as they are. Later versions have objects with what is known of each.
    fn models(&mut self, fields: &Map<String, Value>, place: &str) -> Vec<String> {
        let Some(Value::Array(items)) = fields.get("models").filter(|value| !value.is_null())
        else {
            if fields.get("models").is_some_and(|value| !value.is_null()) {
                self.wrong
                    .push(format!("{place}: `models` must be a list of names"));
            }
            return Vec::new();
        };
        let mut names: Vec<String> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let name = item.as_str().or_else(|| item["id"].as_str());
            match name.map(str::trim) {
                Some("") => {}
                Some(name) if names.iter().any(|known| known == name) => {}
                Some(name) => names.push(name.to_owned()),
                None => self
                    .wrong
                    .push(format!("{place}: `models[{index}]` must be a name")),
            }
        }
        names
    }

    /// Fields without an equal, as far as they say anything.
    fn unknown_fields(&mut self, fields: &Map<String, Value>, place: &str) {
        for (key, value) in fields {
            let says_nothing = value.is_null() || value.as_str().is_some_and(str::is_empty);
            let why = match key.as_str() {
                "name" | "backend_type" | "base_url" | "api_key" | "default_model" | "models" => {
                    continue;
                }
                _ if says_nothing => continue,
                "provider_preset" => "presets are recognised by their address",
                "cc_version" => "polywire says its own version",
                "reasoning_enabled" | "reasoning_effort" => {
                    "clients choose the effort for each turn, by the model's own list"
                }
                _ => "it has no equal here",
            };
            let note = format!("{place}: `{key}` is not taken: {why}");
            self.launcher.not_taken.push(note);
        }
    }

    fn choose_default(&mut self, default: &str) {
        let index = self.names.iter().position(|name| name == default);
        match index.and_then(|index| self.launcher.providers.get(index)) {
            Some(provider) => self.launcher.default_provider = Some(provider.id.clone()),
            None => self.launcher.not_taken.push(format!(
                "`default`: there is no endpoint {} among those that are taken",
                quoted(default)
            )),
        }
    }

    /// A text, or nothing.
    fn text(&mut self, fields: &Map<String, Value>, key: &str, place: &str) -> Option<String> {
        match fields.get(key)? {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.wrong.push(format!("{place}: `{key}` must be a text"));
                None
            }
        }
    }

    /// A name that settings take, and that no other provider of the file has: other characters become `-`.
    fn fresh_id(&self, name: &str) -> String {
        let legal =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let replaced: String = name
            .chars()
            .map(|letter| if legal(letter) { letter } else { '-' })
            .collect();
        let words: Vec<&str> = replaced
            .split('-')
            .filter(|word| !word.is_empty())
            .collect();
        let mut id = words.join("-").to_ascii_lowercase();
        if name.chars().all(legal) {
            name.clone_into(&mut id);
        }
        if id.is_empty() {
            "endpoint".clone_into(&mut id);
        }
        let is_taken = |id: &str| self.launcher.providers.iter().any(|other| other.id == id);
        // One of so many names is free, because there are fewer providers.
        let others = (2..=self.count + 1).map(|number| format!("{id}-{number}"));
        std::iter::once(id.clone())
            .chain(others)
            .find(|id| !is_taken(id))
            .unwrap_or(id)
    }
}

/// The key itself; a reference to a variable (`${ENV:NAME}`) goes into the table.
///
/// # Errors
/// It is neither. What is wrong is told without repeating it.
fn key_of(key: &str, table: &mut Table) -> Result<Option<Secret>, String> {
    let variable = key
        .strip_prefix("${ENV:")
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(variable) = variable.map(str::trim) {
        if !is_variable_name(variable) {
            return Err("what `api_key` names cannot be a variable: its name has letters, digits and `_` only".to_owned());
        }
        let mut reference = Table::new();
        reference.insert("env".to_owned(), variable.into());
        table.insert("key".to_owned(), reference.into());
        return Ok(None);
    }
    if key.is_empty() {
        return Ok(None);
    }
    let key = Secret::parse_key(key, "`api_key`");
    key.map(Some).map_err(|error| error.to_string())
}

/// The preset that is at this address and speaks this protocol.
fn preset_at(kind: Kind, url: &str) -> Option<&'static Preset> {
    let mut of_kind = presets().iter().filter(|preset| preset.kind == kind);
    let is_at = |preset: &&Preset| {
        preset.base_url.as_deref() == Some(url)
            || preset.other_base_urls.values().any(|other| other == url)
    };
    of_kind.find(is_at)
}

fn quoted(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(QUOTED_CHARS_MAX)
        .filter(|letter| !letter.is_control())
        .collect();
    format!("\"{shown}\"")
}
