//! `polywire run-gateway`: the gateway of a run, in a process of its own.
//!
//! It begins in a session of its own, so that no key at the client's terminal reaches it, and lives as long as `run` does, which holds the
//! other end of its standard input. When `run` is gone, whether it ended or was killed, it looks for the client and for what the client has
//! left behind, and ends when nobody is there.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use polywire_credentials::Secret;
use polywire_settings::{Overrides, Settings};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::gateway::{Charge, Word};
use super::in_use::Users;
use crate::{configuration, logging, serve};

/// How long turns at work may go on when nobody is there any more, or after the first signal. A second signal ends them at once.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A log larger than this is begun anew.
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How often to look whether somebody is still there, once `run` is gone. A look reads the environment of every process of the user's:
/// a few milliseconds.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// The first looks come sooner: what a client has started often ends a moment after it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How many of them there are before the gateway says that it stays.
const FIRST_LOOKS: usize = 4;

#[derive(Args)]
pub(crate) struct KeeperArguments {
    /// The provider that serves every name which nobody lists
    #[arg(long)]
    provider: Option<String>,
    /// Refuse a turn rather than lose something of it that matters
    #[arg(long)]
    strict: bool,
}

pub(crate) async fn keep(
    arguments: KeeperArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    nix::unistd::setsid().context("this command is for `polywire run` only")?;
    let overrides = Overrides {
        default_provider: arguments.provider,
        strict: arguments.strict,
        ..overrides
    };
    let mut signals = Signals::new()?;
    let mut run = Run::new()?;
    let charge = run.charge().await?;
    let (settings, source) = configuration::load_watched(&overrides)?;
    let log = open_log(&settings)?;
    logging::log_to_file(&settings, "info", log.try_clone()?)?;
    let listener = serve::listen((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let token = Some(Secret::new(charge.token));
    let service = configuration::service(address, &settings, source, token)?;
    let tasks = service.app.gateway.tasks.clone();
    let app = Arc::clone(&service.app);
    tasks.spawn(polywire_server::serve(listener, app, stop.clone()));
    // From here on nobody reads what is said.
    nix::unistd::dup2_stderr(log.as_fd())?;
    say(&Word::Listens(address))?;
    let mut users = Users::new(&charge.mark);
    tokio::select! {
        () = run.is_over(&mut users) => {}
        () = signals.any() => {}
    }
    stop.cancel();
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = tokio::time::sleep(DRAIN_TIMEOUT) => {}
        () = signals.any() => {}
    }
    service.close().await;
    Ok(ExitCode::SUCCESS)
}

/// `run`, at the other end of standard input.
struct Run {
    lines: Lines<BufReader<Receiver>>,
}

impl Run {
    fn new() -> anyhow::Result<Self> {
        let input = std::io::stdin().as_fd().try_clone_to_owned()?;
        let input =
            Receiver::from_owned_fd(input).context("this command is for `polywire run` only")?;
        Ok(Self {
            lines: BufReader::new(input).lines(),
        })
    }

    async fn charge(&mut self) -> anyhow::Result<Charge> {
        let line = self.lines.next_line().await?;
        let line = line.context("`polywire run` is gone")?;
        serde_json::from_str(&line).context("`polywire run` was not understood")
    }

    /// Waits until neither `run` nor anybody of the users is there.
    async fn is_over(&mut self, users: &mut Users) {
        while let Ok(Some(line)) = self.lines.next_line().await {
            if let Ok(id) = line.parse() {
                users.launched(id);
            }
        }
        let mut looks = 0;
        while users.are_there().await {
            looks += 1;
            if looks == FIRST_LOOKS && say(&Word::Stays).is_err() {
                tracing::debug!("`polywire run` is gone");
            }
            let pause = if looks < FIRST_LOOKS {
                FIRST_PAUSE
            } else {
                LOOK_PAUSE
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// The requests to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn say(word: &Word) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(word)?)?;
    Ok(out.flush()?)
}

/// The terminal belongs to the client, so the log goes to a file.
fn open_log(settings: &Settings) -> anyhow::Result<File> {
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
    Ok(file)
}
