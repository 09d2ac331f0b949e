//! The two proxies: polywire, which translates, and nginx, which only copies.
//!
//! Both are started here, with configurations of their own in a temporary folder, and ended by their process ids.

use super::process::{self, Memory};
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a proxy may take to start or to end before we give up on it. Far longer than either needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running proxy; dropping it ends it.
pub(super) struct Proxy {
    child: Child,
    pub(super) address: SocketAddr,
    /// From the start of the process until `/ready` was answered with 200.
    pub(super) ready_after: Duration,
}

impl Proxy {
    /// Starts nginx, set to copy as cheaply as it can.
    pub(super) fn nginx(folder: &Path, upstream: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let folder = folder.join(format!("nginx-{}", address.port()));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("nginx.conf");
        std::fs::write(&file, nginx_configuration(address, upstream))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&folder).arg("-c").arg(&file);
        // Without `-e` nginx opens the log file of the system's own nginx before it reads the configuration.
        command.args(["-e", "stderr"]);
        Self::start(command, &folder, address)
    }

    /// Starts polywire with the scripted upstream as its one provider.
    pub(super) fn polywire(program: &Path, folder: &Path, upstream: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let folder = folder.join(format!("polywire-{}", address.port()));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("config.toml");
        std::fs::write(&file, polywire_configuration(address, upstream))?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&file);
        // Nothing of the user's own settings may reach it.
        command.env_clear().env("HOME", &folder);
        Self::start(command, &folder, address)
    }

    /// Starts polywire with one provider of kind `codex-app-server`, whose Codex asks the scripted upstream. Returns the folder
    /// that is its home, too.
    pub(super) fn engine(
        program: &Path,
        folder: &Path,
        upstream: SocketAddr,
        codex: &Path,
    ) -> Result<(Self, PathBuf)> {
        let address = free_address()?;
        let folder = folder.join(format!("engine-{}", address.port()));
        std::fs::create_dir_all(folder.join("login"))?;
        let login = r#"{"auth_mode":"apikey","OPENAI_API_KEY":"load"}"#;
        std::fs::write(folder.join("login/auth.json"), login)?;
        let file = folder.join("config.toml");
        let login = folder.join("login");
        std::fs::write(
            &file,
            engine_configuration(address, upstream, codex, &login),
        )?;
        let mut command = Command::new(program);
        command.args(["serve", "--log-format", "json"]);
        command.arg("--config").arg(&file);
        // Codex's launcher needs the search path for its interpreter.
        command
            .env_clear()
            .env("HOME", &folder)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let proxy = Self::start(command, &folder, address)?;
        Ok((proxy, folder))
    }

    /// The process that was started.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn start(mut command: Command, folder: &Path, address: SocketAddr) -> Result<Self> {
        // What it logs costs what it costs, but does not belong between the lines of the report.
        let log = folder.join("log");
        let name = command.get_program().to_string_lossy().into_owned();
        let begin = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start `{name}`"))?;
        let mut proxy = Self {
            child,
            address,
            ready_after: Duration::ZERO,
        };
        while !is_ready(address) {
            if let Some(status) = proxy.child.try_wait()? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("`{name}` ended at once ({status}): {said}");
            }
            if begin.elapsed() > PATIENCE {
                bail!("`{name}` is not ready after {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        proxy.ready_after = begin.elapsed();
        Ok(proxy)
    }

    /// The time its processes have run.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(&process::family(self.child.id())?)
    }

    /// The memory its processes hold.
    pub(super) fn memory(&self) -> Result<Memory> {
        process::memory(&process::family(self.child.id())?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A polite signal first: nginx ends its worker only when it is asked.
        let asked = i32::try_from(self.child.id())
            .is_ok_and(|id| kill(Pid::from_raw(id), Signal::SIGTERM).is_ok());
        let begin = Instant::now();
        while asked && begin.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // It has not ended by itself; what cannot be ended or waited for is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks the system for a port nobody uses. Another process could take it in between; then the start fails and says so.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).is_err() {
        return false;
    }
    let mut start = [0; 12];
    stream.read_exact(&mut start).is_ok() && &start == b"HTTP/1.1 200"
}

/// One worker, nothing logged and nothing buffered, in either direction: nginx at its cheapest.
fn nginx_configuration(address: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 64m;
    client_body_buffer_size 16m;
    keepalive_timeout 3600s;
    keepalive_requests 10000000;
    tcp_nodelay on;
    upstream scripted {{
        server {upstream};
        keepalive 2048;
        keepalive_requests 10000000;
    }}
    server {{
        listen {address} backlog=2048;
        location = /ready {{ return 200; }}
        location / {{
            proxy_pass http://scripted;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 3600s;
        }}
    }}
}}
"
    )
}

fn polywire_configuration(address: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "default_provider = \"house\"

[server]
listen = \"{address}\"
auth = \"none\"

[providers.house]
kind = \"chat\"
base_url = \"http://{upstream}/v1\"
models = [\"load\"]
"
    )
}

/// One worker, so that it is the same one for every turn.
fn engine_configuration(
    address: SocketAddr,
    upstream: SocketAddr,
    codex: &Path,
    login: &Path,
) -> String {
    format!(
        "default_provider = \"house\"

[server]
listen = \"{address}\"
auth = \"none\"

[providers.house]
kind = \"codex-app-server\"
codex = '{}'
codex_home = '{}'
models = [\"load\"]
workers = 1
codex_config.model_provider = \"scripted\"

[providers.house.codex_config.model_providers.scripted]
name = \"Scripted\"
base_url = \"http://{upstream}/v1\"
request_max_retries = 0
stream_max_retries = 0
",
        codex.display(),
        login.display(),
    )
}
