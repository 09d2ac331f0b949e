//! The list of models in the settings.

use std::process::ExitCode;

use anyhow::{Context, bail};
use polywire_catalog::Provider;
use polywire_settings::{Edit, Overrides, ProcessEnvironment, Settings, toml_text};

use crate::logging::{note, say};
use crate::provider::add::is_in_file;
use crate::provider::change::tell_new_warnings;
use crate::provider::model_names::{self, name_of};
use crate::provider::models::cache::{Fetched, KnownModel};
use crate::provider::models::{Changes, import};

/// Changes the list as the arguments say. One that is not there yet begins with the models that are in force.
///
/// # Errors
/// There is nothing to add, or the settings would not work.
pub(crate) fn write(
    changes: &Changes,
    fetched: Option<&Fetched>,
    before: &Settings,
    provider: &Provider,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let wanted = wanted(changes, fetched, provider)?;
    let environment = ProcessEnvironment;
    let mut edit = Edit::begin(overrides, &environment)?;
    let id = provider.id.as_str();
    if !is_in_file(&edit, id) {
        let preset = provider.preset.as_ref();
        let preset = preset.context(format!("provider `{id}` is built in, and lists its own"))?;
        edit.set(&["providers", id, "preset"], preset.as_str())?;
    }
    let path = ["providers", id, "models"];
    let in_file = edit.text().get(&path).is_some();
    let listed: Vec<String> = if in_file {
        edit.items(&path)?.iter().filter_map(name_of).collect()
    } else {
        provider
            .models
            .iter()
            .map(|model| model.id.clone())
            .collect()
    };
    let plan = Plan::new(changes, wanted, &listed, id)?;
    edit.remove_items(&path, |item| {
        name_of(item).is_some_and(|name| plan.dropped.contains(&name))
    })?;
    let mut raw: Vec<String> = Vec::new();
    if !in_file {
        // Those in force stay by their names, which keep what is known of them.
        raw.extend(plan.kept.iter().map(|name| toml_text(name)));
    }
    raw.extend(plan.added.iter().map(|item| item.raw.clone()));
    edit.add_items(&path, &raw)?;
    let after = edit.settings()?;
    let file = edit.paths().config_file.display().to_string();
    edit.save()?;
    tell_new_warnings(before, &after);
    let now = after.catalog.provider(id);
    say(format_args!(
        "provider `{id}` lists {} models in {file}: {} added, {} taken out",
        now.map_or(0, |provider| provider.models.len()),
        plan.added.len(),
        plan.dropped.len()
    ));
    tell_default(&after, id);
    Ok(ExitCode::SUCCESS)
}

/// What becomes of a list.
struct Plan {
    kept: Vec<String>,
    added: Vec<Item>,
    dropped: Vec<String>,
}

impl Plan {
    fn new(
        changes: &Changes,
        wanted: Vec<Item>,
        listed: &[String],
        provider: &str,
    ) -> anyhow::Result<Self> {
        if let Some(name) = changes.remove.iter().find(|name| !listed.contains(name)) {
            bail!(
                "provider `{provider}` lists no model `{name}`\nhint: `polywire provider show {provider}` lists those it has; names are taken as they are, capitals and all"
            );
        }
        let is_wanted = |name: &String| wanted.iter().any(|item| item.name == *name);
        let goes =
            |name: &String| changes.remove.contains(name) || (changes.replace && !is_wanted(name));
        let (dropped, kept): (Vec<String>, Vec<String>) =
            listed.iter().cloned().partition(|name| goes(name));
        let added = wanted
            .into_iter()
            .filter(|item| !listed.contains(&item.name))
            .collect();
        Ok(Self {
            kept,
            added,
            dropped,
        })
    }
}

/// A model to add: its name, and what is to be written.
struct Item {
    name: String,
    raw: String,
}

impl Item {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            raw: toml_text(name),
        }
    }

    /// With what the provider tells of it, if that is anything and nobody knows more.
    fn known(model: &KnownModel, provider: &Provider) -> Self {
        let tells = model.context_window.is_some() || !model.images;
        if !tells || knows_preset(provider, &model.id) {
            return Self::named(&model.id);
        }
        let mut facts = vec![format!("id = {}", toml_text(&model.id))];
        if model.display_name != model.id {
            facts.push(format!("display_name = {}", toml_text(&model.display_name)));
        }
        if let Some(window) = model.context_window {
            facts.push(format!("context_window = {window}"));
        }
        if let Some(output) = model.output_tokens_max {
            facts.push(format!("output_tokens_max = {output}"));
        }
        facts.push(format!("images = {}", model.images));
        Self {
            name: model.id.clone(),
            raw: format!("{{ {} }}", facts.join(", ")),
        }
    }
}

fn knows_preset(provider: &Provider, model: &str) -> bool {
    let preset = provider
        .preset
        .as_deref()
        .and_then(polywire_catalog::preset);
    preset.is_some_and(|preset| preset.models.iter().any(|known| known.id == model))
}

fn wanted(
    changes: &Changes,
    fetched: Option<&Fetched>,
    provider: &Provider,
) -> anyhow::Result<Vec<Item>> {
    let mut wanted: Vec<Item> = Vec::new();
    let mut want = |item: Item| {
        if !wanted.iter().any(|known| known.name == item.name) {
            wanted.push(item);
        }
    };
    for model in fetched.into_iter().flat_map(|fetched| &fetched.models) {
        match model_names::check(&model.id) {
            Ok(()) => want(Item::known(model, provider)),
            Err(wrong) => note(format_args!("left out: {wrong}")),
        }
    }
    if let Some(list) = &changes.import {
        let names = model_names::parse(&import::text(list)?)?;
        for name in &names {
            want(Item::named(name));
        }
    }
    for name in &changes.add {
        model_names::check(name)?;
        want(Item::named(name));
    }
    Ok(wanted)
}

fn tell_default(after: &Settings, id: &str) {
    let Some(provider) = after.catalog.provider(id) else {
        return;
    };
    if let Some(model) = &provider.default_model
        && provider.model(model).is_none()
    {
        note(format_args!(
            "warning: its default model `{model}` is not in the list; `polywire provider edit {id} --default-model MODEL` names another"
        ));
    }
}
