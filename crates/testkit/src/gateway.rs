//! The real `polywire`, run as a user runs it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use tokio::process::Command;

use crate::client::{Answer, Call};
use crate::codex::CodexCli;
use crate::home::TempHome;
use crate::process::Running;
use crate::upstream::ScriptedUpstream;

/// The token that gateways under test ask for.
const TOKEN: &str = "pw-a-token-for-tests-0123456789";

/// A running `polywire serve`.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    process: Running,
}

impl Gateway {
    /// Starts `program` with a configuration (without its `[server]` part) and waits until it is ready.
    pub async fn start(program: impl AsRef<Path>, home: &TempHome, config: &str) -> Self {
        Self::start_with(program, home, config, &[]).await
    }

    /// The same with more variables in its environment.
    pub async fn start_with(
        program: impl AsRef<Path>,
        home: &TempHome,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let address = free_address();
        let config = format!("{config}\n[server]\nlisten = \"{address}\"\n");
        let config = home.write("config/polywire/config.toml", config);
        let mut command = polywire(program, home);
        command
            .arg("serve")
            .arg("--config")
            .arg(config)
            .envs(environment.iter().copied());
        let mut gateway = Self {
            address,
            process: Running::start(command),
        };
        gateway.ready().await;
        gateway
    }

    /// Polls until the gateway says that it is ready. There is no other sign of it that does not depend on its output.
    async fn ready(&mut self) {
        let began = tokio::time::Instant::now();
        while began.elapsed() < crate::DEADLINE {
            assert!(
                !self.process.has_ended(),
                "the gateway ended: {}",
                self.process.output()
            );
            if tokio::net::TcpStream::connect(self.address).await.is_ok()
                && Call::get("/ready").send(self.address).await.status == 200
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the gateway did not get ready: {}", self.process.output());
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token it asks for.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// The process.
    pub fn process(&self) -> &Running {
        &self.process
    }

    /// Sends a request with the token and waits for the whole answer.
    pub async fn send(&self, call: Call) -> Answer {
        call.bearer(TOKEN).send(self.address).await
    }

    /// Ends it as a service manager would, and waits for its end.
    pub async fn stop(self) -> crate::Ended {
        self.process.signal(nix::sys::signal::Signal::SIGTERM);
        self.process.ended().await
    }
}

/// A `polywire` command in a temporary home. Codex, if there is one, is found before any other of that name.
pub fn polywire(program: impl AsRef<Path>, home: &TempHome) -> Command {
    let mut command = home.command(program.as_ref());
    command.env("POLYWIRE_TOKEN", TOKEN);
    command
}

impl CodexCli {
    /// `polywire run codex -p house -m test-model -- …`, to be completed with Codex's own arguments.
    pub fn through_polywire(&self, program: impl AsRef<Path>, home: &TempHome) -> Command {
        let mut command = polywire(program, home);
        command.env("PATH", self.search_path()).args([
            "run",
            "codex",
            "-p",
            "house",
            "-m",
            "test-model",
            "--",
        ]);
        command
    }
}

/// A configuration with one provider, `house`, that is the scripted upstream and lists `test-model`.
pub fn house_config(upstream: &ScriptedUpstream) -> String {
    format!(
        r#"default_provider = "house"

[providers.house]
kind = "chat"
base_url = "{}"
key = "sk-house"
models = ["test-model"]
"#,
        upstream.base_url()
    )
}

/// An address that was free a moment ago.
///
/// Another program may take it before the gateway does; the gateway then ends and the test says so.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port on the loopback interface")
}
