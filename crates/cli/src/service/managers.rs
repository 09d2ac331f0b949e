//! The systems that look after services: asked, and told what to do.

use std::io;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, bail};
use polywire_daemon::units::{LAUNCHD_LABEL, UNIT_NAME, UnitKind};
use tokio::process::Command;

/// How long a system may take to say that it is there. One that has no session for the user says so at once, or never.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A command line.
pub(super) type Line = Vec<String>;

fn line(words: &[&str]) -> Line {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What starts the service whose files are written; it may run already, with the files of before.
pub(super) fn start_lines(kind: UnitKind, by_socket: bool, unit: &Path) -> Vec<Line> {
    let service = format!("{UNIT_NAME}.service");
    let socket = format!("{UNIT_NAME}.socket");
    let systemctl = |words: &[&str]| line(&[&["systemctl", "--user"], words].concat());
    match kind {
        UnitKind::Systemd if by_socket => vec![
            systemctl(&["daemon-reload"]),
            systemctl(&["enable", "--now", &socket]),
            systemctl(&["try-restart", &service]),
        ],
        UnitKind::Systemd => vec![
            systemctl(&["daemon-reload"]),
            systemctl(&["enable", &service]),
            systemctl(&["restart", &service]),
        ],
        // It is made from the container unit, and enabled by what stands in there.
        UnitKind::Quadlet => vec![
            systemctl(&["daemon-reload"]),
            systemctl(&["restart", &service]),
        ],
        UnitKind::Launchd => vec![line(&[
            "launchctl",
            "bootstrap",
            &domain(),
            &unit.display().to_string(),
        ])],
    }
}

/// What stops the service before its files are removed. `names` are those of the files.
pub(super) fn stop_lines(kind: UnitKind, names: &[String]) -> Vec<Line> {
    let mut disable = line(&["systemctl", "--user", "disable", "--now"]);
    match kind {
        UnitKind::Systemd => {
            disable.extend(names.iter().cloned());
            vec![disable]
        }
        UnitKind::Quadlet => {
            let service = format!("{UNIT_NAME}.service");
            vec![line(&["systemctl", "--user", "stop", &service])]
        }
        UnitKind::Launchd => {
            let target = format!("{}/{LAUNCHD_LABEL}", domain());
            vec![line(&["launchctl", "bootout", &target])]
        }
    }
}

/// What makes the system forget files that are gone.
pub(super) fn forget_lines(kind: UnitKind) -> Vec<Line> {
    match kind {
        UnitKind::Systemd | UnitKind::Quadlet => {
            vec![line(&["systemctl", "--user", "daemon-reload"])]
        }
        UnitKind::Launchd => Vec::new(),
    }
}

/// The services of the user who runs this.
fn domain() -> String {
    format!("gui/{}", polywire_processes::own_user())
}

/// Whether the system is there and looks after services of this user.
pub(super) async fn is_there(kind: UnitKind) -> bool {
    let words = match kind {
        UnitKind::Systemd | UnitKind::Quadlet => line(&["systemctl", "--user", "show-environment"]),
        UnitKind::Launchd => line(&["launchctl", "print", &domain()]),
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, output(&words)).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|output| output.status.success()))
}

/// Runs the lines, up to the first that fails.
pub(super) async fn run(lines: &[Line]) -> anyhow::Result<()> {
    for words in lines {
        let shown = words.join(" ");
        let output = output(words)
            .await
            .with_context(|| format!("`{shown}` could not be run"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{shown}` failed: {}", said.trim());
        }
    }
    Ok(())
}

/// What systemd says of a unit: the first word that it answers, such as `active` or `disabled`.
pub(super) async fn word(question: &str, unit: &str) -> Option<String> {
    let words = line(&["systemctl", "--user", question, unit]);
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, output(&words)).await;
    let output = answer.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.split_whitespace().next().map(str::to_owned)
}

/// Whether launchd has the agent.
pub(super) async fn launchd_has_agent() -> bool {
    let target = format!("{}/{LAUNCHD_LABEL}", domain());
    let words = line(&["launchctl", "print", &target]);
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, output(&words)).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|output| output.status.success()))
}

async fn output(words: &[String]) -> io::Result<Output> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
}
