//! `polywire service uninstall`: takes away what `install` has written, and nothing else.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use polywire_daemon::units::UnitKind;
use polywire_daemon::{Installation, UnitState};
use polywire_settings::Overrides;

use super::install::{file_name, manager_name};
use super::{KindName, managers};
use crate::background::places;
use crate::logging::{note, say};

#[derive(Args)]
pub(crate) struct UninstallArguments {
    /// Only a service of this kind [default: whatever is installed]
    #[arg(long, value_enum)]
    kind: Option<KindName>,
    /// Remove files as well that were changed since polywire wrote them
    #[arg(long)]
    force: bool,
}

pub(super) async fn uninstall(
    arguments: &UninstallArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let places = places(overrides)?;
    let mut installation = Installation::read(&places.service_file)?;
    let wanted = arguments.kind.map(KindName::kind);
    let installed = installation.units.iter();
    let units: Vec<_> = installed
        .filter(|unit| wanted.is_none_or(|kind| unit.kind == kind))
        .cloned()
        .collect();
    let Some(kind) = units.first().map(|unit| unit.kind) else {
        say("no service is installed");
        return Ok(ExitCode::SUCCESS);
    };
    for unit in &units {
        let changed = installation.state_of(&unit.path)? == UnitState::Changed;
        if changed && !arguments.force {
            bail!(
                "{} was changed since polywire wrote it, so nothing is removed\nhint: remove it yourself, or `polywire service uninstall --force`",
                unit.path.display()
            );
        }
    }
    let is_there = managers::is_there(kind).await;
    if is_there {
        stop(
            kind,
            &units
                .iter()
                .map(|unit| file_name(&unit.path))
                .collect::<Vec<_>>(),
        )
        .await?;
    }
    for unit in &units {
        installation.remove_unit(&places.service_file, &unit.path)?;
        say(format_args!("removed: {}", unit.path.display()));
    }
    if is_there {
        managers::run(&managers::forget_lines(kind)).await?;
    } else {
        note(format_args!(
            "note: {} does not look after services of yours here, so nothing was stopped",
            manager_name(kind)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn stop(kind: UnitKind, names: &[String]) -> anyhow::Result<()> {
    let stopped = managers::run(&managers::stop_lines(kind, names)).await;
    match kind {
        UnitKind::Systemd | UnitKind::Quadlet => {
            stopped.context("the service could not be stopped")
        }
        UnitKind::Launchd => {
            // It fails for an agent that was never started.
            if let Err(error) = stopped {
                note(format_args!("note: {error}"));
            }
            Ok(())
        }
    }
}
