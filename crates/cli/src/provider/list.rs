//! `polywire provider list`.

use std::process::ExitCode;

use clap::Args;
use futures_util::future::join_all;
use polywire_catalog::Provider;
use polywire_settings::{Overrides, Settings};
use serde_json::{Value, json};

use crate::columns::columns;
use crate::configuration;
use crate::logging::say;
use crate::printable::printable_json;
use crate::provider::key_state::KeyState;

#[derive(Args)]
pub(crate) struct ListArguments {
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

/// Paths and addresses are shown whole: they are there to be copied.
const CELL_WIDTH_MAX: usize = 256;

const HEADS: [&str; 7] = ["", "NAME", "KIND", "ADDRESS", "MODEL", "KEY", "FROM"];

pub(crate) async fn list(
    arguments: &ListArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let settings = configuration::load(overrides)?;
    configuration::tell_warnings(&settings);
    let providers = &settings.catalog.providers;
    // All at once: a keyring that hangs is waited for once, and not once for each.
    let states = providers
        .iter()
        .map(|provider| KeyState::of(&settings, provider));
    let states = join_all(states).await;
    let listed = providers.iter().map(AsRef::as_ref).zip(&states);
    if arguments.json {
        let all: Vec<Value> = listed
            .map(|(provider, key)| as_json(&settings, provider, key))
            .collect();
        say(printable_json(&serde_json::to_string_pretty(&all)?));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(listed.map(|(provider, key)| row(&settings, provider, key)));
    columns(&rows, CELL_WIDTH_MAX).iter().for_each(say);
    Ok(ExitCode::SUCCESS)
}

fn is_default(settings: &Settings, provider: &Provider) -> bool {
    settings.catalog.default_provider.as_ref() == Some(&provider.id)
}

fn origin(settings: &Settings, provider: &Provider) -> String {
    let origin = settings.origins.get(&format!("providers.{}", provider.id));
    origin.map_or_else(|| "default".to_owned(), ToString::to_string)
}

fn row(settings: &Settings, provider: &Provider, key: &KeyState) -> [String; 7] {
    let mark = if is_default(settings, provider) {
        "*"
    } else {
        ""
    };
    [
        mark.to_owned(),
        provider.id.clone(),
        provider.kind.name().to_owned(),
        provider.base_url.clone(),
        provider.usual_model().unwrap_or("-").to_owned(),
        key.short(),
        origin(settings, provider),
    ]
}

fn as_json(settings: &Settings, provider: &Provider, key: &KeyState) -> Value {
    json!({
        "id": provider.id,
        "name": provider.name,
        "default": is_default(settings, provider),
        "kind": provider.kind.name(),
        "preset": provider.preset,
        "base_url": Some(&provider.base_url).filter(|url| !url.is_empty()),
        "default_model": provider.usual_model(),
        "models": provider.models.len(),
        "key": key.json(),
        "origin": origin(settings, provider),
    })
}
