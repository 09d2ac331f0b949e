//! `polywire provider`: the providers of the settings, and what can be had from them. One file per subcommand.

mod key_state;
mod list;
mod presets;
mod secret_words;
mod show;
mod test;
mod test_record;

use std::process::ExitCode;

use clap::Subcommand;
use polywire_catalog::Provider;
use polywire_settings::{Overrides, Settings};

#[derive(Subcommand)]
pub(crate) enum ProviderCommand {
    /// The providers that can be used, and whether their keys are there
    List(list::ListArguments),
    /// Everything about one provider, and where each value comes from; keys are masked
    Show(show::ShowArguments),
    /// The providers that polywire knows and that only need a key
    Presets(presets::PresetsArguments),
    /// Try what works with a provider: key, streaming, tools, structured output, reasoning
    Test(test::TestArguments),
}

pub(crate) async fn provider(
    command: ProviderCommand,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    match command {
        ProviderCommand::List(arguments) => list::list(&arguments, &overrides).await,
        ProviderCommand::Show(arguments) => show::show(&arguments, &overrides).await,
        ProviderCommand::Presets(arguments) => presets::presets(&arguments),
        ProviderCommand::Test(arguments) => test::test(&arguments, &overrides).await,
    }
}

/// The provider of this name.
fn find<'s>(settings: &'s Settings, name: &str) -> anyhow::Result<&'s Provider> {
    let found = settings.catalog.provider(name);
    found.map(AsRef::as_ref).ok_or_else(|| {
        let hint = match polywire_catalog::preset(name) {
            Some(_) => format!("it is a preset; `polywire provider add {name}` makes it yours"),
            None => "`polywire provider list` shows those there are".to_owned(),
        };
        anyhow::anyhow!("there is no provider `{name}`\nhint: {hint}")
    })
}
