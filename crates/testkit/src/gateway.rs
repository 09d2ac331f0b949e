//! The real `polywire`, run as a user runs it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::client::{Answer, Call};
use crate::codex::{CodexCli, CodexRun};
use crate::home::TempHome;
use crate::process::{Ended, Running};
use crate::terminal::Terminal;
use crate::tools::repository;
use crate::upstream::ScriptedUpstream;

/// The token that gateways under test ask for.
const TOKEN: &str = "pw-a-token-for-tests-0123456789";

/// A home in which one provider, `house`, is configured: a scripted upstream with a model `test-model`.
#[derive(Debug)]
pub struct House {
    /// Where the programs under test live.
    pub home: TempHome,
    /// The provider.
    pub upstream: ScriptedUpstream,
    /// The `polywire` binary.
    program: PathBuf,
}

impl House {
    /// Furnishes a home below `parent` for the `polywire` binary at `program`.
    pub fn new(program: &str, parent: &str, upstream: ScriptedUpstream) -> Self {
        Self::of_kind("chat", program, parent, upstream)
    }

    /// The same for a provider of this kind: `chat`, `messages`, `responses`.
    pub fn of_kind(kind: &str, program: &str, parent: &str, upstream: ScriptedUpstream) -> Self {
        let home = TempHome::new(parent);
        // Port 0 lets the system choose, so that tests can run side by side.
        let settings = format!(
            r#"default_provider = "house"

[server]
listen = "127.0.0.1:0"

[providers.house]
kind = "{kind}"
base_url = "{}"
key = "sk-house"
models = [{{ id = "test-model", images = true, context_window = 200000 }}]
"#,
            upstream.base_url()
        );
        home.write("config/polywire/config.toml", settings);
        Self {
            home,
            upstream,
            program: program.into(),
        }
    }

    /// The same for a provider that is a Codex on this machine: `codex-exec` or `codex-app-server`. `upstream` is what that Codex
    /// asks, by the Responses protocol; `more` stands in the provider's table.
    pub fn of_engine(
        kind: &str,
        program: &str,
        parent: &str,
        codex: &CodexCli,
        upstream: ScriptedUpstream,
        more: &str,
    ) -> Self {
        let home = TempHome::new(parent);
        let settings = format!(
            r#"default_provider = "house"

[server]
listen = "127.0.0.1:0"

[providers.house]
kind = "{kind}"
codex = '{}'
models = [{{ id = "test-model", images = true, context_window = 200000 }}]
{more}
codex_config.model_provider = "scripted"
codex_config.model_providers.scripted = {{ name = "Scripted", base_url = "{}", request_max_retries = 0, stream_max_retries = 0 }}
"#,
            codex.program().display(),
            upstream.base_url(),
        );
        home.write("config/polywire/config.toml", settings);
        home.write(
            "codex/auth.json",
            r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-of-the-login"}"#,
        );
        Self {
            home,
            upstream,
            program: program.into(),
        }
    }

    /// A `polywire` command in this home.
    pub fn polywire(&self) -> Command {
        self.home.command(&self.program)
    }

    /// Starts `polywire serve` and waits until it is ready.
    pub async fn gateway(&self) -> Gateway {
        self.gateway_with(&[]).await
    }

    /// The same with these environment variables.
    pub async fn gateway_with(&self, variables: &[(&str, &str)]) -> Gateway {
        let mut command = self.polywire();
        command.arg("serve").env("POLYWIRE_TOKEN", TOKEN);
        command.envs(variables.iter().copied());
        Gateway::start(command).await
    }

    /// `polywire run codex` on the provider of this home, with these arguments for Codex.
    pub fn codex(&self, codex: &CodexCli, arguments: &[&str]) -> Command {
        let mut command = self.polywire();
        command
            .env("PATH", codex.search_path())
            .args(["run", "codex", "-p", "house", "-m", "test-model", "--"])
            .args(arguments);
        command
    }

    /// Starts `polywire run codex … -- exec --json` in the work folder, which it may write to.
    pub fn start_exec(&self, codex: &CodexCli, arguments: &[&str]) -> Running {
        let exec = ["exec", "--json", "--skip-git-repo-check"].as_slice();
        let sandbox = ["-s", "workspace-write"].as_slice();
        Running::start(self.codex(codex, &[exec, sandbox, arguments].concat()))
    }

    /// The same, to its end.
    pub async fn exec(&self, codex: &CodexCli, arguments: &[&str]) -> CodexRun {
        CodexRun::read(self.start_exec(codex, arguments).ended().await)
    }

    /// Starts Codex with its screen.
    pub fn screen(&self, codex: &CodexCli, arguments: &[&str]) -> Terminal {
        Terminal::start(self.codex(codex, arguments))
    }
}

/// A running `polywire serve`.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    process: Running,
}

impl Gateway {
    /// Starts `polywire serve` and waits until it is ready.
    pub async fn start(command: Command) -> Self {
        let process = Running::start(command);
        let announcement = process.stderr_line("polywire listens on http://").await;
        let address = announcement
            .split_once("http://")
            .and_then(|(_, rest)| rest.split('/').next()?.parse().ok())
            .unwrap_or_else(|| panic!("no address in `{announcement}`"));
        let ready = Call::get("/ready").send(address).await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        Self { address, process }
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
    pub async fn stop(self) -> Ended {
        self.process.signal(nix::sys::signal::Signal::SIGTERM);
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(self) -> Ended {
        self.process.ended().await
    }
}

/// The program of the MCP server `mcp-demo`, which lies beside `program` in the target folder.
///
/// Cargo builds it with the tests of this crate and with the workspace, but not when the tests of another crate alone are
/// asked for; it is then built here.
pub fn mcp_demo(program: &str) -> PathBuf {
    let path = Path::new(program).with_file_name("mcp-demo");
    if !path.exists() {
        let mut folders = path.ancestors().skip(1);
        let (profile, target) = (folders.next(), folders.next());
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        build
            .args(["build", "-q", "-p", "polywire-testkit", "--bin", "mcp-demo"])
            .current_dir(repository());
        if let Some(target) = target {
            build.arg("--target-dir").arg(target);
        }
        if profile.is_some_and(|folder| folder.ends_with("release")) {
            build.arg("--release");
        }
        let built = build.status();
        assert!(
            built.is_ok_and(|status| status.success()) && path.exists(),
            "cargo did not build `{}`",
            path.display()
        );
    }
    path
}
