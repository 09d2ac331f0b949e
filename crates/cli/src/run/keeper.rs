//! `polywire run-gateway`: the gateway of a run, in a process of its own.
//!
//! It begins in a session of its own, so that no key at the client's terminal reaches it, and lives as long as `run` does, which holds the
//! other end of its standard input. When `run` is gone, whether it ended or was killed, it looks for the client and for what the client has
//! left behind, and ends when nobody is there.

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use polywire_credentials::Secret;
use polywire_settings::{Overrides, Settings};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::gateway::{Charge, News, Word};
use super::in_use::Users;
use super::own_file::OwnFile;
use crate::{configuration, logging, serve};

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
    let log = Log::open(&settings)?;
    let listener = serve::listen((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let drain_timeout = Duration::from_secs(settings.server.drain_timeout.into());
    let token = Some(Secret::new(charge.token));
    let service = configuration::service(address, &settings, source, token)?;
    let tasks = service.app.gateway.tasks.clone();
    let app = Arc::clone(&service.app);
    tasks.spawn(polywire_server::serve(listener, app, stop.clone()));
    log.say_errors(&settings)?;
    say(&Word::Listens(address))?;
    let mut client = Client {
        users: Users::new(&charge.mark),
        mark: &charge.mark,
        settings: &settings,
        file: None,
    };
    tokio::select! {
        () = run.is_over(&mut client) => {}
        () = signals.any() => {}
    }
    drop(client);
    stop.cancel();
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = tokio::time::sleep(drain_timeout) => {}
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
    async fn is_over(&mut self, client: &mut Client<'_>) {
        while let Ok(Some(line)) = self.lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(news) => client.hear(&news),
                Err(error) => tracing::warn!("`polywire run` was not understood: {error}"),
            }
        }
        let mut looks = 0;
        while client.users.are_there().await {
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

/// The client, as far as the keeper has to do with it.
struct Client<'a> {
    users: Users,
    mark: &'a str,
    settings: &'a Settings,
    /// What was written for it, removed with this.
    file: Option<OwnFile>,
}

impl Client<'_> {
    fn hear(&mut self, news: &News) {
        match news {
            News::Launched(id) => self.users.launched(*id),
            News::File => match OwnFile::keep(self.mark, self.settings) {
                Ok(file) => self.file = Some(file),
                Err(error) => tracing::warn!("the file for the client: {error}"),
            },
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

/// The log. The terminal belongs to the client, so it is a file, which all runs have in common.
struct Log {
    path: PathBuf,
    /// Standard error goes there as well, and to each file that is begun.
    has_errors: Arc<AtomicBool>,
}

impl Log {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let path = settings.paths.state_dir.join("run.log");
        let has_errors = Arc::new(AtomicBool::new(false));
        let (wanted, format) = (Arc::clone(&has_errors), settings.log_format);
        logging::log_to_rotating_file(settings, &path, move |file| {
            if wanted.load(Ordering::Relaxed)
                && let Err(error) = logging::say_errors_to(file, format)
            {
                tracing::debug!("standard error stays where it is: {error}");
            }
        })?;
        Ok(Self { path, has_errors })
    }

    /// From here on nobody reads what is said to standard error, and it goes into the log.
    fn say_errors(&self, settings: &Settings) -> anyhow::Result<()> {
        let file = polywire_daemon::append_private(&self.path)
            .with_context(|| format!("the log {} could not be opened", self.path.display()))?;
        self.has_errors.store(true, Ordering::Relaxed);
        logging::say_errors_to(&file, settings.log_format)
    }
}
