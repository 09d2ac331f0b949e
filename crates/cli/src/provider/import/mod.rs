//! `polywire provider import`: providers from a bundle of ours, or from the Codex Launcher.

mod apply;
mod brought;
mod lines;
mod plan;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polywire_credentials::is_private;
use polywire_settings::{Edit, Overrides, ProcessEnvironment};

use crate::ask;
use crate::logging::{note, say};
use crate::printable::printable;
use crate::provider::key::KeyPlace;
use crate::provider::passphrase::PassphraseArguments;

use apply::apply;
use brought::{Brought, brought};
use plan::{ConflictArguments, Plan};

#[derive(Args)]
#[command(after_help = "\
FILE is a bundle that `polywire provider export` made, or the `endpoints.json` or an exported bundle of the Codex Launcher. \
It is read and never changed. What has no equal here is told, line by line.

Exit codes: 0 done, 1 failed or not wanted, 2 when the command line is wrong.")]
pub(crate) struct ImportArguments {
    /// The file to import
    file: PathBuf,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    conflict: ConflictArguments,
    /// Leave the sealed secrets of a bundle closed
    #[arg(long, conflicts_with = "passphrase")]
    without_secrets: bool,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Where keys are kept that the file holds [default: the system's keyring, else a file of mode 0600 for each]
    #[arg(long, value_name = "PLACE")]
    key_in: Option<KeyPlace>,
}

pub(crate) async fn import(
    arguments: &ImportArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let brought = brought(arguments)?;
    if brought.providers.is_empty() {
        for line in &brought.notes {
            note(printable(line));
        }
        bail!(
            "there is no provider in {} that could be taken",
            arguments.file.display()
        );
    }
    let environment = ProcessEnvironment;
    let edit = Edit::begin(overrides, &environment)?;
    let plan = planned(&brought, &edit, arguments)?;
    for line in plan.lines() {
        say(line);
    }
    if arguments.dry_run {
        note("nothing was changed: this was a dry run");
        return Ok(ExitCode::SUCCESS);
    }
    if !plan.changes_something() {
        note("there is nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    // Held while somebody thinks, the lock would keep every other polywire waiting.
    drop(edit);
    if !is_wanted(arguments)? {
        note("nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let edit = Edit::begin(overrides, &environment)?;
    let now = planned(&brought, &edit, arguments);
    if now.map_or(true, |now| now != plan) {
        bail!(
            "the settings were changed meanwhile, so that this would not be what was shown; nothing was imported\nhint: try again"
        );
    }
    apply(plan, edit, arguments.key_in).await?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be done to the settings as they are now.
fn planned(
    brought: &Brought,
    edit: &Edit<'_>,
    arguments: &ImportArguments,
) -> anyhow::Result<Plan> {
    let file = &edit.paths().config_file;
    if brought.needs_private_file && is_private(file).is_ok_and(|private| !private) {
        bail!(
            "the bundle holds secrets whose only place is the settings file, and others can read {0}\nhint: run `chmod 600 {0}`, or import with --without-secrets",
            file.display()
        );
    }
    let mut plan = Plan::new(
        brought.providers.clone(),
        brought.names.clone(),
        edit,
        arguments.conflict.wish(),
    )?;
    plan.notes.extend(brought.notes.iter().cloned());
    Ok(plan)
}

fn is_wanted(arguments: &ImportArguments) -> anyhow::Result<bool> {
    if arguments.yes {
        return Ok(true);
    }
    if !ask::is_possible() {
        bail!("nobody can be asked whether to go on\nhint: --yes does it, --dry-run only shows it");
    }
    ask::whether("Do this?", true)
}
