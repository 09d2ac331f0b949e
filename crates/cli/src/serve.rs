//! `polywire serve`: the gateway in the foreground.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use polywire_processes::Process;
use polywire_settings::Overrides;
use tokio::net::{TcpListener, TcpSocket};

use crate::serving::Serving;
use crate::{background, configuration, logging, running};

#[derive(Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    gateway: GatewayArguments,
    /// Log to this file instead of standard error; when it is full it moves aside, as `[log_file]` in the settings says
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// What `polywire start` starts
    #[arg(long, hide = true)]
    background: bool,
}

/// What can be said of a gateway where it is started.
#[derive(Args, Clone, Default)]
pub(crate) struct GatewayArguments {
    /// Where to listen [default: 127.0.0.1:4891]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// The provider that serves every name which nobody lists; the name of a preset is enough
    #[arg(short, long, value_name = "PROVIDER")]
    pub(crate) provider: Option<String>,
    /// Refuse a turn rather than lose something of it that matters, and say what
    #[arg(long)]
    pub(crate) strict: bool,
}

impl GatewayArguments {
    /// These, together with what is said on every command line.
    pub(crate) fn over(self, overrides: Overrides) -> Overrides {
        Overrides {
            listen: self.listen,
            default_provider: self.provider,
            strict: self.strict,
            ..overrides
        }
    }
}

pub(crate) async fn serve(
    arguments: ServeArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let overrides = arguments.gateway.over(overrides);
    if arguments.background {
        return background::serve(&overrides).await;
    }
    let (settings, source) = configuration::load_watched(&overrides)?;
    match &arguments.log_file {
        Some(path) => logging::log_to_rotating_file(&settings, path, |_| {})?,
        None => logging::log_to_stderr(&settings, "info")?,
    }
    configuration::tell_warnings(&settings);
    let serving = Serving::open(settings, source).await?;
    serving.run().await;
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
    let holder = holder(address.port());
    if running::is_polywire(address).await {
        anyhow::bail!(
            "a polywire gateway is already running on {address}{}\nhint: use it, or choose another address with `--listen 127.0.0.1:PORT`",
            holder.map_or_else(String::new, |(pid, _)| format!(" with pid {pid}"))
        );
    }
    anyhow::bail!(
        "port {} is taken by another program{}\nhint: choose another address with `--listen 127.0.0.1:PORT`, or set `listen` under [server] in the settings",
        address.port(),
        holder.map_or_else(String::new, |(pid, name)| format!(": {name}, pid {pid}"))
    )
}

/// Who listens on a port of this machine, as far as the system tells: the process and the name of its program.
fn holder(port: u16) -> Option<(u32, String)> {
    let listeners = polywire_processes::listeners(port).ok()?;
    let process = listeners
        .into_iter()
        .flat_map(|found| found.processes)
        .next()?;
    Some((process.id.pid(), program_name(&process)))
}

/// What a process is called: the file of its program. Not its command line, which may hold secrets of others.
pub(crate) fn program_name(process: &Process) -> String {
    let name = process.program().and_then(std::path::Path::file_name);
    name.map_or_else(
        || "a program that the system does not name".to_owned(),
        |name| format!("`{}`", name.to_string_lossy()),
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
