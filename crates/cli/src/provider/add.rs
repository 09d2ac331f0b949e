//! `polywire provider add`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use polywire_catalog::{Auth, Kind, Preset, normalise_base_url, presets};
use polywire_settings::{Edit, Overrides, ProcessEnvironment, Settings};

use crate::ask;
use crate::configuration;
use crate::logging::{note, say};
use crate::provider::change;
use crate::provider::fields::Fields;
use crate::provider::key::{GivenKey, KeyArguments};

#[derive(Args)]
pub(crate) struct AddArguments {
    /// What to call it in settings and model names [default: the name of the preset]
    #[arg(value_name = "NAME")]
    id: Option<String>,
    /// The preset to take everything from; `polywire provider presets` lists them. A NAME that is a preset's needs none
    #[arg(long)]
    preset: Option<String>,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    key: KeyArguments,
    /// Make it the default provider
    #[arg(long)]
    default: bool,
}

/// What a provider is made from.
#[derive(Clone, Copy)]
enum Template {
    Preset(&'static Preset),
    Kind(Kind),
}

impl Template {
    fn kind(self) -> Kind {
        match self {
            Template::Preset(preset) => preset.kind,
            Template::Kind(kind) => kind,
        }
    }

    /// The name that the provider has if nobody wants another.
    fn usual_id(self) -> Option<&'static str> {
        match self {
            Template::Preset(preset) => Some(&preset.id),
            Template::Kind(_) => None,
        }
    }
}

pub(crate) async fn add(
    mut arguments: AddArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let environment = ProcessEnvironment;
    let before = Edit::begin(overrides, &environment)?.settings()?;
    let (template, was_asked) = template(&arguments)?;
    let id = id(&arguments, template, &before, was_asked)?;
    ask_address(&mut arguments.fields, template)?;
    let key = key(&arguments.key, template, &id, &before)?;
    if was_asked {
        ask_model(&mut arguments.fields, template)?;
        arguments.default |= wants_default(&id, &before)?;
    }
    let mut edit = Edit::begin(overrides, &environment)?;
    if is_in_file(&edit, &id) {
        bail!("there is a provider `{id}` already\nhint: `polywire provider edit {id}` changes it");
    }
    match template {
        Template::Preset(preset) => edit.set(&["providers", &id, "preset"], preset.id.as_str())?,
        Template::Kind(kind) => edit.set(&["providers", &id, "kind"], kind.name())?,
    }
    arguments.fields.write(&mut edit, &id, template.kind())?;
    let kept = if arguments.default {
        edit.set(&["default_provider"], id.as_str())?;
        None
    } else {
        keep_default(&mut edit, &before)?
    };
    let file = edit.paths().config_file.display().to_string();
    change::save(edit, &id, key).await?;
    say(format_args!("provider `{id}` is added to {file}"));
    if let Some(kept) = kept {
        note(format_args!(
            "`{kept}` stays the default provider; `polywire provider default {id}` changes that"
        ));
    }
    tell_next_steps(&configuration::load(overrides)?, &id);
    Ok(ExitCode::SUCCESS)
}

/// A provider that is the default because it is alone would not be it any more, and nobody would have said so: it is named then.
fn keep_default(edit: &mut Edit<'_>, before: &Settings) -> anyhow::Result<Option<String>> {
    let Some(default) = &before.catalog.default_provider else {
        return Ok(None);
    };
    // Settings that do not work are told when they are saved.
    let Ok(after) = edit.settings() else {
        return Ok(None);
    };
    let after = after.catalog.default_provider;
    if default == "demo" || after.as_ref() == Some(default) {
        return Ok(None);
    }
    edit.set(&["default_provider"], default.as_str())?;
    Ok(Some(default.clone()))
}

/// What is still missing, and how to see that it works.
fn tell_next_steps(after: &Settings, id: &str) {
    if !after.key_is_present(id) {
        note(format_args!(
            "its key is missing: {}; `polywire provider edit {id} --key-stdin` takes it in",
            after.key_hint(id)
        ));
    }
    let provider = after.catalog.provider(id);
    if provider.is_some_and(|provider| provider.usual_model().is_none()) {
        note(format_args!(
            "its models are not known yet: `polywire provider models {id} --save` takes them from the provider"
        ));
    }
    note(format_args!(
        "see what works: polywire provider test {id}\ntry it: polywire run codex -p {id}"
    ));
}

/// Whether the settings file has a table for this provider.
pub(crate) fn is_in_file(edit: &Edit<'_>, id: &str) -> bool {
    edit.text().get(&["providers", id]).is_some()
}

/// What it is made from, and whether that was asked.
fn template(arguments: &AddArguments) -> anyhow::Result<(Template, bool)> {
    if let Some(preset) = &arguments.preset {
        return Ok((Template::Preset(find_preset(preset)?), false));
    }
    if let Some(kind) = arguments.fields.kind {
        return Ok((Template::Kind(kind), false));
    }
    let named = arguments.id.as_deref().and_then(polywire_catalog::preset);
    if let Some(preset) = named {
        return Ok((Template::Preset(preset), false));
    }
    if !ask::is_possible() {
        bail!(
            "what the provider is was not said\nhint: --preset PRESET (`polywire provider presets` lists them), or --kind chat --base-url URL"
        );
    }
    let choices: Vec<String> = presets()
        .iter()
        .map(|preset| format!("{}: {}", preset.id, preset.about))
        .collect();
    let chosen = ask::choice("Which provider? (type to search)", &choices, 0)?;
    let preset = presets().get(chosen).context("nothing was chosen")?;
    Ok((Template::Preset(preset), true))
}

/// The preset of this name.
pub(crate) fn find_preset(id: &str) -> anyhow::Result<&'static Preset> {
    polywire_catalog::preset(id).with_context(|| {
        format!("there is no preset `{id}`\nhint: `polywire provider presets` lists them")
    })
}

fn id(
    arguments: &AddArguments,
    template: Template,
    before: &Settings,
    was_asked: bool,
) -> anyhow::Result<String> {
    let usual = template.usual_id();
    match (&arguments.id, usual) {
        (Some(id), _) => Ok(id.clone()),
        (None, usual) if was_asked => {
            let is_new = |id: &str| {
                let origin = before.origins.get(&format!("providers.{id}.preset"));
                let origin = origin.or_else(|| before.origins.get(&format!("providers.{id}.kind")));
                match origin {
                    Some(_) => Err(format!("there is a provider `{id}` already")),
                    None => Ok(()),
                }
            };
            ask::line("What is it to be called?", usual, is_new)
        }
        (None, Some(usual)) => Ok(usual.to_owned()),
        (None, None) => bail!(
            "the provider has no name\nhint: `polywire provider add NAME --kind {} …`",
            template.kind().name()
        ),
    }
}

/// A preset that cannot know its user's address asks for it, where there is somebody to ask.
fn ask_address(fields: &mut Fields, template: Template) -> anyhow::Result<()> {
    let form = match template {
        Template::Preset(preset) => preset.base_url_form.as_deref(),
        Template::Kind(_) => None,
    };
    let Some(form) = form.filter(|_| !fields.has_base_url() && ask::is_possible()) else {
        return Ok(());
    };
    let kind = template.kind();
    let check = |url: &str| {
        let normal = normalise_base_url(kind, url);
        normal.map(drop).map_err(|error| error.to_string())
    };
    let url = ask::line(&format!("Its address, such as {form}"), None, check)?;
    fields.with_base_url(url);
    Ok(())
}

/// The key that was given. Asked for where there is somebody to ask and the provider needs one that is not at hand.
fn key(
    arguments: &KeyArguments,
    template: Template,
    id: &str,
    before: &Settings,
) -> anyhow::Result<Option<GivenKey>> {
    if let Some(given) = arguments.given(id, true)? {
        return Ok(Some(given));
    }
    let Template::Preset(preset) = template else {
        return Ok(None);
    };
    let may_have_key = match preset.auth {
        Auth::Bearer | Auth::Header { .. } => true,
        // Nobody knows what an address needs that only its user knows.
        Auth::None => preset.base_url.is_none(),
        Auth::Login => false,
    };
    let variable = preset.key_variable.as_deref();
    let is_at_hand = variable.is_some_and(|name| {
        before.variable(name).is_some() || configuration::variable(name).is_some()
    });
    if !may_have_key || is_at_hand || !ask::is_possible() {
        return Ok(None);
    }
    if let Some(page) = &preset.key_page {
        note(format_args!("keys are made at {page}"));
    }
    let otherwise = match variable {
        Some(name) => format!("it is in {name}"),
        None => "it needs none".to_owned(),
    };
    let whose = match preset.base_url {
        Some(_) => &preset.name,
        // A form for servers of one's own has no name that means anybody.
        None => id,
    };
    let question = format!("Key of {whose} (not shown; leave it empty if {otherwise})");
    let key = ask::secret(&question)?;
    let place = arguments.place();
    Ok(key.map(|key| GivenKey::Itself { key, place }))
}

fn ask_model(fields: &mut Fields, template: Template) -> anyhow::Result<()> {
    let Template::Preset(preset) = template else {
        return Ok(());
    };
    if preset.models.len() < 2 {
        return Ok(());
    }
    let names: Vec<&str> = preset
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    let usual = preset.default_model.as_deref();
    let first = names.iter().position(|name| Some(*name) == usual);
    let chosen = ask::choice("Which model by default?", &names, first.unwrap_or_default())?;
    match names.get(chosen) {
        Some(name) if Some(*name) != usual => fields.with_default_model((*name).to_owned()),
        Some(_) | None => {}
    }
    Ok(())
}

/// Asked only where there is a choice: the only provider is the default one anyhow.
fn wants_default(id: &str, before: &Settings) -> anyhow::Result<bool> {
    let others = before.catalog.providers.iter();
    let has_others = others.filter(|provider| provider.id != "demo").count() > 0;
    if !has_others {
        return Ok(false);
    }
    ask::whether(&format!("Make `{id}` the default provider?"), false)
}
