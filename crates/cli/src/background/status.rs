//! `polywire status`: whether the gateway runs, and how it does.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polywire_daemon::{GatewayState, Places};
use polywire_settings::Overrides;
use serde_json::json;

use super::facts::Facts;
use super::{Found, elsewhere, forget_if_nobody_minds, look, lost, places};
use crate::logging::{note, say};
use crate::running::callable;
use crate::{configuration, running};

#[derive(Args)]
pub(crate) struct StatusArguments {
    /// Show how it was started, what it has done, and where its files are
    #[arg(short, long)]
    verbose: bool,
    /// Write one JSON object, with everything
    #[arg(long)]
    json: bool,
}

/// Exit codes: 0 when a gateway runs, 1 when none does or whether one does cannot be told.
pub(crate) async fn status(
    arguments: StatusArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let places = places(&overrides)?;
    let state = match GatewayState::read(&places.state_file) {
        Ok(state) => state,
        Err(error) => return unreadable(error.into(), &arguments, &overrides).await,
    };
    let crashed = match (look(state.as_ref())?, &state) {
        (Found::Running(gateway), Some(state)) => {
            let facts = Facts::ask(gateway, state, &overrides).await;
            if arguments.json {
                say(facts.json(state, &places));
            } else {
                facts.tell(state, &places, arguments.verbose);
            }
            return Ok(ExitCode::SUCCESS);
        }
        (Found::Elsewhere(gateway), _) => bail!(elsewhere(&gateway, &places)),
        (Found::Lost(gateway, now), _) => {
            forget_if_nobody_minds(&gateway, &places)?;
            Some(lost(&gateway, now.as_deref()))
        }
        (Found::Running(_) | Found::Nothing, _) => None,
    };
    if let Some(address) = somebody_elses(&overrides).await {
        tell_somebody_elses(&arguments, address, crashed.as_deref());
        return Ok(ExitCode::SUCCESS);
    }
    tell_stopped(&arguments, &places, crashed.as_deref());
    Ok(ExitCode::FAILURE)
}

/// When the state file cannot be read, one that we have started may run all the same: only one that answers is told of.
async fn unreadable(
    error: anyhow::Error,
    arguments: &StatusArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let Some(address) = somebody_elses(overrides).await else {
        return Err(error);
    };
    tell_somebody_elses(arguments, address, Some(&format!("{error:#}")));
    Ok(ExitCode::SUCCESS)
}

/// Where a gateway answers that `polywire start` has not started, if one does where ours would.
async fn somebody_elses(overrides: &Overrides) -> Option<SocketAddr> {
    let settings = configuration::load(overrides).ok()?;
    let address = callable(settings.server.listen);
    running::is_polywire(address).await.then_some(address)
}

/// `ours` is what there is to say of the one that we have started.
fn tell_somebody_elses(arguments: &StatusArguments, address: SocketAddr, ours: Option<&str>) {
    if arguments.json {
        say(json!({
            "running": true,
            "started_by": "others",
            "address": address,
            "message": ours,
        }));
        return;
    }
    say(format_args!("polywire is running on http://{address}/v1"));
    note("note: `polywire start` has not started it; it runs in a terminal or as a service");
    if let Some(ours) = ours {
        note(format_args!("note: {ours}"));
    }
}

fn tell_stopped(arguments: &StatusArguments, places: &Places, crashed: Option<&str>) {
    if arguments.json {
        say(json!({
            "running": false,
            "crashed": crashed.is_some(),
            "message": crashed,
            "state_file": places.state_file,
            "log": places.log_file,
        }));
        return;
    }
    say("polywire is stopped");
    if let Some(crashed) = crashed {
        note(format_args!(
            "warning: {crashed}\nhint: `polywire logs` shows its last words, `polywire start` starts another"
        ));
    }
}
