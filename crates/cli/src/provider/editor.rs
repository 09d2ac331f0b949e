//! The settings in an editor: checked before they replace the file, and offered again when they do not work.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use polywire_client_files::replace_atomically;
use polywire_settings::{Edit, Overrides, ProcessEnvironment, Settings};

use crate::ask;
use crate::configuration::variable;
use crate::logging::{complain, note, say};
use crate::provider::change::tell_new_warnings;
use crate::provider::merge::{END, MINE, Merged, merged};

/// The editor that every Unix has, for those who name none.
const USUAL_EDITOR: &str = "vi";

/// What is kept of an editor's work that did not come to anything, in the folder for state.
const KEPT_DRAFT: &str = "settings-draft.toml";

/// Opens the settings file at a provider.
///
/// # Errors
/// The editor cannot be used, or what it leaves does not work and is not to be mended. The file is as it was then, and what was written in
/// the editor is kept.
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
    match edit_draft(draft.path(), &original, overrides) {
        Ok(Some(after)) => {
            tell_new_warnings(&before, &after);
            let file = paths.config_file.display();
            say(format_args!("{file} is changed"));
            Ok(ExitCode::SUCCESS)
        }
        Ok(None) => {
            say("nothing was changed");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            keep(draft.path(), &original, &paths.state_dir)?;
            Err(error)
        }
    }
}

/// Lets a draft be edited until it works, and puts it in the place of the settings. Nothing where it comes out as it went in.
fn edit_draft(
    draft: &Path,
    original: &[u8],
    overrides: &Overrides,
) -> anyhow::Result<Option<Settings>> {
    let mut base = original.to_vec();
    loop {
        open_editor(draft)?;
        let edited = fs::read(draft).context("the editor has left no draft")?;
        if edited == base {
            return Ok(None);
        }
        match replace(&base, &edited, overrides) {
            Ok(Replaced::Done(after)) => return Ok(Some(*after)),
            Ok(Replaced::ChangedMeanwhile(theirs)) => {
                let merged = merged(&base, &edited, &theirs);
                fs::write(draft, &merged.text).context("the draft could not be written")?;
                tell_merged(&merged);
                base = theirs;
            }
            Err(error) => complain(&error),
        }
        if !ask::whether("Go on editing?", true)? {
            bail!("the settings are as they were");
        }
    }
}

fn tell_merged(merged: &Merged) {
    note("the settings were changed by somebody else while the editor was open");
    if merged.has_conflicts {
        note(format_args!(
            "your draft has their changes beside yours now; where both changed the same lines, it has both, between `{MINE}` and `{END}`"
        ));
    } else {
        note("your draft has their changes beside yours now");
    }
}

/// Keeps what was written in the editor.
fn keep(draft: &Path, original: &[u8], folder: &Path) -> anyhow::Result<()> {
    let Ok(edited) = fs::read(draft) else {
        return Ok(());
    };
    if edited != original {
        let kept = folder.join(KEPT_DRAFT);
        replace_atomically(&kept, &edited, 0o600)?;
        note(format_args!("your draft is kept as {}", kept.display()));
    }
    Ok(())
}

/// What became of an edited text.
enum Replaced {
    /// It is the settings file now.
    Done(Box<Settings>),
    /// The file is not the one that the editor was opened with, but this.
    ChangedMeanwhile(Vec<u8>),
}

fn replace(base: &[u8], edited: &[u8], overrides: &Overrides) -> anyhow::Result<Replaced> {
    let environment = ProcessEnvironment;
    let mut edit = Edit::begin(overrides, &environment)?;
    let now = edit.text().to_bytes();
    if now != base {
        return Ok(Replaced::ChangedMeanwhile(now));
    }
    edit.replace(edited)?;
    let after = edit.settings()?;
    edit.save()?;
    Ok(Replaced::Done(Box::new(after)))
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
