//! `polywire provider show`.

use std::process::ExitCode;

use clap::Args;
use polywire_catalog::{Auth, Model, Provider};
use polywire_credentials::{masked, names_secret};
use polywire_settings::{EngineSettings, Overrides, Settings};
use serde_json::{Value, json};

use crate::configuration;
use crate::logging::{note, say};
use crate::printable::{printable, printable_json};
use crate::provider::key_state::{KeyState, Presence};

#[derive(Args)]
pub(crate) struct ShowArguments {
    /// The provider
    name: String,
    /// As a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn show(
    arguments: &ShowArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let settings = configuration::load(overrides)?;
    configuration::tell_warnings(&settings);
    let provider = super::find(&settings, &arguments.name)?;
    let key = KeyState::of(&settings, provider).await;
    let values = values(&settings, provider, &key);
    if arguments.json {
        let mut all = serde_json::Map::new();
        all.insert("id".to_owned(), json!(provider.id));
        all.extend(values.into_iter().map(Shown::named_json));
        say(printable_json(&serde_json::to_string_pretty(&all)?));
        return Ok(ExitCode::SUCCESS);
    }
    let width = |length: fn(&Shown) -> usize| values.iter().map(length).max().unwrap_or_default();
    let names = width(|value| value.name.len());
    let texts = width(|value| value.text.chars().count().min(TEXT_WIDTH_MAX));
    for Shown {
        name, text, origin, ..
    } in &values
    {
        let text = printable(text);
        say(format_args!("{name:<names$}  {text:<texts$}  {origin}"));
    }
    if let Presence::Missing { why } = &key.presence {
        note(format_args!("the key is missing: {}", printable(why)));
        note(format_args!("hint: {}", settings.key_hint(&provider.id)));
    }
    Ok(ExitCode::SUCCESS)
}

/// A longer text pushes its own origin to the right, and nobody else's.
const TEXT_WIDTH_MAX: usize = 72;

/// A value, and where it comes from.
struct Shown {
    name: &'static str,
    text: String,
    json: Value,
    origin: String,
}

impl Shown {
    fn named_json(self) -> (String, Value) {
        let shown = json!({ "value": self.json, "origin": self.origin });
        (self.name.to_owned(), shown)
    }
}

/// Puts values and their origins side by side.
struct Page<'s> {
    settings: &'s Settings,
    provider: &'s Provider,
    values: Vec<Shown>,
}

impl Page<'_> {
    /// A value that the preset brings when the settings file has none.
    fn add(&mut self, name: &'static str, text: impl Into<String>, json: Value) {
        let usual = match &self.provider.preset {
            Some(preset) => format!("preset {preset}"),
            None => "default".to_owned(),
        };
        self.add_else(name, text, json, usual);
    }

    /// A value that comes from elsewhere when the settings file has none.
    fn add_else(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        json: Value,
        elsewhere: String,
    ) {
        let key = format!("providers.{}.{name}", self.provider.id);
        let origin = self.settings.origins.get(&key);
        self.values.push(Shown {
            name,
            text: text.into(),
            json,
            origin: origin.map_or(elsewhere, ToString::to_string),
        });
    }

    fn add_text(&mut self, name: &'static str, text: &str) {
        self.add(name, text, json!(text));
    }
}

fn values(settings: &Settings, provider: &Provider, key: &KeyState) -> Vec<Shown> {
    let mut page = Page {
        settings,
        provider,
        values: Vec::new(),
    };
    let whole = settings.origins.get(&format!("providers.{}", provider.id));
    let whole = whole.map_or_else(|| "default".to_owned(), ToString::to_string);
    if let Some(preset) = &provider.preset {
        page.add_else("preset", preset, json!(preset), whole);
    }
    page.add_text("name", &provider.name);
    page.add_text("kind", provider.kind.name());
    if !provider.base_url.is_empty() {
        page.add_text("base_url", &provider.base_url);
    }
    page.add("auth", auth(&provider.auth), json!(auth(&provider.auth)));
    let text = match &key.presence {
        Presence::Present { masked } => format!("{}: {masked}", key.short()),
        Presence::Missing { .. } | Presence::NotAsked | Presence::NotNeeded => key.short(),
    };
    page.add("key", text, key.json());
    let proxy = settings.proxies.get(&provider.id);
    let proxy = proxy.map_or_else(|| "as the environment says".to_owned(), ToString::to_string);
    page.add_else("proxy", &proxy, json!(proxy), "default".to_owned());
    headers(&mut page);
    let usual = provider.usual_model();
    page.add("default_model", usual.unwrap_or("-"), json!(usual));
    models(&mut page);
    profile(&mut page);
    if provider.codex_identity {
        page.add("codex_identity", "true", json!(true));
    }
    if let Some(engine) = settings.engines.get(&provider.id) {
        engine_values(&mut page, engine);
    }
    page.values
}

fn auth(auth: &Auth) -> String {
    match auth {
        Auth::Bearer => "bearer".to_owned(),
        Auth::Header { name } => format!("header {name}"),
        Auth::Login => "login".to_owned(),
        Auth::None => "none".to_owned(),
    }
}

fn headers(page: &mut Page<'_>) {
    let headers: Vec<(&str, &str)> = page
        .provider
        .headers
        .iter()
        .map(|(name, value)| {
            let value = if names_secret(name) { "***" } else { value };
            (name.as_str(), value)
        })
        .collect();
    if headers.is_empty() {
        return;
    }
    let texts: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let all: serde_json::Map<String, Value> = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    page.add("headers", texts.join(", "), json!(all));
}

/// The habits; what is sent along with every body may hold a secret.
fn profile(page: &mut Page<'_>) {
    if page.provider.profile.is_empty() {
        return;
    }
    let mut table = toml::Table::new();
    table.insert("profile".to_owned(), page.provider.profile.clone().into());
    let table = masked(&table);
    let profile = table.get("profile").and_then(toml::Value::as_table);
    let habits: Vec<String> = profile
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    page.add("profile", habits.join(", "), json!(profile));
}

/// What the settings say of a Codex on this machine, as far as people ask for it.
fn engine_values(page: &mut Page<'_>, engine: &EngineSettings) {
    let paths = [
        ("codex", &engine.codex),
        ("codex_home", &engine.login_home),
        ("engine_home", &engine.engine_home),
        ("default_cwd", &engine.default_cwd),
    ];
    for (name, path) in paths {
        let path = path.display().to_string();
        page.add_else(name, &path, json!(path), "default".to_owned());
    }
    let workers = engine.workers;
    page.add_else(
        "workers",
        workers.to_string(),
        json!(workers),
        "default".to_owned(),
    );
    let agent = engine.agent;
    page.add_else(
        "agent",
        agent.to_string(),
        json!(agent),
        "default".to_owned(),
    );
}

fn models(page: &mut Page<'_>) {
    let models = &page.provider.models;
    let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let text = match names.len() {
        0 => "none listed; any name is passed through".to_owned(),
        _ => names.join(", "),
    };
    let all: Vec<Value> = models.iter().map(|model| model_json(model)).collect();
    page.add("models", text, json!(all));
}

fn model_json(model: &Model) -> Value {
    json!({
        "id": model.id,
        "display_name": model.display_name,
        "context_window": model.context_window,
        "output_tokens_max": model.output_tokens_max,
        "images": model.images,
        "reasoning_efforts": model.reasoning_efforts,
    })
}
