//! `polywire restart`: the last settings, with those that are given.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polywire_daemon::GatewayState;
use polywire_settings::Overrides;

use super::start::{Wanted, launch, summarise, warn_of_missing};
use super::stop::{StopArguments, stop_running};
use super::{last, lock, places};
use crate::serve::GatewayArguments;

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
    warn_of_missing(&state.start);
    let earlier = last::overrides(&state.start)?;
    stop_running(Some(state), &places, arguments.stop.timeout, &earlier).await?;
    let running = launch(&wanted, &places).await?;
    summarise(&wanted, &places, &running);
    Ok(ExitCode::SUCCESS)
}
