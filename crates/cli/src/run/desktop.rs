//! `polywire run codex-desktop`: Codex Desktop on a provider.
//!
//! Desktop takes no settings on its command line, so its configuration is edited for as long as it runs: written to the journal first, taken
//! back when Desktop has ended, and after a crash by the next command of ours that looks.

mod app;
mod default_home;
mod handover;
mod processes;
mod session;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use polywire_settings::{CodexPlaces, Overrides, Paths, ProcessEnvironment, Settings};
use tokio::process::Command;

use super::{
    OwnGateway, RunArguments, Signals, exit_code, gateway_for, log_to_state, usable_target,
    wait_for, wanted_model,
};
use crate::codex::configuration_file::{ConfigurationFile, journal};
use crate::configuration;
use crate::logging::say;
use app::App;
use session::Session;

pub(crate) use session::recover;

/// What only Desktop is asked for.
#[derive(Args)]
pub(crate) struct DesktopArguments {
    /// Where Codex Desktop is [default: the places where its packages put it]
    #[arg(long, value_name = "PATH")]
    desktop: Option<PathBuf>,
    /// Codex Desktop with its own login and its own configuration, without polywire
    #[arg(long, conflicts_with_all = ["default", "provider", "model"])]
    plain: bool,
    /// Codex Desktop with its own login and no configuration at all, this once; the user's configuration is not touched
    #[arg(long, conflicts_with_all = ["provider", "model"])]
    default: bool,
}

impl DesktopArguments {
    /// Refuses what means nothing to other clients.
    pub(crate) fn refuse_for_others(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.desktop.is_none() && !self.plain && !self.default,
            "`--desktop`, `--plain` and `--default` are for `polywire run codex-desktop`\nhint: leave them out"
        );
        Ok(())
    }
}

pub(crate) async fn run(arguments: RunArguments, overrides: Overrides) -> anyhow::Result<ExitCode> {
    let app = App::find(arguments.desktop.desktop.as_deref())?;
    app.refuse_running()?;
    let paths = Paths::find(&overrides, &ProcessEnvironment)?;
    if arguments.desktop.plain {
        return plain(&app, &arguments.arguments, &paths).await;
    }
    if arguments.desktop.default {
        return default(&app, &arguments.arguments, &paths).await;
    }
    on_a_provider(&app, arguments, overrides).await
}

/// With its own login and configuration. A lasting edit of ours would be polywire after all.
async fn plain(app: &App, arguments: &[String], paths: &Paths) -> anyhow::Result<ExitCode> {
    let file = ConfigurationFile::find(None)?;
    let open = journal(paths).open_edits()?;
    anyhow::ensure!(
        !open.iter().any(|edit| edit.file == file.path),
        "{} has polywire's own edit in it, so that Desktop would use polywire\nhint: `polywire codex restore` takes it back; `--default` starts without any configuration",
        file.path.display()
    );
    launch(app, arguments, &paths.state_dir, None).await
}

/// With its own login and no configuration: in a home of its own, in which everything but the configuration is a link.
async fn default(app: &App, arguments: &[String], paths: &Paths) -> anyhow::Result<ExitCode> {
    let users = CodexPlaces::find(&ProcessEnvironment)?.home;
    let home = paths.state_dir.join("codex-default");
    default_home::prepare(&home, &users)?;
    launch(app, arguments, &paths.state_dir, Some(&home)).await
}

async fn launch(
    app: &App,
    arguments: &[String],
    state: &Path,
    home: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let status = play(app, arguments, state, home, &mut signals).await?;
    Ok(exit_code(status))
}

async fn on_a_provider(
    app: &App,
    arguments: RunArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let overrides = Overrides {
        default_provider: arguments.provider.clone(),
        strict: arguments.strict,
        ..overrides
    };
    let (settings, source) = configuration::load_watched(&overrides)?;
    configuration::tell_warnings(&settings);
    let (provider, name) = (arguments.provider.as_deref(), arguments.model.as_deref());
    let model = wanted_model(provider, name, &settings)?;
    let target = usable_target(&model, &settings).await?;
    log_to_state(&settings)?;
    let mut signals = Signals::new()?;
    let served = gateway_for(&target, &settings, source, overrides.config.is_none()).await?;
    let played = async {
        let (address, token) = (served.address, served.token.as_ref());
        let session = Session::begin(app, &settings, address, token, &model)?;
        tell(&model, &session, &settings);
        let state = &settings.paths.state_dir;
        let status = play(app, &arguments.arguments, state, None, &mut signals).await;
        session.end()?;
        status
    }
    .await;
    if let Some(OwnGateway { stop, service }) = served.own {
        stop.cancel();
        service.close().await;
    }
    Ok(exit_code(played?))
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
    arguments: &[String],
    state: &Path,
    home: Option<&Path>,
    signals: &mut Signals,
) -> anyhow::Result<ExitStatus> {
    let log = log_path(state);
    let output = open_log(&log)?;
    let mut command = Command::new(app.program());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    if let Some(home) = home {
        command.env("CODEX_HOME", home);
    }
    let started = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("{} could not be started", app.program().display()))?;
    let status = wait_for(&mut child, signals).await?;
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
        std::fs::create_dir_all(folder)
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
