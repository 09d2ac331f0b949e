//! Which model, of which provider: as the command line says, else as the user picks, else as the settings say.

use std::ffi::OsString;

use anyhow::Context;
use polywire_credentials::on_one_line;
use polywire_plan::Target;
use polywire_settings::Settings;

use super::last::LastChoice;
use super::picker;
use crate::configuration::login_problem;
use crate::logging::note;
use crate::provider::fetched_models;

/// The model that is there without a provider.
const DEMO_MODEL: &str = "demo/demo";

/// What the user has said so far.
pub(crate) struct Wanted {
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
}

/// The model to launch a client on.
pub(crate) struct Choice {
    /// The name under which the gateway serves it. The provider stands in front, unless the user has named a model alone, so that
    /// one of the same name elsewhere, or one that the client knows itself, is not meant.
    pub(crate) model: String,
    /// The provider that was chosen; `None` when a model was named alone.
    pub(crate) provider: Option<String>,
}

/// The name under which the gateway serves what was asked for, without a question: always with the provider in front, unless a model was
/// named alone.
pub(crate) fn wanted_model(
    provider: Option<&str>,
    model: Option<&str>,
    settings: &Settings,
) -> anyhow::Result<String> {
    match (provider, model) {
        (Some(provider), Some(model)) => Ok(qualified(provider, model, settings)),
        (Some(provider), None) => named(&format!("{provider}/"), settings),
        (None, Some(model)) => Ok(model.to_owned()),
        (None, None) if settings.catalog.default_provider.is_none() => anyhow::bail!(
            "no provider was named, and of several none is the default\nhint: name one with `-p PROVIDER`, or choose one for good with `polywire provider default PROVIDER`"
        ),
        (None, None) => named("", settings),
    }
}

/// Completes what the user wants, without a question.
pub(crate) fn without_asking(wanted: Wanted, settings: &Settings) -> anyhow::Result<Choice> {
    let Wanted { provider, model } = wanted;
    Ok(Choice {
        model: wanted_model(provider.as_deref(), model.as_deref(), settings)?,
        provider,
    })
}

/// Tells whoever names a provider where a word for the client stands.
pub(crate) fn tell_word(words: &[OsString], wanted: &Wanted, settings: &Settings) {
    let word = words.first().and_then(|word| word.to_str());
    let Some(word) = word.filter(|_| wanted.provider.is_none()) else {
        return;
    };
    if settings.catalog.provider(word).is_some() || polywire_catalog::preset(word).is_some() {
        note(format_args!(
            "`{word}` is a word for the client here; the provider is named with `-p {word}`"
        ));
    }
}

/// Tells that nothing but the demo is there, where nobody has asked for it: its answers look like a model's.
pub(crate) fn tell_demo(choice: &Choice, wanted: bool) {
    if !wanted && choice.model == DEMO_MODEL {
        note(
            "no provider is configured: this is the built-in demo, a script that answers as a model would\nhint: `polywire provider add` adds a provider",
        );
    }
}

/// Asks for what the user has not said.
pub(crate) fn by_asking(
    wanted: Wanted,
    settings: &Settings,
    last: &mut LastChoice,
) -> anyhow::Result<Choice> {
    if wanted.model.is_some() {
        return without_asking(wanted, settings);
    }
    let provider = match wanted.provider {
        Some(provider) => provider,
        None => picker::provider(settings, last)?,
    };
    let Some(known) = settings.catalog.provider(&provider) else {
        // The settings tell what is wrong with it.
        let wanted = Wanted {
            provider: Some(provider),
            model: None,
        };
        return without_asking(wanted, settings);
    };
    let fetched = fetched_models(&settings.paths, known);
    let model = picker::model(known, &fetched, last)?;
    last.provider = Some(provider.clone());
    last.models.insert(provider.clone(), model.clone());
    Ok(Choice {
        model: qualified(&provider, &model, settings),
        provider: Some(provider),
    })
}

/// A model's name with its provider in front.
fn qualified(provider: &str, model: &str, settings: &Settings) -> String {
    // Some providers have models whose own names begin with the provider's.
    let known = settings.catalog.provider(provider);
    let whole = known.is_some_and(|known| known.model(model).is_some());
    let bare = model.strip_prefix(&format!("{provider}/"));
    let bare = bare.filter(|_| !whole).unwrap_or(model);
    format!("{provider}/{bare}")
}

/// The usual model of a provider (`provider/`), or of the default one (nothing).
fn named(model: &str, settings: &Settings) -> anyhow::Result<String> {
    let asked = model.strip_suffix('/');
    let id = asked.or(settings.catalog.default_provider.as_deref());
    let provider = id.and_then(|id| settings.catalog.provider(id));
    if let Some(provider) = provider.filter(|provider| provider.usual_model().is_none()) {
        let id = &provider.id;
        anyhow::bail!(
            "provider `{id}` has no default model, and its models are not known\nhint: name one with `-m MODEL`, or `polywire provider models {id} --save` takes them from the provider"
        );
    }
    let target = first_target(model, settings)?;
    Ok(format!("{}/{}", target.provider.id, target.upstream_model))
}

fn first_target(model: &str, settings: &Settings) -> anyhow::Result<Target> {
    let targets = polywire_plan::targets(model, &settings.catalog)?;
    let mut targets = targets.into_iter();
    targets.next().context("no model serves this name")
}

/// The target that would serve the model, if it has what it needs. Better found now than in the middle of the client's first
/// turn.
pub(crate) async fn usable_target(model: &str, settings: &Settings) -> anyhow::Result<Target> {
    let target = first_target(model, settings)?;
    let provider = &target.provider.id;
    settings.key(provider).await.map_err(|error| {
        anyhow::anyhow!(
            "there is no key for provider `{provider}`: {}\nhint: {}",
            on_one_line(&error),
            settings.key_hint(provider)
        )
    })?;
    match login_problem(settings, provider) {
        Some(problem) => Err(problem.into()),
        None => Ok(target),
    }
}
