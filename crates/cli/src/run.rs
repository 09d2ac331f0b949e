//! `polywire run CLIENT`: a coding client on a provider, with none of its files changed.

mod desktop;

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use polywire_credentials::Secret;
use polywire_plan::Target;
use polywire_settings::{Overrides, Paths, ProcessEnvironment, Settings};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::configuration::{Service, WatchedSettings, login_problem};
use crate::{codex, configuration, logging, running, serve};
pub(crate) use desktop::recover;

/// A log larger than this is begun anew.
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Args)]
pub(crate) struct RunArguments {
    /// The client to launch
    client: ClientName,
    /// The provider to use [default: the default provider of the settings]
    #[arg(short, long)]
    provider: Option<String>,
    /// The model to use [default: the provider's default model]
    #[arg(short, long)]
    model: Option<String>,
    /// Where the Codex CLI is [default: the first `codex` of the search path]
    #[arg(long, value_name = "PATH")]
    codex: Option<PathBuf>,
    #[command(flatten)]
    desktop: desktop::DesktopArguments,
    /// Refuse a turn rather than lose something of it that matters, and say what
    #[arg(long)]
    strict: bool,
    /// Arguments for the client
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClientName {
    /// The Codex CLI
    Codex,
    /// Codex Desktop, which takes no settings on its command line: its configuration is edited as long as it runs
    CodexDesktop,
}

/// A gateway to point the client at.
struct Served {
    address: SocketAddr,
    token: Option<Secret>,
    /// The gateway that was started for this run; a running one is left alone.
    own: Option<OwnGateway>,
}

struct OwnGateway {
    stop: CancellationToken,
    service: Service,
}

pub(crate) async fn run(arguments: RunArguments, overrides: Overrides) -> anyhow::Result<ExitCode> {
    desktop::recover(&Paths::find(&overrides, &ProcessEnvironment)?);
    match arguments.client {
        ClientName::Codex => arguments.desktop.refuse_for_others()?,
        ClientName::CodexDesktop => return desktop::run(arguments, overrides).await,
    }
    let search_path = configuration::variable("PATH");
    let program = codex::find(arguments.codex.as_deref(), search_path.as_deref())?;
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
    let served = gateway_for(&target, &settings, source, overrides.config.is_none()).await?;
    let status = launch(&program, &arguments.arguments, &model, &served).await;
    if let Some(OwnGateway { stop, service }) = served.own {
        stop.cancel();
        service.close().await;
    }
    Ok(exit_code(status?))
}

/// The name under which the gateway serves what was asked for: always with the provider in front, so that a model of the same
/// name elsewhere, or one that Codex knows itself, is not meant.
pub(crate) fn wanted_model(
    provider: Option<&str>,
    model: Option<&str>,
    settings: &Settings,
) -> anyhow::Result<String> {
    match (provider, model) {
        (Some(provider), Some(model)) => {
            // Some providers have models whose own names begin with the provider's.
            let known = settings.catalog.provider(provider);
            let whole = known.is_some_and(|known| known.model(model).is_some());
            let bare = model.strip_prefix(&format!("{provider}/"));
            let bare = bare.filter(|_| !whole).unwrap_or(model);
            Ok(format!("{provider}/{bare}"))
        }
        (Some(provider), None) => named(&format!("{provider}/"), settings),
        (None, Some(model)) => Ok(model.to_owned()),
        (None, None) => named("", settings).context(
            "no provider was named and the settings name no default\nhint: `polywire run codex -p PROVIDER -m MODEL`, or `-p demo` to try it without a key",
        ),
    }
}

fn named(model: &str, settings: &Settings) -> anyhow::Result<String> {
    let target = first_target(model, settings)?;
    Ok(format!("{}/{}", target.provider.id, target.upstream_model))
}

fn first_target(model: &str, settings: &Settings) -> anyhow::Result<Target> {
    let targets = polywire_plan::targets(model, &settings.catalog)?;
    let mut targets = targets.into_iter();
    targets.next().context("no model serves this name")
}

/// The target that would serve the model, if it has what it needs. Better found now than in the middle of the client's first
/// turn.
pub(crate) async fn usable_target(model: &str, settings: &Settings) -> anyhow::Result<Target> {
    let target = first_target(model, settings)?;
    let provider = &target.provider.id;
    settings.key(provider).await.map_err(|error| {
        anyhow::anyhow!(
            "there is no key for provider `{provider}`: {error}\nhint: {}",
            settings.key_hint(provider)
        )
    })?;
    match login_problem(settings, provider) {
        Some(problem) => Err(problem.into()),
        None => Ok(target),
    }
}

/// The terminal belongs to the client, so the gateway's log goes to a file.
fn log_to_state(settings: &Settings) -> anyhow::Result<()> {
    let folder = &settings.paths.state_dir;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    let path = folder.join("run.log");
    let too_long = path.metadata().is_ok_and(|file| file.len() > LOG_BYTES_MAX);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("the log {} could not be opened", path.display()))?;
    if too_long {
        file.set_len(0)?;
    }
    logging::log_to_file(settings, "info", file)
}

/// The gateway that runs, if it serves this target; else one of our own, on a port of its own, which lives as long as the
/// client. Its own port, so that it takes none from a gateway that is started later and shared.
async fn gateway_for(
    target: &Target,
    settings: &Settings,
    source: WatchedSettings,
    usual_settings: bool,
) -> anyhow::Result<Served> {
    let address = settings.server.listen;
    let token = configuration::token(settings)?;
    if usual_settings && running::serves_provider(address, token.as_ref(), &target.provider).await {
        return Ok(Served {
            address,
            token,
            own: None,
        });
    }
    let listener = serve::listen((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let token = Secret::new(format!("pw-{:032x}", rand::random::<u128>()));
    let stop = CancellationToken::new();
    let service = configuration::service(address, settings, source, Some(token.clone()))?;
    let tasks = service.app.gateway.tasks.clone();
    let app = Arc::clone(&service.app);
    tasks.spawn(polywire_server::serve(listener, app, stop.clone()));
    Ok(Served {
        address,
        token: Some(token),
        own: Some(OwnGateway { stop, service }),
    })
}

async fn launch(
    program: &PathBuf,
    arguments: &[String],
    model: &str,
    served: &Served,
) -> anyhow::Result<ExitStatus> {
    let token = served.token.as_ref().map_or("none", Secret::reveal);
    // Before the client runs, so that no request to end is missed.
    let mut signals = Signals::new()?;
    let mut child = Command::new(program)
        .args(codex::overrides(served.address, model))
        .args(arguments)
        .env(codex::TOKEN_VARIABLE, token)
        .spawn()
        .with_context(|| format!("{} could not be started", program.display()))?;
    wait_for(&mut child, &mut signals).await
}

/// The signals that would end us while the client runs.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any of them.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// Waits for the client. An interrupt at the terminal reaches the client by itself and is its own to handle; elsewhere it is
/// passed on, as a request to end always is.
async fn wait_for(child: &mut Child, signals: &mut Signals) -> anyhow::Result<ExitStatus> {
    loop {
        let passed_on = tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = signals.interrupt.recv() => {
                if in_foreground() {
                    continue;
                }
                nix::sys::signal::Signal::SIGINT
            }
            _ = signals.terminate.recv() => nix::sys::signal::Signal::SIGTERM,
            _ = signals.hang_up.recv() => nix::sys::signal::Signal::SIGHUP,
        };
        if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), passed_on)?;
        }
    }
}

/// Whether we and the client are what the terminal's keys go to, wherever standard input comes from.
fn in_foreground() -> bool {
    File::open("/dev/tty")
        .ok()
        .and_then(|terminal| nix::unistd::tcgetpgrp(terminal).ok())
        .is_some_and(|group| group == nix::unistd::getpgrp())
}

/// The client's own exit code; death by a signal is told as shells do.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
