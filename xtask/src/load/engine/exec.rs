//! `codex exec`, and how any Codex is started here.

use super::super::clock::Clock;
use super::Home;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// A Codex in a home that polywire has made, in a process group of its own.
pub(super) fn command(program: &Path, home: &Home) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("CODEX_HOME", &home.codex_home)
        .env("HOME", home.codex_home.join("home"))
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// What it says its version is.
pub(super) fn version(program: &Path) -> Result<String> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start `{}`", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs one turn and returns the time from the start of the process to its answer.
pub(super) async fn run(program: &Path, home: &Home, clock: Clock) -> Result<Duration> {
    let catalog = home.codex_home.join("models.json").display().to_string();
    let begin = clock.now();
    let mut child = command(program, home)
        .args(["exec", "--json", "--ephemeral", "--skip-git-repo-check"])
        .args(["--sandbox", "read-only", "--model", "load"])
        .args(["-c", &format!("model_catalog_json={catalog:?}")])
        .arg("-")
        .current_dir(&home.workspace)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start `codex exec`")?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    stdin.write_all("Say hello. ".repeat(90).as_bytes()).await?;
    drop(stdin);
    let mut lines = BufReader::new(child.stdout.take().context("no pipe")?).lines();
    let mut answered = None;
    while let Some(line) = lines.next_line().await? {
        if line.contains("\"agent_message\"") {
            answered.get_or_insert(clock.since(begin));
        }
    }
    let status = child.wait().await?;
    ensure!(status.success(), "`codex exec` failed ({status})");
    answered.context("`codex exec` gave no answer")
}
