//! `polywire provider models`: what a provider lists, and what the settings list of it.

pub(crate) mod cache;
mod fetch;
mod import;
mod show;
mod write;

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polywire_catalog::Provider;
use polywire_gateway::ListError;
use polywire_settings::{Overrides, Settings};

use crate::configuration;
use crate::logging::note;
use crate::provider::models::cache::Fetched;

#[derive(Args)]
pub(crate) struct ModelsArguments {
    /// The provider
    name: String,
    /// Ask the provider, though its list was fetched within the last day
    #[arg(long)]
    refresh: bool,
    /// As a JSON object
    #[arg(long, conflicts_with_all = ["save", "import", "add", "remove"])]
    json: bool,
    #[command(flatten)]
    changes: Changes,
}

/// What becomes of the list in the settings.
#[derive(Args)]
struct Changes {
    /// Write what the provider lists into the settings, as its `models`; those that are there stay
    #[arg(long)]
    save: bool,
    /// Add models to the settings from a list with commas or line ends: `-` for standard input, a file, or the list itself
    #[arg(long, value_name = "-|FILE|LIST", allow_hyphen_values = true)]
    import: Option<String>,
    /// With --save or --import: drop what is not in that list
    #[arg(long)]
    replace: bool,
    /// Add a model to the settings, by its name as it is; can be repeated
    #[arg(long, value_name = "MODEL")]
    add: Vec<String>,
    /// Take a model out of the settings; can be repeated
    #[arg(long, value_name = "MODEL")]
    remove: Vec<String>,
}

impl Changes {
    fn are_there(&self) -> bool {
        self.save || self.import.is_some() || !self.add.is_empty() || !self.remove.is_empty()
    }
}

pub(crate) async fn models(
    arguments: &ModelsArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let settings = configuration::load(overrides)?;
    let provider = super::find(&settings, &arguments.name)?;
    let changes = &arguments.changes;
    if changes.replace && !changes.save && changes.import.is_none() {
        bail!("--replace says what becomes of the list before\nhint: add --save or --import");
    }
    if !changes.are_there() {
        let listed = listed(arguments, &settings, provider).await?;
        show::show(provider, listed.as_ref(), arguments.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut fetched = None;
    if changes.save {
        let list = fetch::fetched(&settings, provider, arguments.refresh).await;
        fetched = Some(list.map_err(|error| fetch::told(&error, &settings, provider))?);
    }
    write::write(changes, fetched.as_ref(), &settings, provider, overrides)
}

/// The provider's list; `None` when it has none, which is told, and those of the settings serve.
async fn listed(
    arguments: &ModelsArguments,
    settings: &Settings,
    provider: &Provider,
) -> anyhow::Result<Option<Fetched>> {
    let error = match fetch::fetched(settings, provider, arguments.refresh).await {
        Ok(fetched) => return Ok(Some(fetched)),
        Err(error) => error,
    };
    match (&error, cache::read(&settings.paths, provider)) {
        (ListError::NotAsked, _) => Ok(None),
        (ListError::NoList { .. }, _) if !arguments.refresh => {
            note(format_args!(
                "provider `{}`: {error}; these are the models that polywire knows of it, and any other can be asked for by its name",
                provider.id
            ));
            Ok(None)
        }
        (ListError::Fault(_), Some(old)) if !arguments.refresh => {
            note(format_args!(
                "warning: {:#}",
                fetch::told(&error, settings, provider)
            ));
            note(format_args!("this is the list of {}", old.age_in_words()));
            Ok(Some(old))
        }
        (ListError::NoList { .. } | ListError::Configuration(_) | ListError::Fault(_), _) => {
            Err(fetch::told(&error, settings, provider))
        }
    }
}
