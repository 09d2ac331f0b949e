//! `polywire logs`: what the gateway in the background writes.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use polywire_daemon::{Follower, GatewayState};
use polywire_settings::Overrides;

use super::places;
use crate::logging::note;

/// How often the log is looked at while it is followed. Below what people notice, and nothing for a machine.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Args)]
pub(crate) struct LogsArguments {
    /// Go on showing what is written, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to show
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    lines: usize,
}

pub(crate) async fn logs(
    arguments: LogsArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let places = places(&overrides)?;
    // An older gateway may have logged elsewhere.
    let state = GatewayState::read(&places.state_file)?;
    let path = state.map_or(places.log_file, |state| state.log);
    if !path.exists() && !arguments.follow {
        bail!(
            "there is no log yet: {}\nhint: `polywire start` begins one; a service logs to the journal: `journalctl --user -u polywire`",
            path.display()
        );
    }
    let unread = || format!("the log {} could not be read", path.display());
    let (mut follower, text) =
        Follower::with_last_lines(&path, arguments.lines).with_context(unread)?;
    if !show(&text) || !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(ExitCode::SUCCESS);
            }
            () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
        }
        let mut text = Vec::new();
        let gap = follower.read(&mut text).with_context(unread)?;
        let (before, after) = text.split_at(gap.map_or(0, |gap| gap.at));
        let mut is_read = show(before);
        if gap.is_some() {
            note("warning: some lines were removed before they could be shown");
        }
        is_read &= show(after);
        if !is_read {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Writes to standard output, byte for byte. `false` when nobody reads it any more.
fn show(text: &[u8]) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).is_ok()
}
