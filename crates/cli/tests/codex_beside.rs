//! Launched Codexes beside a lasting edit of Codex's configuration: whatever the one and the other gateway ask for, Codex starts and is
//! answered, and what lasts stays as it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;

use polywire_testkit::{CodexCli, House, Running, ScriptedUpstream, answer};

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
    fs::read_to_string(house.home.codex_home().join("config.toml")).unwrap()
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
        let config = house.home.codex_home().join("config.toml");
        let now = fs::read_to_string(config).unwrap();
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
        let turn = polywire_testkit::CodexRun::read(ended);
        turn.assert_clean();
        assert_eq!(turn.messages(), ["From polywire."]);
        gateway.stop().await;
    }
}
