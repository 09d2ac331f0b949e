//! `polywire provider presets`.

use std::process::ExitCode;

use clap::Args;
use polywire_catalog::Preset;
use serde_json::{Value, json};

use crate::columns::columns;
use crate::logging::{note, say};

/// The longest description that is shown whole. All of ours are.
const ABOUT_MAX: usize = 200;

#[derive(Args)]
pub(crate) struct PresetsArguments {
    /// Only those in whose name, description or models this stands, in whatever case
    search: Option<String>,
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

pub(crate) fn presets(arguments: &PresetsArguments) -> anyhow::Result<ExitCode> {
    let wanted = arguments.search.as_deref().unwrap_or_default();
    let found: Vec<&Preset> = polywire_catalog::presets()
        .iter()
        .filter(|preset| matches(preset, wanted))
        .collect();
    if arguments.json {
        let all: Vec<Value> = found.into_iter().map(as_json).collect();
        say(serde_json::to_string_pretty(&all)?);
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        note(format_args!(
            "no preset has `{wanted}` in it; any other service of a known kind can be added with `polywire provider add NAME --kind chat --base-url URL`"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["PRESET", "KIND", "KEY", "WHAT IT IS"].map(str::to_owned)];
    rows.extend(found.into_iter().map(|preset| {
        [
            preset.id.clone(),
            preset.kind.name().to_owned(),
            preset
                .key_variable
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
            preset.about.clone(),
        ]
    }));
    columns(&rows, ABOUT_MAX).iter().for_each(say);
    Ok(ExitCode::SUCCESS)
}

/// Whether all of it stands somewhere in what is known of the preset.
fn matches(preset: &Preset, wanted: &str) -> bool {
    let wanted = wanted.to_lowercase();
    let texts = [&preset.id, &preset.name, &preset.about];
    let models = preset.models.iter().map(|model| &model.id);
    texts
        .into_iter()
        .chain(models)
        .any(|text| text.to_lowercase().contains(&wanted))
}

fn as_json(preset: &Preset) -> Value {
    let models: Vec<&str> = preset
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    json!({
        "id": preset.id,
        "name": preset.name,
        "about": preset.about,
        "kind": preset.kind.name(),
        "base_url": preset.base_url,
        "base_url_form": preset.base_url_form,
        "other_base_urls": preset.other_base_urls,
        "key_variable": preset.key_variable,
        "key_page": preset.key_page,
        "default_model": preset.default_model,
        "models": models,
    })
}
