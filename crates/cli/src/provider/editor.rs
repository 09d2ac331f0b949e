//! The settings in an editor: checked before they replace the file, and offered again when they do not work.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use polywire_client_files::replace_atomically;
use polywire_settings::{Edit, Overrides, ProcessEnvironment};

use crate::ask;
use crate::configuration::variable;
use crate::logging::{complain, note, say};
use crate::provider::change::tell_new_warnings;

/// The editor that every Unix has, for those who name none.
const USUAL_EDITOR: &str = "vi";

/// Opens the settings file at a provider.
///
/// # Errors
/// The editor cannot be used, or what it leaves does not work and is not to be mended. The file is as it was then.
pub(crate) fn edit(id: &str, overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let environment = ProcessEnvironment;
    let edit = Edit::begin(overrides, &environment)?;
    let (paths, before) = (edit.paths().clone(), edit.settings()?);
    let original = edit.text().to_bytes();
    // Others may change the settings while somebody thinks.
    drop(edit);
    super::find(&before, id)?;
    let mut draft = tempfile::Builder::new()
        .prefix("polywire-settings-")
        .suffix(".toml")
        .tempfile_in(&paths.state_dir)
        .context("no draft of the settings could be made")?;
    draft.write_all(&original)?;
    loop {
        open_editor(draft.path())?;
        let edited = fs::read(draft.path()).context("the editor has left no draft")?;
        if edited == original {
            say("nothing was changed");
            return Ok(ExitCode::SUCCESS);
        }
        match replace(&original, &edited, overrides) {
            Ok(after) => {
                tell_new_warnings(&before, &after);
                let file = paths.config_file.display();
                say(format_args!("{file} is changed"));
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => complain(&error),
        }
        if !goes_on()? {
            let kept = paths.state_dir.join("settings-draft.toml");
            replace_atomically(&kept, &edited, 0o600)?;
            note(format_args!("your draft is kept as {}", kept.display()));
            bail!("the settings are as they were");
        }
    }
}

fn replace(
    original: &[u8],
    edited: &[u8],
    overrides: &Overrides,
) -> anyhow::Result<polywire_settings::Settings> {
    let environment = ProcessEnvironment;
    let mut edit = Edit::begin(overrides, &environment)?;
    if edit.text().to_bytes() != original {
        bail!("the settings were changed by somebody else while the editor was open");
    }
    edit.replace(edited)?;
    let after = edit.settings()?;
    edit.save()?;
    Ok(after)
}

fn open_editor(path: &Path) -> anyhow::Result<()> {
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(variable);
    let editor = named
        .into_iter()
        .find(|editor| !editor.trim().is_empty())
        .unwrap_or_else(|| USUAL_EDITOR.to_owned());
    let words = shell_words::split(&editor)
        .with_context(|| format!("the editor `{editor}` has a quote that is not closed"))?;
    let (program, arguments) = words.split_first().context("no editor is named")?;
    let status = Command::new(program)
        .args(arguments)
        .arg(path)
        .status()
        .with_context(|| {
            format!(
                "the editor `{program}` could not be started\nhint: set EDITOR to one that is there"
            )
        })?;
    if !status.success() {
        bail!("the editor `{program}` failed ({status}); nothing was changed");
    }
    Ok(())
}

/// Whoever turns back from the question keeps the draft as well.
fn goes_on() -> anyhow::Result<bool> {
    match ask::whether("Go on editing?", true) {
        Err(error) if error.is::<ask::Cancelled>() => Ok(false),
        answer => answer,
    }
}
