//! `polywire provider default`.

use std::process::ExitCode;

use clap::Args;
use polywire_settings::{Edit, Overrides, ProcessEnvironment, Settings, ValueOrigin};

use crate::configuration;
use crate::logging::{note, say};
use crate::provider::change::tell_new_warnings;

#[derive(Args)]
pub(crate) struct DefaultArguments {
    /// The provider to take the names that nobody lists [default: tell which one it is]
    name: Option<String>,
    /// Name none; then the only provider that is configured is the default one
    #[arg(long, conflicts_with = "name")]
    none: bool,
}

pub(crate) fn default(
    arguments: &DefaultArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let Some(name) = arguments.name.as_deref() else {
        if arguments.none {
            return unset(overrides);
        }
        return tell(overrides);
    };
    let environment = ProcessEnvironment;
    let mut edit = Edit::begin(overrides, &environment)?;
    let before = edit.settings()?;
    // A preset is one by its name alone; everything else must be there.
    if polywire_catalog::preset(name).is_none() {
        super::find(&before, name)?;
    }
    edit.set(&["default_provider"], name)?;
    let after = edit.settings()?;
    edit.save()?;
    tell_new_warnings(&before, &after);
    say(format_args!("the default provider is `{name}`"));
    tell_what_stands_above(&after);
    if !after.key_is_present(name) {
        note(format_args!("its key is missing: {}", after.key_hint(name)));
    }
    Ok(ExitCode::SUCCESS)
}

fn unset(overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let environment = ProcessEnvironment;
    let mut edit = Edit::begin(overrides, &environment)?;
    edit.remove(&["default_provider"])?;
    edit.save()?;
    tell(overrides)
}

fn tell(overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let settings = configuration::load(overrides)?;
    tell_what_stands_above(&settings);
    match &settings.catalog.default_provider {
        Some(name) => say(name),
        None => note("there is no default provider\nhint: `polywire provider default NAME`"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever looks at the settings file or changes it should know that another word counts.
fn tell_what_stands_above(settings: &Settings) {
    if let Some(ValueOrigin::Environment(variable)) = settings.origins.get("default_provider") {
        note(format_args!(
            "warning: {variable} stands above the settings file"
        ));
    }
}
