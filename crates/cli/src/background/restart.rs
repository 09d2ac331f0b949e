//! `polywire restart`: the last settings, with those that are given.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polywire_daemon::{GatewayState, Places, RunningGateway, StartOptions};
use polywire_settings::Overrides;

use super::changed::warn_of_changes;
use super::start::{Wanted, launch, summarise};
use super::stop::{StopArguments, Stopped, stop_running};
use super::{last, lock, places};
use crate::logging::note;
use crate::serve::{GatewayArguments, bind};

#[derive(Args)]
pub(crate) struct RestartArguments {
    #[command(flatten)]
    gateway: GatewayArguments,
    #[command(flatten)]
    stop: StopArguments,
}

pub(crate) async fn restart(
    arguments: RestartArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let overrides = arguments.gateway.over(overrides);
    let places = places(&overrides)?;
    let _lock = lock(&places).await?;
    let Some(state) = GatewayState::read(&places.state_file)? else {
        bail!(
            "state file not found: {}\nhint: `polywire start` starts a gateway and remembers how",
            places.state_file.display()
        );
    };
    let options = last::said_now(&overrides)?.over(state.start.clone());
    // Before anything is stopped: a mistake in the settings leaves the gateway that runs alone.
    let wanted = Wanted::read(options)?;
    if let Some(running) = &state.running {
        try_address(&wanted, running).await?;
    }
    warn_of_changes(&state);
    let before = state.start.clone();
    let earlier = last::overrides(&before)?;
    let stopped = stop_running(Some(state), &places, arguments.stop.timeout, &earlier).await?;
    let running = match (launch(&wanted, &places).await, stopped) {
        (Ok(running), _) => running,
        (Err(error), Stopped::Before) => return Err(error),
        (Err(error), Stopped::Now) => {
            start_again(before, &places).await;
            return Err(error);
        }
    };
    summarise(&wanted, &places, &running);
    Ok(ExitCode::SUCCESS)
}

/// Listens for a moment where the new gateway is to listen, so that an address that is taken is told while the old one runs. The port of the old one is its
/// own: what else could be there shows when it is gone.
async fn try_address(wanted: &Wanted, running: &RunningGateway) -> anyhow::Result<()> {
    if wanted.listen().port() != running.address.port() {
        bind(wanted.listen()).await?;
    }
    Ok(())
}

/// Starts what ran before, when that which was to take its place could not be started.
async fn start_again(before: StartOptions, places: &Places) {
    let again = async { launch(&Wanted::read(before)?, places).await };
    match again.await {
        Ok(running) => note(format_args!(
            "note: polywire runs again as it was started before, with pid {}",
            running.process.pid()
        )),
        Err(error) => note(format_args!(
            "warning: polywire could not be started again as it was started before: {error:#}"
        )),
    }
}
