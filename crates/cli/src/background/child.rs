//! The gateway in the background, seen from inside: `polywire serve --background`.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use polywire_daemon::{EndedGateway, GatewayState, Lock, Places, RunningGateway, StartOptions};
use polywire_processes::ProcessId;
use polywire_settings::Overrides;
use serde::{Deserialize, Serialize};

use super::{host, last, now};
use crate::serving::{Ended, Serving};
use crate::{configuration, logging};

/// What the gateway tells whoever started it, on a line of its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// It listens, and the state file tells the rest.
    Ready,
    /// It could not start: what failed, and what led to it.
    Failed(Vec<String>),
}

/// Serves in a session of its own, with the log in a file. Standard output is the line to whoever started it, until the first word.
pub(crate) async fn serve(overrides: &Overrides) -> anyhow::Result<ExitCode> {
    // It fails for whoever leads a process group, as a command that is typed by hand does; the terminal is theirs then.
    if let Err(error) = nix::unistd::setsid() {
        tracing::debug!("no session of its own: {error}");
    }
    let (serving, places) = match open(overrides).await {
        Ok(opened) => opened,
        Err(error) => {
            // Into the log first: whoever hears of it looks there next.
            logging::complain(&error);
            let words = error.chain().map(ToString::to_string).collect();
            say_and_close(&Word::Failed(words));
            return Ok(ExitCode::FAILURE);
        }
    };
    say_and_close(&Word::Ready);
    let ended = serving.run().await;
    note_end(&places, ended)?;
    Ok(ExitCode::SUCCESS)
}

async fn open(overrides: &Overrides) -> anyhow::Result<(Serving, Places)> {
    let (settings, source) = configuration::load_watched(overrides)?;
    let places = Places::in_folder(&settings.paths.state_dir);
    let format = settings.log_format;
    logging::log_to_rotating_file(&settings, &places.log_file, move |file| {
        // Notes and panics belong into the log as well. Where that fails they go where they went before.
        if let Err(error) = logging::say_errors_to(file, format) {
            tracing::debug!("standard error stays where it is: {error}");
        }
    })?;
    configuration::tell_warnings(&settings);
    let start = StartOptions {
        secret_variables: last::secret_variables(&settings),
        ..last::said_now(overrides)?
    };
    let serving = Serving::open(settings, source).await?;
    let state = GatewayState {
        start,
        log: places.log_file.clone(),
        running: Some(RunningGateway {
            process: ProcessId::own()?,
            host: host(),
            executable: std::env::current_exe().context("the system does not tell our program")?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: serving.address,
            settings_file: serving.settings.paths.config_file.clone(),
            started_at: now(),
            drain_timeout: serving.settings.server.drain_timeout,
        }),
        ended: None,
    };
    state.write(&places.state_file)?;
    Ok((serving, places))
}

/// Tells the word, and lets go of whoever waits for it. One who has gone away does not keep the gateway from its work.
fn say_and_close(word: &Word) {
    let said = serde_json::to_string(word)
        .map_err(std::io::Error::from)
        .and_then(|line| {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}")?;
            out.flush()
        });
    let closed = OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .and_then(|nowhere| Ok(nix::unistd::dup2_stdout(nowhere)?));
    if let Err(error) = said.and(closed) {
        tracing::debug!("nobody waited for the gateway: {error}");
    }
}

/// Leaves word of how it ended, unless another gateway has taken the place meanwhile.
fn note_end(places: &Places, ended: Ended) -> anyhow::Result<()> {
    // Whoever has the lock instead is waiting for our end, or finds us in the file and alive; neither writes into it before we are gone.
    let _lock = Lock::try_take(&places.lock_file).ok().flatten();
    let Some(mut state) = GatewayState::read(&places.state_file)? else {
        return Ok(());
    };
    let own = ProcessId::own()?;
    let is_own = |running: &RunningGateway| running.process == own;
    if state.running.as_ref().is_some_and(is_own) {
        state.running = None;
        state.ended = Some(EndedGateway {
            at: now(),
            turns_cut_off: ended.turns_cut_off,
            reason: ended.reason,
        });
        state.write(&places.state_file)?;
    }
    Ok(())
}
