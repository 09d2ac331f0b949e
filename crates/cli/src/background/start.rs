//! `polywire start`: a gateway that outlives the terminal.

use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use polywire_daemon::{Follower, GatewayState, Places, RunningGateway, StartOptions};
use polywire_settings::{AuthMode, Overrides, PLAIN_VARIABLES, Settings};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::child::Word;
use super::last::{self, WithOptions};
use super::stop::has_ended;
use super::{Found, elsewhere, forget, lock, look, lost};
use crate::logging::{note, say};
use crate::running::callable;
use crate::serve::GatewayArguments;
use crate::{configuration, run};

#[derive(Args)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// How many lines of the log are shown of a gateway that ended without a word.
const LAST_LINES: usize = 10;

pub(crate) async fn start(
    arguments: StartArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let overrides = arguments.gateway.over(overrides);
    let wanted = Wanted::read(last::said_now(&overrides)?)?;
    let places = Places::in_folder(&wanted.settings.paths.state_dir);
    let _lock = lock(&places).await?;
    let mut state = GatewayState::read(&places.state_file)?;
    match look(state.as_ref())? {
        Found::Running(running) => {
            if !has_ended(&running, &places, &overrides).await? {
                tell_running(&running, &wanted)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        Found::Elsewhere(running) => bail!(elsewhere(&running, &places)),
        Found::Lost(running, now) => {
            note(format_args!("note: {}", lost(&running, now.as_deref())));
            if let Some(state) = &mut state {
                forget(state, &places)?;
            }
        }
        Found::Nothing => {}
    }
    let running = launch(&wanted, &places).await?;
    summarise(&wanted, &places, &running);
    Ok(ExitCode::SUCCESS)
}

/// Tells of a gateway that runs, if it runs where one is wanted.
fn tell_running(running: &RunningGateway, wanted: &Wanted) -> anyhow::Result<()> {
    let (pid, address) = (running.process.pid(), callable(running.address));
    if !wanted.listens_on(running.address) {
        bail!(
            "polywire is already running with pid {pid} on http://{address}/v1, and not on {}\nhint: `polywire restart --listen {}` moves it there",
            wanted.listen(),
            wanted.listen()
        );
    }
    say(format_args!(
        "polywire is already running with pid {pid} on http://{address}/v1"
    ));
    note("hint: `polywire restart` starts it anew, with the options that are given");
    Ok(())
}

/// A gateway that is to be started.
pub(super) struct Wanted {
    options: StartOptions,
    settings: Settings,
}

impl Wanted {
    /// Reads the settings as the gateway will, so that a mistake is told before anything happens.
    pub(super) fn read(options: StartOptions) -> anyhow::Result<Self> {
        let overrides = last::overrides(&options)?;
        let settings = polywire_settings::load(&overrides, &WithOptions(&options.variables))?;
        configuration::tell_warnings(&settings);
        Ok(Self { options, settings })
    }

    /// Where it is to listen. Port 0 leaves the port to the system.
    pub(super) fn listen(&self) -> SocketAddr {
        self.settings.server.listen
    }

    /// Whether one that listens there listens where this one is to.
    fn listens_on(&self, address: SocketAddr) -> bool {
        let wanted = self.listen();
        wanted.ip() == address.ip() && [0, address.port()].contains(&wanted.port())
    }
}

/// Starts the gateway and waits until it listens.
pub(super) async fn launch(wanted: &Wanted, places: &Places) -> anyhow::Result<RunningGateway> {
    let program = std::env::current_exe().context("the system does not tell our own program")?;
    let log = polywire_daemon::append_private(&places.log_file)
        .with_context(|| format!("the log {} could not be opened", places.log_file.display()))?;
    let mut command = Command::new(program);
    // What a run around us has set is not for a gateway that outlives it; of our own variables it gets those of the options and no others.
    let own = PLAIN_VARIABLES.map(str::to_owned);
    for name in run::variables_of_run().into_iter().chain(own) {
        command.env_remove(name);
    }
    let mut child = command
        .args(["serve", "--background"])
        .args(last::arguments(&wanted.options))
        .envs(&wanted.options.variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // A folder that a process works in cannot be unmounted; this one is ours.
        .current_dir(&wanted.settings.paths.state_dir)
        .spawn()
        .context("the gateway could not be started")?;
    match word_of(&mut child).await? {
        Some(Word::Ready) => GatewayState::read(&places.state_file)?
            .and_then(|state| state.running)
            .context("the gateway is ready, and has left no state"),
        Some(Word::Failed(words)) => Err(as_error(words)),
        None => {
            let status = child.wait().await?;
            let (_, lines) = Follower::with_last_lines(&places.log_file, LAST_LINES)?;
            bail!(
                "the gateway ended before it was ready ({status}); the end of its log:\n{}hint: the log is {}",
                String::from_utf8_lossy(&lines),
                places.log_file.display()
            )
        }
    }
}

/// The first word of the gateway; `None` when it ended without one. Waits as long as it is at work.
async fn word_of(child: &mut Child) -> anyhow::Result<Option<Word>> {
    let Some(out) = child.stdout.take() else {
        return Ok(None);
    };
    let line = BufReader::new(out).lines().next_line().await?;
    line.map(|line| serde_json::from_str(&line))
        .transpose()
        .context("the gateway's first word is not understood")
}

/// What the gateway said of its failure, as our own.
fn as_error(words: Vec<String>) -> anyhow::Error {
    let mut words = words.into_iter().rev();
    let innermost = words.next();
    let innermost = anyhow!(innermost.unwrap_or_else(|| "the gateway failed".to_owned()));
    words.fold(innermost, anyhow::Error::context)
}

/// Tells what was started.
pub(super) fn summarise(wanted: &Wanted, places: &Places, running: &RunningGateway) {
    let Wanted { options, settings } = wanted;
    let pid = running.process.pid();
    say(format_args!("polywire is running with pid {pid}"));
    let base = format!("http://{}/v1", callable(running.address));
    let token = match settings.server.auth {
        AuthMode::Token => "<redacted>; `polywire token` shows it",
        AuthMode::None => "none needed",
    };
    let file = &running.settings_file;
    let file = file.exists().then(|| file.display().to_string());
    let options = last::in_words(options).join(", ");
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let rows = [
        ("responses", format!("{base}/responses")),
        ("chat", format!("{base}/chat/completions")),
        ("messages", format!("{base}/messages")),
        ("models", format!("{base}/models")),
        ("token", token.to_owned()),
        ("settings", or_none(file)),
        (
            "options",
            or_none(Some(options).filter(|text| !text.is_empty())),
        ),
        ("providers", providers(settings)),
        ("state", places.state_file.display().to_string()),
        ("log", places.log_file.display().to_string()),
    ];
    for (name, value) in rows {
        say(format_args!("  {name:<11}{value}"));
    }
}

/// The providers by name, the default one marked.
pub(super) fn providers(settings: &Settings) -> String {
    let default = settings.catalog.default_provider.as_deref();
    let providers = settings.catalog.providers.iter();
    let names: Vec<String> = providers
        .map(|provider| {
            let mark = if default == Some(&provider.id) {
                " (default)"
            } else {
                ""
            };
            format!("{}{mark}", provider.id)
        })
        .collect();
    names.join(", ")
}
