//! `polywire service status`.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use polywire_daemon::units::{UNIT_NAME, UnitKind};
use polywire_daemon::{Installation, Installed, UnitState};
use polywire_settings::Overrides;
use serde_json::json;

use super::install::{file_name, manager_name};
use super::managers;
use crate::background::places;
use crate::logging::{note, say};

#[derive(Args)]
pub(crate) struct StatusArguments {
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// What is known of one unit.
struct Known {
    unit: Installed,
    file: UnitState,
    /// In the system's own words; `None` when it is not there to be asked.
    enabled: Option<String>,
    active: Option<String>,
}

pub(super) async fn status(
    arguments: &StatusArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let installation = Installation::read(&places(overrides)?.service_file)?;
    let mut known = Vec::new();
    for unit in &installation.units {
        known.push(ask(unit, &installation).await?);
    }
    let runs = known
        .iter()
        .any(|known| known.active.as_deref() == Some("active"));
    if arguments.json {
        say(json!({
            "installed": !known.is_empty(),
            "active": runs,
            "units": known.iter().map(Known::json).collect::<Vec<_>>(),
        }));
    } else {
        tell(&known);
    }
    Ok(if runs {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn ask(unit: &Installed, installation: &Installation) -> anyhow::Result<Known> {
    let (mut enabled, mut active) = (None, None);
    if managers::is_there(unit.kind).await {
        match unit.kind {
            UnitKind::Systemd | UnitKind::Quadlet => {
                let name = unit_name(unit.kind, &unit.path);
                enabled = managers::word("is-enabled", &name).await;
                active = managers::word("is-active", &name).await;
            }
            UnitKind::Launchd => {
                let has = managers::launchd_has_agent().await;
                active = Some(if has { "active" } else { "inactive" }.to_owned());
            }
        }
    }
    Ok(Known {
        file: installation.state_of(&unit.path)?,
        unit: unit.clone(),
        enabled,
        active,
    })
}

/// What the system calls the unit of a file.
fn unit_name(kind: UnitKind, path: &Path) -> String {
    match kind {
        UnitKind::Systemd | UnitKind::Launchd => file_name(path),
        UnitKind::Quadlet => format!("{UNIT_NAME}.service"),
    }
}

const fn file_words(state: UnitState) -> &'static str {
    match state {
        UnitState::Missing => "missing",
        UnitState::Ours => "as it was written",
        UnitState::Changed => "changed since it was written",
        UnitState::Foreign => "not written by polywire",
    }
}

impl Known {
    fn json(&self) -> serde_json::Value {
        json!({
            "kind": self.unit.kind.name(),
            "path": self.unit.path,
            "file": file_words(self.file),
            "enabled": self.enabled,
            "active": self.active,
        })
    }
}

fn tell(known: &[Known]) {
    let Some(first) = known.first() else {
        say("no service is installed");
        note(
            "hint: `polywire service install`; `polywire service install --print` shows what it would write",
        );
        return;
    };
    for Known {
        unit,
        file,
        enabled,
        active,
    } in known
    {
        let state: Vec<&str> = [active, enabled]
            .into_iter()
            .filter_map(Option::as_deref)
            .collect();
        let state = if state.is_empty() {
            "not known".to_owned()
        } else {
            state.join(", ")
        };
        say(format_args!(
            "{}: {state}",
            unit_name(unit.kind, &unit.path)
        ));
        say(format_args!(
            "  file  {} ({})",
            unit.path.display(),
            file_words(*file)
        ));
    }
    if known.iter().all(|known| known.active.is_none()) {
        note(format_args!(
            "note: {} does not look after services of yours here, so it cannot be asked",
            manager_name(first.unit.kind)
        ));
    }
}
