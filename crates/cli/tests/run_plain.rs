//! `polywire run --plain`: the client as if there was no polywire.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use polywire_testkit::{CodexCli, Ended, House, Running, ScriptedUpstream, TempHome, answer};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

/// A program that tells its arguments and its environment, and ends with 7.
fn teller(home: &TempHome) -> PathBuf {
    let script = "#!/bin/sh\nfor word; do echo \"argument $word\"; done\nenv\nexit 7\n";
    let path = home.write("bin/teller", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// A shell that takes what `run` says to aider for what it is not, and runs what follows `-c`.
fn shell(home: &TempHome) -> PathBuf {
    let script = "#!/bin/sh\nwhile [ \"$1\" != -c ]; do shift; done\nexec sh \"$@\"\n";
    let path = home.write("bin/shell", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

async fn ended(command: Command) -> Ended {
    Running::start(command).ended().await
}

fn names<'a>(told: &'a Ended, prefix: &str) -> Vec<&'a String> {
    let lines = told.stdout.iter();
    lines.filter(|line| line.starts_with(prefix)).collect()
}

#[tokio::test]
async fn nothing_of_ours_reaches_the_client() {
    let home = TempHome::new(HOMES);
    // Not even the settings are looked at.
    home.write("config/polywire/config.toml", "listen to me");
    let mut command = home.command(PROGRAM);
    command
        .args(["run", "codex", "--plain", "--program"])
        .arg(teller(&home))
        .args(["--", "exec", "two words"])
        .env("POLYWIRE_TOKEN", "pw-of-the-user")
        .env("POLYWIRE_CODEX_TOKEN", "pw-another")
        .env("OPENAI_API_KEY", "sk-of-the-user");
    let told = ended(command).await;
    assert_eq!(told.code(), Some(7), "{told:?}");
    assert!(told.stderr.is_empty(), "{told:?}");
    assert_eq!(
        names(&told, "argument "),
        ["argument exec", "argument two words"]
    );
    assert!(names(&told, "POLYWIRE_").is_empty(), "{told:?}");
    assert_eq!(
        names(&told, "OPENAI_API_KEY"),
        ["OPENAI_API_KEY=sk-of-the-user"]
    );
    assert!(!home.state().join("polywire").exists());
}

#[tokio::test]
async fn what_a_run_around_it_has_set_is_taken_away() {
    let house = House::new(
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(|_, _| answer("hello")),
    );
    let teller = teller(&house.home);
    let plain = format!("{PROGRAM} run --plain -- {}", teller.display());
    // One that sets other variables lies in between.
    let inner = format!(
        "exec {PROGRAM} run aider -p demo --program {} -- -c '{plain}'",
        shell(&house.home).display()
    );
    let mut command = house.polywire();
    command
        .args(["run", "-p", "house", "--", "sh", "-c", &inner])
        .env("HTTP_PROXY", "http://127.0.0.1:9");
    let told = ended(command).await;
    assert_eq!(told.code(), Some(7), "{told:?}");
    for prefix in ["POLYWIRE_", "OPENAI_", "ANTHROPIC_", "NO_PROXY"] {
        assert!(names(&told, prefix).is_empty(), "{told:?}");
    }
    assert_eq!(names(&told, "HTTP_PROXY").len(), 1);
}

#[tokio::test]
async fn it_is_refused_where_codex_would_use_polywire_after_all() {
    let home = TempHome::new(HOMES);
    let codex = |arguments: &[&str]| {
        let mut command = home.command(PROGRAM);
        command
            .env("POLYWIRE_LISTEN", "127.0.0.1:9")
            .args(arguments);
        command
    };
    let applied = ended(codex(&["codex", "apply", "-p", "demo", "--yes"])).await;
    assert_eq!(applied.code(), Some(0), "{applied:?}");
    let run = |option: &str| {
        let mut command = codex(&["run", "codex", option, "--program"]);
        command.arg(teller(&home));
        command
    };
    let refused = ended(run("--plain")).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    let said = refused.stderr.join("\n");
    assert!(
        said.contains("config.toml has polywire's own edit in it, so that Codex CLI would use it\nhint: `polywire codex restore`"),
        "{said}"
    );
    // Without any configuration it is plain.
    let told = ended(run("--no-config")).await;
    assert_eq!(told.code(), Some(7), "{told:?}");
    let restored = ended(codex(&["codex", "restore"])).await;
    assert_eq!(restored.code(), Some(0), "{restored:?}");
    let told = ended(run("--plain")).await;
    assert_eq!(told.code(), Some(7), "{told:?}");
}

#[tokio::test]
async fn a_provider_and_plain_exclude_each_other() {
    let home = TempHome::new(HOMES);
    for option in [["-p", "zai"].as_slice(), &["-m", "x"], &["--strict"]] {
        let mut command = home.command(PROGRAM);
        command.args(["run", "codex", "--plain"]).args(option);
        let refused = ended(command).await;
        assert_eq!(refused.code(), Some(2), "{refused:?}");
    }
}

#[tokio::test]
async fn codex_has_its_own_login_and_settings() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = TempHome::new(HOMES);
    home.write(
        "codex/config.toml",
        "[mcp_servers.mine]\ncommand = \"true\"\n",
    );
    home.write(
        "codex/auth.json",
        r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-of-the-login"}"#,
    );
    let codex = |arguments: &[&str]| {
        let mut command = home.command(PROGRAM);
        command
            .env("PATH", codex.search_path())
            .args(["run", "codex", "--plain", "--"])
            .args(arguments);
        ended(command)
    };
    let status = codex(&["login", "status"]).await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    let listed = codex(&["mcp", "list"]).await;
    assert!(listed.stdout.join("\n").contains("mine"), "{listed:?}");
    let models = codex(&["debug", "models"]).await;
    assert!(!models.stdout.join("\n").contains("polywire"), "{models:?}");
    assert!(!home.state().join("polywire").exists());
}
