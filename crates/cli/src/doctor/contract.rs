//! Whether the installed Codex does what polywire relies on: a short run of it on the built-in demo provider, in a home of its own, with
//! nobody asked on the network.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use anyhow::Context;
use polywire_credentials::Secret;
use polywire_settings::Overrides;
use serde_json::Value;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::check::Subject;
use super::codex::TESTED;
use super::finding::Finding;
use super::trial::{TemporaryHome, output};
use crate::configuration::{self, variable};
use crate::printable::shortened;
use crate::{codex, serve};

/// The model that is asked.
const MODEL: &str = "demo/demo";

/// What it is asked; the demo model shows a tool call whatever is said.
const PROMPT: &str = "What is in this folder?";

/// What Codex needs of the environment. No key and no proxy: it speaks with this machine alone.
const PASSED_ON: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TERM", "TMPDIR"];

pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    // That it is missing is told by the check of its version.
    let Ok(program) = &subject.codex else {
        return Vec::new();
    };
    match run(program, &subject.overrides).await {
        Ok(output) => judged(&output),
        Err(error) => vec![
            Finding::problem("contract", format!("Codex could not be tried: {error:#}"))
                .hint("is there room and permission in polywire's state folder?"),
        ],
    }
}

/// Runs Codex against a gateway of its own, and ends both.
async fn run(program: &Path, overrides: &Overrides) -> anyhow::Result<Output> {
    let home = TemporaryHome::new(overrides)?;
    let settings = home.settings()?;
    let listener = serve::listen((std::net::Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let token = Secret::new(format!("pw-{:032x}", rand::random::<u128>()));
    let stop = CancellationToken::new();
    let service = configuration::service_alone(address, &settings, Some(token.clone()))?;
    let serving = polywire_server::serve(listener, Arc::clone(&service.app), stop.clone());
    let mut command = Command::new(program);
    command
        .args(["exec", "--json", "--skip-git-repo-check", "--ephemeral"])
        .args(codex::overrides(address, MODEL))
        .args(["--", PROMPT])
        .env_clear()
        .envs(
            PASSED_ON
                .into_iter()
                .filter_map(|name| Some((name, variable(name)?))),
        )
        .env("HOME", home.at("home"))
        .env("CODEX_HOME", home.at("codex"))
        .env(codex::TOKEN_VARIABLE, token.reveal())
        .current_dir(home.at("work"));
    let output = tokio::select! {
        output = output(command) => output.with_context(|| format!("{} could not be started", program.display())),
        () = serving => Err(anyhow::anyhow!("the gateway stopped by itself")),
    };
    stop.cancel();
    service.close().await;
    output
}

/// What polywire relies on, and whether it was seen.
struct Seen {
    events: Vec<Value>,
    code: Option<i32>,
    said: String,
}

fn judged(output: &Output) -> Vec<Finding> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let seen = Seen {
        events: stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let mut found: Vec<Finding> = seen.warnings();
    found.extend([seen.end(), seen.tool_call()].into_iter().flatten());
    if found.is_empty() {
        found.push(Finding::ok(
            "contract",
            "a turn on the demo provider: the list of models was read, a tool was called, the turn ended well",
        ));
    }
    found
}

/// What to do when Codex is not what it was.
fn hint() -> String {
    format!(
        "polywire may not work with this version of Codex: look for a newer polywire, or install the tested one with `{}@{TESTED}`",
        codex::INSTALL
    )
}

impl Seen {
    fn items(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events
            .iter()
            .filter(|event| event["type"] == "item.completed")
            .map(|event| &event["item"])
            .filter(move |item| item["type"] == kind)
    }

    /// Items of type `error` are warnings: of a model that it knows nothing of, of settings that it does not know.
    fn warnings(&self) -> Vec<Finding> {
        let warning = |item: &Value| {
            let message = item["message"].as_str().unwrap_or("without a message");
            let message = shortened(message, 300);
            let finding = if message.to_ascii_lowercase().contains("metadata") {
                let what = format!("it did not read the list of models: {message}");
                Finding::problem("contract_catalog", what)
            } else {
                Finding::warning("contract_warning", format!("it warns: {message}"))
            };
            finding.hint(hint())
        };
        self.items("error").map(warning).collect()
    }

    fn end(&self) -> Option<Finding> {
        let completed = self
            .events
            .iter()
            .any(|event| event["type"] == "turn.completed");
        if completed && self.code == Some(0) {
            return None;
        }
        let told = self.events.iter().rev().find_map(|event| {
            event["error"]["message"]
                .as_str()
                .or(event["message"].as_str())
        });
        let last = self.said.lines().rev().find(|line| !line.trim().is_empty());
        let why = told.or(last).unwrap_or("it says nothing");
        let what = format!("the turn did not end well: {}", shortened(why, 300));
        Some(Finding::problem("contract_turn", what).hint(hint()))
    }

    fn tool_call(&self) -> Option<Finding> {
        let calls: Vec<&Value> = self.items("command_execution").collect();
        let went_well = |item: &&Value| item["status"] == "completed" && item["exit_code"] == 0;
        if calls.iter().any(went_well) {
            return None;
        }
        let Some(failed) = calls.last() else {
            let what = "no tool was called, though the model asked for it";
            return Some(Finding::problem("contract_tool", what).hint(hint()));
        };
        let said = failed["aggregated_output"].as_str().unwrap_or_default();
        let code = failed["exit_code"].as_i64();
        let code = code.map_or_else(
            || "no exit code".to_owned(),
            |code| format!("exit code {code}"),
        );
        let what = format!(
            "the tool that the model asked for was called and failed ({code}): {}",
            shortened(said.trim(), 300)
        );
        Some(Finding::problem("contract_tool", what).hint(
            "does Codex's sandbox work on this machine? The words above tell what stopped it",
        ))
    }
}
