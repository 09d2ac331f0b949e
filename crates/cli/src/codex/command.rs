//! `polywire codex`: what it can be asked.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use polywire_settings::{Overrides, Paths, ProcessEnvironment};

use super::{apply, catalog};
use crate::run;

#[derive(Subcommand)]
pub(crate) enum CodexCommand {
    /// Write polywire into Codex's `config.toml`, so that plain `codex` and Codex Desktop use it; asks first
    Apply(ApplyArguments),
    /// Show what `apply` would write, and write nothing
    Diff(DiffArguments),
    /// Take back what `apply` wrote, and nothing else
    Restore(RestoreArguments),
    /// The model catalog that Codex would fetch, as JSON for `model_catalog_json`
    Catalog(CatalogArguments),
}

/// Which file, and what is to stand in it.
#[derive(Args)]
pub(crate) struct Choice {
    /// The provider to use [default: the default provider of the settings]
    #[arg(short, long)]
    pub(crate) provider: Option<String>,
    /// The model to use [default: the provider's default model]
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Which of Codex's files.
#[derive(Args)]
pub(crate) struct Place {
    /// Only the profile of this name, `NAME.config.toml`, which `codex --profile NAME` uses
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

#[derive(Args)]
pub(crate) struct ApplyArguments {
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Tell what was done as JSON; asks nothing, so that it needs `--yes`
    #[arg(long, requires = "yes")]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct DiffArguments {
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Tell it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Tell what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct CatalogArguments {
    /// A model to list even if no provider lists it
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// The file to write; one that is there must be a catalog [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Do not have the installed Codex read it
    #[arg(long)]
    pub(crate) no_check: bool,
}

pub(crate) async fn command(
    command: CodexCommand,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    run::recover(&Paths::find(&overrides, &ProcessEnvironment)?);
    match command {
        CodexCommand::Apply(arguments) => apply::apply(arguments, overrides).await,
        CodexCommand::Diff(arguments) => apply::diff(arguments, overrides).await,
        CodexCommand::Restore(arguments) => apply::restore(&arguments, &overrides),
        CodexCommand::Catalog(arguments) => catalog::catalog(arguments, &overrides).await,
    }
}
