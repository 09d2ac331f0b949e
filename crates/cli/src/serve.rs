//! `polywire serve`: the gateway in the foreground.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use polywire_settings::{Overrides, Settings};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::logging::note;
use crate::{configuration, logging, running};

/// How long turns at work may go on after the first signal. A second signal ends them at once.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct ServeArguments {
    /// Where to listen [default: 127.0.0.1:4891]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The provider that serves every name which nobody lists; the name of a preset is enough
    #[arg(short, long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Refuse a turn rather than lose something of it that matters, and say what
    #[arg(long)]
    strict: bool,
}

pub(crate) async fn serve(
    arguments: ServeArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let overrides = Overrides {
        listen: arguments.listen,
        default_provider: arguments.provider,
        strict: arguments.strict,
        ..overrides
    };
    let (settings, source) = configuration::load_watched(&overrides)?;
    logging::log_to_stderr(&settings, "info")?;
    configuration::tell_warnings(&settings);
    let listener = bind(settings.server.listen).await?;
    let address = listener.local_addr()?;
    let token = configuration::token(&settings)?;
    let stop = CancellationToken::new();
    let service = configuration::service(address, &settings, source, token)?;
    let app = Arc::clone(&service.app);
    announce(address, &settings);
    let tasks = app.gateway.tasks.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        () = polywire_server::serve(listener, app, stop.clone()) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
    tasks.close();
    if !tasks.is_empty() {
        note("stopping when the turns at work have ended; a second signal stops at once");
    }
    tokio::select! {
        () = tasks.wait() => {}
        () = tokio::time::sleep(DRAIN_TIMEOUT) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    service.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Takes the address, or tells who has it.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let error = match listen(address) {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    if error.kind() != std::io::ErrorKind::AddrInUse {
        anyhow::bail!("cannot listen on {address}: {error}");
    }
    if running::is_polywire(address).await {
        anyhow::bail!(
            "a polywire gateway is already running on {address}\nhint: use it, or choose another address with `--listen 127.0.0.1:PORT`"
        );
    }
    anyhow::bail!(
        "port {} is taken by another program\nhint: choose another address with `--listen 127.0.0.1:PORT`, or set `listen` under [server] in the settings",
        address.port()
    )
}

/// How many connections may wait to be accepted. The usual 128 overflow when a thousand clients come at once.
const BACKLOG: u32 = 1024;

/// Listens on an address. One that was in use a moment ago is taken again.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn announce(address: SocketAddr, settings: &Settings) {
    note(format_args!("polywire listens on http://{address}/v1"));
    let providers: Vec<&str> = settings
        .catalog
        .providers
        .iter()
        .map(|provider| provider.id.as_str())
        .collect();
    note(format_args!("providers: {}", providers.join(", ")));
}
