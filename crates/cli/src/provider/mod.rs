//! `polywire provider`: the providers of the settings, and what can be had from them. One file per subcommand.

mod add;
mod change;
mod default;
mod edit;
mod editor;
mod export;
mod fields;
mod import;
mod key;
mod key_places;
mod key_state;
mod key_store;
mod list;
mod merge;
mod model_names;
mod models;
mod passphrase;
mod presets;
mod remove;
mod show;
mod test;
mod test_record;

use std::process::ExitCode;

use clap::Subcommand;
use polywire_catalog::Provider;
use polywire_settings::{Overrides, Paths, Settings};

#[derive(Subcommand)]
pub(crate) enum ProviderCommand {
    /// Add a provider: on a terminal what is not said is asked for
    Add(Box<add::AddArguments>),
    /// The providers that can be used, and whether their keys are there
    List(list::ListArguments),
    /// Everything about one provider, and where each value comes from; keys are masked
    Show(show::ShowArguments),
    /// Change a provider; comments and layout of the settings file stay. Without a flag an editor opens
    Edit(Box<edit::EditArguments>),
    /// Remove a provider from the settings, and the key that polywire keeps for it
    Remove(remove::RemoveArguments),
    /// Tell or choose the provider that takes the names which nobody lists
    Default(default::DefaultArguments),
    /// The models that a provider lists, and those that the settings list of it
    Models(models::ModelsArguments),
    /// The providers that polywire knows and that only need a key
    Presets(presets::PresetsArguments),
    /// Try what works with a provider: key, streaming, tools, structured output, reasoning
    Test(test::TestArguments),
    /// Put providers, aliases and routes into one file, a bundle, without secrets unless asked for
    Export(export::ExportArguments),
    /// Take over providers from a bundle, or from the Codex Launcher; shows first what it will do
    Import(import::ImportArguments),
}

/// The models of the list that was last fetched from a provider, in its order; none where none was.
pub(crate) fn fetched_models(paths: &Paths, provider: &Provider) -> Vec<String> {
    let fetched = models::cache::read(paths, provider);
    let models = fetched.into_iter().flat_map(|fetched| fetched.models);
    models.map(|model| model.id).collect()
}

pub(crate) async fn provider(
    command: ProviderCommand,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    match command {
        ProviderCommand::List(arguments) => list::list(&arguments, &overrides).await,
        ProviderCommand::Show(arguments) => show::show(&arguments, &overrides).await,
        ProviderCommand::Add(arguments) => add::add(*arguments, &overrides).await,
        ProviderCommand::Edit(arguments) => edit::edit(*arguments, &overrides).await,
        ProviderCommand::Remove(arguments) => remove::remove(&arguments, &overrides).await,
        ProviderCommand::Default(arguments) => default::default(&arguments, &overrides),
        ProviderCommand::Models(arguments) => models::models(&arguments, &overrides).await,
        ProviderCommand::Presets(arguments) => presets::presets(&arguments),
        ProviderCommand::Test(arguments) => test::test(&arguments, &overrides).await,
        ProviderCommand::Export(arguments) => export::export(&arguments, &overrides).await,
        ProviderCommand::Import(arguments) => import::import(&arguments, &overrides).await,
    }
}

/// The provider of this name.
fn find<'s>(settings: &'s Settings, name: &str) -> anyhow::Result<&'s Provider> {
    let found = settings.catalog.provider(name);
    found.map(AsRef::as_ref).ok_or_else(|| {
        let hint = match polywire_catalog::preset(name) {
            Some(_) => format!("it is a preset; `polywire provider add {name}` makes it yours"),
            None => "`polywire provider list` shows those there are, `polywire provider presets` those that only need a key".to_owned(),
        };
        anyhow::anyhow!("there is no provider `{name}`\nhint: {hint}")
    })
}
