//! `polywire run codex-desktop`: Codex Desktop on a provider.
//!
//! Desktop takes no settings on its command line, so its configuration is edited for as long as it runs: written to the journal first, taken
//! back when Desktop has ended, and after a crash by the next command of ours that looks.

mod app;
mod handover;
mod processes;
mod session;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use anyhow::Context;
use polywire_credentials::make_private_folder;
use polywire_settings::{Paths, Settings};
use tokio::process::Command;

use super::gateway::Served;
use super::launch::{self, Signals};
use super::launchee::Launchee;
use crate::logging::say;
use app::App;
use session::Session;

pub(crate) use session::{is_needed as session_is_needed, recover};

/// What starts Desktop: the program that was given, else the one that is installed.
///
/// # Errors
/// There is none, or Desktop runs already: it would go on with the configuration that it has read.
pub(super) fn find(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let app = App::find(given)?;
    app.refuse_running()?;
    Ok(app.program().to_owned())
}

/// Runs Desktop on a gateway, with its configuration edited meanwhile.
pub(super) async fn run_on(
    launchee: &Launchee,
    command: Command,
    model: &str,
    served: &mut Served,
    settings: &Settings,
) -> anyhow::Result<ExitStatus> {
    let app = App::at(launchee.program.clone());
    // Before anything is edited, so that no request to end leaves it behind.
    let mut signals = Signals::new()?;
    let session = Session::begin(&app, settings, served.address, served.token.as_ref(), model)?;
    tell(model, &session, settings);
    let state = &settings.paths.state_dir;
    let played = play(&app, command, state, Some(served), &mut signals).await;
    session.end()?;
    played
}

/// Runs Desktop without us.
pub(super) async fn run_alone(
    launchee: &Launchee,
    command: Command,
    paths: &Paths,
) -> anyhow::Result<ExitStatus> {
    let app = App::at(launchee.program.clone());
    let mut signals = Signals::new()?;
    play(&app, command, &paths.state_dir, None, &mut signals).await
}

fn tell(model: &str, session: &Session, settings: &Settings) {
    say(format_args!(
        "Codex Desktop runs on {model}. What it says goes to {}",
        log_path(&settings.paths.state_dir).display()
    ));
    say(format_args!(
        "{} is as it was again when it ends",
        session.file().display()
    ));
}

/// Runs Desktop until it has ended, it and whatever it has handed over to.
async fn play(
    app: &App,
    mut command: Command,
    state: &Path,
    served: Option<&mut Served>,
    signals: &mut Signals,
) -> anyhow::Result<ExitStatus> {
    let log = log_path(state);
    let output = open_log(&log)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let started = Instant::now();
    let mut child = launch::start(command, app.program())?;
    if let Some(own) = served.and_then(|served| served.own.as_mut()) {
        own.launched(&child).await;
    }
    let status = launch::wait_for(&mut child, signals).await?;
    let handover = handover::look(app, status, started.elapsed(), &log);
    handover.wait(app, signals).await;
    Ok(status)
}

fn log_path(state: &Path) -> PathBuf {
    state.join("desktop.log")
}

/// The log of one Desktop; that of the one before goes.
fn open_log(path: &Path) -> anyhow::Result<File> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    }
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the log {} could not be opened", path.display()))
}
