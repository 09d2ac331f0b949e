//! The commands as people type them: what they print, where, and with which exit code.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use fake_codex::told_by_codex;
use polywire_testkit::{Ended, Gateway, House, Running, ScriptedUpstream, TempHome, answer};
use tokio::process::Command;

#[path = "support/fake_codex.rs"]
mod fake_codex;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

fn home() -> TempHome {
    TempHome::new(env!("CARGO_TARGET_TMPDIR"))
}

fn house() -> House {
    House::new(
        PROGRAM,
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::start(|_, _| answer("hello")),
    )
}

fn polywire(home: &TempHome, arguments: &[&str]) -> Command {
    let mut command = home.command(PROGRAM);
    command.args(arguments);
    command
}

async fn ended(command: Command) -> Ended {
    Running::start(command).ended().await
}

async fn run(home: &TempHome, arguments: &[&str]) -> Ended {
    ended(polywire(home, arguments)).await
}

/// A command that must fail with 1 and say why on the error stream alone. Gives what it says.
async fn complaint(command: Command) -> String {
    let ended = ended(command).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(said.starts_with("error: "), "{said}");
    said
}

/// What a complaint must hold: what failed, and the way out.
#[track_caller]
fn assert_says(said: &str, what: &[&str]) {
    for what in what {
        assert!(said.contains(what), "`{what}` is not in:\n{said}");
    }
}

#[tokio::test]
async fn mistakes_on_the_command_line_end_with_2() {
    let home = home();
    for arguments in [[].as_slice(), &["fly"], &["run"], &["serve", "--port", "1"]] {
        let refused = run(&home, arguments).await;
        assert_eq!(refused.code(), Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
}

#[tokio::test]
async fn the_demo_needs_nothing_and_shows_all_there_is() {
    let home = home();
    home.write("work/notes.txt", "");
    let demo = run(&home, &["demo", "--once"]).await;
    assert_eq!(demo.code(), Some(0), "{demo:?}");
    assert!(demo.stderr.is_empty(), "{demo:?}");
    let shown = demo.stdout.join("\n");
    let parts = [
        "you: What is in this folder?",
        "thinks: ",
        "calls: list_files ",
        "usage: ",
        "tool: list_files → notes.txt",
        "model: ",
        "usage: ",
    ];
    let mut rest = shown.as_str();
    for part in parts {
        let at = rest.find(part);
        let at = at.unwrap_or_else(|| panic!("no `{part}` in its place:\n{shown}"));
        rest = &rest[at + part.len()..];
    }
}

#[tokio::test]
async fn the_demo_does_not_move_from_the_port_that_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = complaint(polywire(&home(), &["demo", "--once", "--listen", &address])).await;
    assert_says(&said, &[&taken.local_addr().unwrap().port().to_string()]);
}

#[tokio::test]
async fn the_token_is_made_once_and_private() {
    let home = home();
    let first = run(&home, &["token"]).await;
    assert_eq!(first.code(), Some(0), "{first:?}");
    assert!(first.stderr.is_empty(), "{first:?}");
    assert_eq!(first.stdout.len(), 1, "{first:?}");
    assert!(first.stdout[0].len() >= 32, "{first:?}");
    assert_eq!(run(&home, &["token"]).await.stdout, first.stdout);
    let other = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    assert_ne!(run(&other, &["token"]).await.stdout, first.stdout);

    let folder = home.state().join("polywire");
    let files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for file in &files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let holds = |file: &PathBuf| std::fs::read_to_string(file).unwrap().trim() == first.stdout[0];
    assert!(files.iter().any(holds), "{files:?}");
}

#[tokio::test]
async fn a_token_of_the_environment_or_none_at_all() {
    let home = home();
    let mut given = polywire(&home, &["token"]);
    given.env("POLYWIRE_TOKEN", "pw-mine-0123456789");
    assert_eq!(ended(given).await.stdout, ["pw-mine-0123456789"]);
    let mut none = polywire(&home, &["token"]);
    none.env("POLYWIRE_AUTH", "none");
    let none = ended(none).await;
    assert_eq!((none.code(), none.stdout.len()), (Some(0), 0), "{none:?}");
    assert_says(&none.stderr.join("\n"), &["auth", "none"]);
}

#[tokio::test]
async fn codex_uses_the_gateway_that_runs() {
    let house = house();
    let gateway = house.gateway().await;
    let codex = told_by_codex(&house.home);
    let run = async |listen: &str, token: &str| {
        let mut command = house.polywire();
        command
            .args(["run", "codex", "-p", "house", "--codex"])
            .arg(&codex)
            .args(["--", "exec", "two words"])
            .env("POLYWIRE_LISTEN", listen)
            .env("POLYWIRE_TOKEN", token);
        let ended = ended(command).await;
        assert_eq!(ended.code(), Some(7), "the client's own code: {ended:?}");
        let told = ended.stdout.join("\n");
        assert_says(&told, &["exec\ntwo words\n", "house/test-model"]);
        told
    };
    let address = gateway.address().to_string();
    let used = format!("http://{address}/v1");
    let token = format!("token {}", gateway.token());

    let attached = run(&address, gateway.token()).await;
    assert_says(&attached, &[&used, &token]);

    // A gateway that does not take our token is not ours to use, and neither is one that is not there.
    let refused = run(&address, "pw-another-0123456789").await;
    assert!(!refused.contains(&used), "{refused}");
    assert!(!refused.contains("pw-another"), "{refused}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let alone = run(&free, gateway.token()).await;
    assert!(!alone.contains(&used) && !alone.contains(&token), "{alone}");
    gateway.stop().await;
}

#[tokio::test]
async fn codex_gets_a_gateway_of_its_own_for_a_provider_that_the_running_one_lacks() {
    let house = house();
    let gateway = house.gateway().await;
    let codex = told_by_codex(&house.home);
    let mut command = house.polywire();
    command
        .args(["run", "codex", "-p", "zai", "--codex"])
        .arg(&codex)
        .env("ZAI_API_KEY", "sk-zai")
        .env("POLYWIRE_LISTEN", gateway.address().to_string())
        .env("POLYWIRE_TOKEN", gateway.token());
    let told = ended(command).await.stdout.join("\n");
    assert_says(&told, &["model=\"zai/", "base_url=\"http://127.0.0.1:"]);
    assert!(!told.contains(&gateway.address().to_string()), "{told}");
    assert!(!told.contains("sk-zai"), "{told}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_codex_that_is_not_there_is_told_with_the_way_to_get_it() {
    let home = home();
    let named = ["run", "codex", "-p", "demo", "--codex", "/nonexistent"];
    assert_says(
        &complaint(polywire(&home, &named)).await,
        &["/nonexistent", "hint:", "--program"],
    );
    let mut searched = polywire(&home, &["run", "codex", "-p", "demo"]);
    searched.env("PATH", home.work());
    assert_says(
        &complaint(searched).await,
        &["search path", "hint:", "npm install", "--program PATH"],
    );
}

#[tokio::test]
async fn a_provider_that_cannot_be_used_is_told_before_codex_starts() {
    let home = home();
    let codex = told_by_codex(&home);
    let codex = codex.to_str().unwrap();
    let with = |provider: &str| {
        polywire(
            &home,
            &[
                "run",
                "codex",
                "--codex",
                codex,
                "-p",
                provider,
                "-m",
                "some-model",
            ],
        )
    };
    assert_says(
        &complaint(with("zai")).await,
        &["no key", "`zai`", "hint:", "ZAI_API_KEY"],
    );
    assert_says(
        &complaint(with("nowhere")).await,
        &["no provider", "`nowhere`"],
    );
}

#[tokio::test]
async fn settings_with_a_mistake_are_told_with_the_place_by_every_command() {
    let home = home();
    let codex = told_by_codex(&home);
    home.write(
        "config/polywire/config.toml",
        "[server]\nlissten = \"127.0.0.1:0\"\n",
    );
    let commands: [&[&str]; 4] = [
        &["serve"],
        &["token"],
        &["demo", "--once"],
        &[
            "run",
            "codex",
            "-p",
            "demo",
            "--codex",
            codex.to_str().unwrap(),
        ],
    ];
    for arguments in commands {
        let said = complaint(polywire(&home, arguments)).await;
        assert_says(
            &said,
            &["config.toml:2:1", "`lissten`", "hint:", "`listen`"],
        );
    }
    let missing = ["--config", "/nonexistent.toml", "token"];
    assert_says(
        &complaint(polywire(&home, &missing)).await,
        &["/nonexistent.toml"],
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_who_has_it() {
    let house = house();
    let gateway = house.gateway().await;
    let serve = |address: &str| {
        let mut command = house.polywire();
        command.args(["serve", "--listen", address]);
        command
    };
    let said = complaint(serve(&gateway.address().to_string())).await;
    assert_says(
        &said,
        &["polywire gateway is already running", "hint:", "--listen"],
    );
    gateway.stop().await;

    // It accepts connections, as the system does for every listener, and never answers.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let said = complaint(serve(&address.to_string())).await;
    let port = address.port().to_string();
    assert_says(&said, &[&port, "another program", "hint:", "--listen"]);
}

#[tokio::test]
async fn a_gateway_tells_where_it_listens_and_whom_it_serves() {
    let house = house();
    let gateway: Gateway = house.gateway().await;
    let listening = gateway.process().stderr_line("polywire listens on").await;
    assert_says(&listening, &[&format!("http://{}/v1", gateway.address())]);
    let providers = gateway.process().stderr_line("providers: ").await;
    assert_says(&providers, &["house", "demo"]);
    let ended = gateway.stop().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
}
