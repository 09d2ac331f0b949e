//! `polywire stop`: lets the turns at work end, then is firm.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use polywire_credentials::Secret;
use polywire_daemon::{GatewayState, Places, RunningGateway};
use polywire_processes::Ending;
use polywire_settings::Overrides;
use tokio::time::Instant;

use super::{Found, LOOK_INTERVAL, elsewhere, forget, lock, look, lost, places, turns_are};
use crate::logging::{note, say};
use crate::running::callable;
use crate::{configuration, running};

/// How much longer than its own drain time the gateway is waited for: it ends its engines and writes what waits to be kept.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);

/// How often it is asked once its time is over, and how long it may take each time: its turns are cut off then, and only engines may be slow. Killed after that.
const FIRM_REQUESTS: u32 = 15;
const FIRM_INTERVAL: Duration = Duration::from_secs(1);

/// How often whoever watches on a terminal is told what is still at work.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct StopArguments {
    /// How long turns at work may go on before they are cut off, at most as long as `drain_timeout` in the settings says [default: that long]
    #[arg(long, value_name = "SECONDS")]
    pub(super) timeout: Option<u32>,
}

pub(crate) async fn stop(
    arguments: StopArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let places = places(&overrides)?;
    let _lock = lock(&places).await?;
    let state = GatewayState::read(&places.state_file)?;
    match stop_running(state, &places, arguments.timeout, &overrides).await? {
        Stopped::Now => say("polywire has stopped"),
        Stopped::Before => {
            refuse_others(&overrides).await?;
            say("polywire is not running");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there was anything to stop.
pub(super) enum Stopped {
    /// It has ended now.
    Now,
    /// It had ended before.
    Before,
}

/// Stops the gateway of the state file, if it runs. `overrides` lead to its settings, and so to the token by which it is asked what it does.
pub(super) async fn stop_running(
    state: Option<GatewayState>,
    places: &Places,
    timeout: Option<u32>,
    overrides: &Overrides,
) -> anyhow::Result<Stopped> {
    match (look(state.as_ref())?, state) {
        (Found::Running(gateway), _) => {
            let stopping = Stopping::new(gateway, overrides);
            stopping.end(places, timeout).await?;
            Ok(Stopped::Now)
        }
        (Found::Elsewhere(gateway), _) => bail!(elsewhere(&gateway, places)),
        (Found::Lost(gateway, now), Some(mut state)) => {
            note(format_args!("note: {}", lost(&gateway, now.as_deref())));
            forget(&mut state, places)?;
            Ok(Stopped::Before)
        }
        (Found::Lost(..) | Found::Nothing, _) => Ok(Stopped::Before),
    }
}

/// The token of the settings. Without one, as when they cannot be read, less is told.
fn token(overrides: &Overrides) -> Option<Secret> {
    let settings = configuration::load(overrides).ok()?;
    configuration::token(&settings).ok()?
}

/// A gateway that is being stopped.
struct Stopping {
    gateway: RunningGateway,
    token: Option<Secret>,
}

/// Waits for the end of a gateway that serves no more: one that was asked to stop before, whose turns get the time that it gives them, or one that answers
/// nobody, as when it closes its engines. `false`, at once, when it serves.
///
/// # Errors
/// It neither serves nor ends.
pub(super) async fn has_ended(
    gateway: &RunningGateway,
    places: &Places,
    overrides: &Overrides,
) -> anyhow::Result<bool> {
    let (pid, address) = (gateway.process.pid(), callable(gateway.address));
    let stopping = Stopping::new(gateway.clone(), overrides);
    let (what, patience) = if running::is_stopping(address).await {
        ("is stopping", stopping.longest())
    } else if running::is_polywire(address).await {
        return Ok(false);
    } else {
        ("does not answer", CLOSE_TIMEOUT)
    };
    note(format_args!(
        "the gateway with pid {pid} {what}; another is started when it has ended"
    ));
    let turns = stopping.turns_at_work().await;
    if !stopping.ends_within(patience, turns).await? {
        bail!(
            "the gateway with pid {pid} {what}, and has not ended\nhint: `polywire stop` ends it"
        );
    }
    stopping.tell_end(places, Ending::Ended)?;
    Ok(true)
}

impl Stopping {
    fn new(gateway: RunningGateway, overrides: &Overrides) -> Self {
        Self {
            token: token(overrides),
            gateway,
        }
    }

    /// How long its turns may go on.
    fn drain(&self) -> Duration {
        Duration::from_secs(self.gateway.drain_timeout.into())
    }

    /// How long it takes at most until it has ended by itself.
    fn longest(&self) -> Duration {
        self.drain() + CLOSE_TIMEOUT
    }

    async fn end(&self, places: &Places, timeout: Option<u32>) -> anyhow::Result<()> {
        let drain = self.drain();
        let asked = timeout.map(|seconds| Duration::from_secs(seconds.into()));
        // Without a shorter time it is the gateway that cuts its turns off.
        let shorter = asked.filter(|asked| *asked < drain);
        let turns = self.turns_at_work().await;
        if let Some(turns) = turns.filter(|turns| *turns > 0) {
            let limit = shorter.unwrap_or(drain).as_secs();
            note(format_args!(
                "{} at work, with at most {limit} s to end; nothing new begins",
                turns_are(turns)
            ));
        }
        self.ask_once().await?;
        let patience = shorter.unwrap_or(self.longest());
        let mut ending = Ending::Ended;
        if !self.ends_within(patience, turns).await? && !self.ends_when_pressed().await? {
            ending = polywire_processes::end(&self.gateway.process, Duration::ZERO)?;
        }
        self.tell_end(places, ending)
    }

    /// Asks it to stop, unless somebody has before: it would take a second request for one to stop at once.
    async fn ask_once(&self) -> anyhow::Result<()> {
        if running::is_stopping(callable(self.gateway.address)).await {
            note("it is stopping already, and is waited for");
            return Ok(());
        }
        polywire_processes::ask_to_end(&self.gateway.process).context(
            "the gateway could not be asked to stop\nhint: stop it as the user who started it",
        )?;
        Ok(())
    }

    /// Asks again, which makes it cut its turns off. More than once: two requests that come at the same moment are one to it.
    async fn ends_when_pressed(&self) -> anyhow::Result<bool> {
        for _ in 0..FIRM_REQUESTS {
            polywire_processes::ask_to_end(&self.gateway.process)?;
            if self.ends_within(FIRM_INTERVAL, None).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn ends_within(
        &self,
        patience: Duration,
        mut turns: Option<u64>,
    ) -> anyhow::Result<bool> {
        let deadline = Instant::now() + patience;
        let watched = std::io::stderr().is_terminal();
        let mut told_at = Instant::now();
        while self.gateway.process.is_alive()? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
            if watched && told_at.elapsed() >= TELL_INTERVAL {
                told_at = Instant::now();
                let now = self.turns_at_work().await;
                if let Some(left) = now.filter(|_| now != turns) {
                    note(format_args!("{} at work", turns_are(left)));
                    turns = now;
                }
            }
        }
        Ok(true)
    }

    async fn turns_at_work(&self) -> Option<u64> {
        let address = callable(self.gateway.address);
        let counters = running::counters(address, self.token.as_ref()).await?;
        counters["turns_at_work"].as_u64()
    }

    /// What the gateway left word of, or that it left none.
    fn tell_end(&self, places: &Places, ending: Ending) -> anyhow::Result<()> {
        let Some(mut state) = GatewayState::read(&places.state_file)? else {
            return Ok(());
        };
        let is_it = |running: &RunningGateway| running.process == self.gateway.process;
        if state.running.as_ref().is_some_and(is_it) {
            forget(&mut state, places)?;
            let how = match ending {
                Ending::Killed => {
                    "it did not end when it was asked again and again, and was killed"
                }
                Ending::Ended | Ending::WasGone => "it ended without leaving word",
            };
            note(format_args!("warning: {how}; turns at work were cut off"));
        } else if let Some(ended) = state.ended.filter(|ended| ended.turns_cut_off > 0) {
            let were = match ended.turns_cut_off {
                1 => "1 turn was".to_owned(),
                count => format!("{count} turns were"),
            };
            let reason = ended.reason.unwrap_or_default();
            note(format_args!("warning: {were} cut off, because {reason}"));
        }
        Ok(())
    }
}

/// A gateway that somebody else looks after is not ours to stop.
async fn refuse_others(overrides: &Overrides) -> anyhow::Result<()> {
    let Ok(settings) = configuration::load(overrides) else {
        return Ok(());
    };
    let address = callable(settings.server.listen);
    if running::is_polywire(address).await {
        bail!(
            "a gateway answers on http://{address} that `polywire start` has not started\nhint: end it where it was started: `polywire serve` in its terminal, a service with `systemctl --user stop polywire`"
        );
    }
    Ok(())
}
