//! Launched Codexes beside a lasting edit of Codex's configuration: whatever the one and the other gateway ask for, Codex starts and is
//! answered, and what lasts stays as it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use polywire_testkit::{CodexCli, CodexRun, House, Running, ScriptedUpstream, answer};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

/// What a gateway asks for.
const MODES: [&str; 2] = ["token", "none"];

fn house() -> House {
    House::new(
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(|_, _| answer("From polywire.")),
    )
}

/// Writes a lasting edit for a gateway that asks for this, and on which nobody listens.
async fn apply(house: &House, auth: &str) -> String {
    let mut apply = house.polywire();
    apply
        .args(["codex", "apply", "-p", "demo", "--yes"])
        .env("POLYWIRE_LISTEN", "127.0.0.1:9")
        .env("POLYWIRE_AUTH", auth);
    let applied = Running::start(apply).ended().await;
    assert_eq!(applied.code(), Some(0), "{applied:?}");
    config(house)
}

/// Runs these words as Codex Desktop.
fn desktop(house: &House, words: &[&str]) -> Command {
    let app = house.home.write(
        "app/start.sh",
        "#!/bin/sh\nexec \"$@\" > \"$(dirname \"$0\")/out\" < /dev/null\n",
    );
    fs::set_permissions(&app, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = house.polywire();
    command
        .args(["run", "codex-desktop", "-p", "house", "--program"])
        .arg(app)
        .arg("--")
        .args(words);
    command
}

fn config(house: &House) -> String {
    fs::read_to_string(house.home.codex_home().join("config.toml")).unwrap()
}

#[tokio::test]
async fn desktop_works_above_a_lasting_edit_of_the_other_kind() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let program = codex.program().display().to_string();
    let words = [&program, "exec", "--json", "--skip-git-repo-check", "hello"];
    for (lasting, shared) in [("none", "token"), ("token", "none")] {
        let house = house();
        let edited = apply(&house, lasting).await;
        let gateway = house.gateway_with(&[("POLYWIRE_AUTH", shared)]).await;
        house.home.write("state/polywire/token", gateway.token());
        let mut command = desktop(&house, &words);
        command
            .env("POLYWIRE_LISTEN", gateway.address().to_string())
            .env("POLYWIRE_AUTH", shared);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let events = fs::read_to_string(house.home.work().join("../app/out")).unwrap();
        assert!(events.contains("From polywire."), "{events}");
        assert_eq!(config(&house), edited);
        // Codex starts on what lasts, too.
        let mut list = codex.command(&house.home);
        list.args(["mcp", "list"]);
        let listed = Running::start(list).ended().await;
        assert_eq!(listed.code(), Some(0), "{listed:?}");
        gateway.stop().await;
    }
}

/// A Codex that is launched while Desktop runs, or from its terminal.
#[tokio::test]
async fn run_codex_works_beside_desktop() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let house = house();
    let program = codex.program().display().to_string();
    let run = [
        PROGRAM,
        "run",
        "codex",
        "-p",
        "house",
        "--program",
        &program,
        "--",
    ];
    let exec = ["exec", "--json", "--skip-git-repo-check", "hello"];
    let words = [&run[..], &exec[..]].concat();
    let ended = Running::start(desktop(&house, &words)).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let events = fs::read_to_string(house.home.work().join("../app/out")).unwrap();
    assert!(events.contains("From polywire."), "{events}");
}

/// Whatever the user has added to the lasting edit, and whatever Desktop writes: nothing of the session stays.
#[tokio::test]
async fn desktop_leaves_nothing_in_a_lasting_edit() {
    let house = house();
    let edited = apply(&house, "token").await;
    let theirs = edited.replace(
        "wire_api = \"responses\"\n",
        "wire_api = \"responses\"\nrequest_max_retries = 9\n",
    );
    house.home.write("codex/config.toml", &theirs);
    let projects = "\n[projects.\"/home/me\"]\ntrust_level = \"trusted\"\n";
    let script = format!("printf '{projects}' >> \"$CODEX_HOME/config.toml\"");
    let ended = Running::start(desktop(&house, &["sh", "-c", &script]))
        .ended()
        .await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(config(&house), format!("{theirs}{projects}"));
}

#[tokio::test]
async fn run_codex_works_above_a_lasting_edit() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for lasting in MODES {
        let house = house();
        let edited = apply(&house, lasting).await;
        // On a gateway of its own, over a WebSocket and without one.
        for sockets in ["true", "false"] {
            let over = format!("-cmodel_providers.polywire.supports_websockets={sockets}");
            let turn = house.exec(&codex, &[&over, "hello"]).await;
            turn.assert_clean();
            assert_eq!(turn.messages(), ["From polywire."]);
        }
        let now = config(&house);
        assert!(now.starts_with(&edited), "{now}");
    }
}

#[tokio::test]
async fn run_codex_works_on_a_gateway_that_asks_for_something_else() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for (lasting, shared) in [("token", "none"), ("none", "token")] {
        let house = house();
        apply(&house, lasting).await;
        let gateway = house.gateway_with(&[("POLYWIRE_AUTH", shared)]).await;
        house.home.write("state/polywire/token", gateway.token());
        let arguments = ["exec", "--json", "--skip-git-repo-check", "hello"];
        let mut command = house.codex(&codex, &arguments);
        command
            .env("POLYWIRE_LISTEN", gateway.address().to_string())
            .env("POLYWIRE_AUTH", shared);
        let ended = Running::start(command).ended().await;
        let turn = CodexRun::read(ended);
        turn.assert_clean();
        assert_eq!(turn.messages(), ["From polywire."]);
        gateway.stop().await;
    }
}
