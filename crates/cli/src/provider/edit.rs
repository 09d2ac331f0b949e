//! `polywire provider edit`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polywire_settings::{Edit, Overrides, ProcessEnvironment};

use crate::ask;
use crate::logging::{note, say};
use crate::provider::add::{find_preset, is_in_file};
use crate::provider::fields::{Fields, parse_path};
use crate::provider::key::KeyArguments;
use crate::provider::{change, editor};

#[derive(Args)]
pub(crate) struct EditArguments {
    /// The provider
    #[arg(value_name = "NAME")]
    id: String,
    /// The preset to take everything from that is not said otherwise
    #[arg(long)]
    preset: Option<String>,
    #[command(flatten)]
    fields: Fields,
    /// Take a setting of the provider out, such as `default_model` or `profile.stop_max`; can be repeated
    #[arg(long, value_name = "PATH")]
    unset: Vec<String>,
    #[command(flatten)]
    key: KeyArguments,
}

pub(crate) async fn edit(
    arguments: EditArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let environment = ProcessEnvironment;
    let id = arguments.id.as_str();
    let nothing_said = arguments.fields.is_empty()
        && arguments.unset.is_empty()
        && arguments.preset.is_none()
        && !arguments.key.say_something();
    if nothing_said {
        if !ask::is_possible() {
            bail!(
                "what to change was not said\nhint: `polywire provider edit --help` lists what there is; on a terminal an editor opens"
            );
        }
        return editor::edit(id, overrides);
    }
    let before = Edit::begin(overrides, &environment)?.settings()?;
    let provider = super::find(&before, id)?;
    let key = arguments.key.given(id, false)?;
    let mut edit = Edit::begin(overrides, &environment)?;
    if !is_in_file(&edit, id) {
        // A preset that is there by its variable alone.
        let Some(preset) = &provider.preset else {
            bail!("provider `{id}` is built in, and has nothing to change");
        };
        edit.set(&["providers", id, "preset"], preset.as_str())?;
    }
    if let Some(preset) = &arguments.preset {
        edit.set(
            &["providers", id, "preset"],
            find_preset(preset)?.id.as_str(),
        )?;
    }
    for path in &arguments.unset {
        let path = parse_path(path)?;
        let whole: Vec<&str> = ["providers", id].into_iter().chain(path.keys()).collect();
        if !edit.remove(&whole)? {
            note(format_args!("`{}` is not set in the file", whole.join(".")));
        }
    }
    let kind = arguments.fields.kind.unwrap_or(provider.kind);
    arguments.fields.write(&mut edit, id, kind)?;
    let file = edit.paths().config_file.display().to_string();
    change::save(edit, id, key).await?;
    say(format_args!("provider `{id}` is changed in {file}"));
    Ok(ExitCode::SUCCESS)
}
