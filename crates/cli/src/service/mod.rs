//! `polywire service`: the gateway looked after by the system of the user.

mod install;
mod managers;
mod plan;
mod status;
mod uninstall;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use polywire_daemon::units::UnitKind;
use polywire_settings::Overrides;

#[derive(Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write a unit by which the system starts the gateway with your session, and start it
    Install(install::InstallArguments),
    /// Stop the service and remove what `install` has written
    Uninstall(uninstall::UninstallArguments),
    /// What is installed and whether it runs. Exit code 0 when it runs (or listens), 1 otherwise
    Status(status::StatusArguments),
}

pub(crate) async fn service(
    command: ServiceCommand,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    match command {
        ServiceCommand::Install(arguments) => install::install(arguments, overrides).await,
        ServiceCommand::Uninstall(arguments) => uninstall::uninstall(&arguments, &overrides).await,
        ServiceCommand::Status(arguments) => status::status(&arguments, &overrides).await,
    }
}

/// What looks after the gateway.
#[derive(Clone, Copy, ValueEnum)]
enum KindName {
    /// A unit for the systemd of the user
    Systemd,
    /// A container of Podman, for the systemd of the user
    Quadlet,
    /// An agent for launchd, on macOS
    Launchd,
}

impl KindName {
    /// What there usually is on a system like this one.
    const fn usual() -> Self {
        if cfg!(target_os = "macos") {
            Self::Launchd
        } else {
            Self::Systemd
        }
    }

    const fn kind(self) -> UnitKind {
        match self {
            Self::Systemd => UnitKind::Systemd,
            Self::Quadlet => UnitKind::Quadlet,
            Self::Launchd => UnitKind::Launchd,
        }
    }
}
