//! A home whose Codex is edited by `polywire codex`.

#![allow(dead_code, reason = "every test program uses a part of it")]

use std::path::PathBuf;

use polywire_testkit::{Ended, Running, TempHome};
use tokio::process::Command;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
pub(crate) const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

/// Settings with a port, so that Codex can find the gateway again.
pub(crate) const SETTINGS: &str =
    "default_provider = 'demo'\n[server]\nlisten = '127.0.0.1:4891'\n";

pub(crate) const USERS: &str = "# mine\nmodel = 'gpt-5.1' # best\r\n\n[mcp_servers.docs]\ncommand = \"docs\"\nenv = { DOCS_TOKEN = \"very-secret\" }";

pub(crate) fn home(config: Option<&str>) -> TempHome {
    let home = TempHome::new(HOMES);
    home.write("config/polywire/config.toml", SETTINGS);
    if let Some(config) = config {
        home.write("codex/config.toml", config);
    }
    home
}

pub(crate) fn config(home: &TempHome) -> PathBuf {
    home.codex_home().join("config.toml")
}

pub(crate) fn polywire(home: &TempHome, arguments: &[&str]) -> Command {
    let mut command = home.command(PROGRAM);
    command.arg("codex").args(arguments);
    command
}

pub(crate) async fn run(home: &TempHome, arguments: &[&str]) -> Ended {
    Running::start(polywire(home, arguments)).ended().await
}

/// A command that must work, and what it says on standard output.
pub(crate) async fn done(home: &TempHome, arguments: &[&str]) -> String {
    let ended = run(home, arguments).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    ended.stdout.join("\n")
}

/// A command that must fail with 1 and say why on the error stream alone.
pub(crate) async fn complaint(home: &TempHome, arguments: &[&str]) -> String {
    let ended = run(home, arguments).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
    said
}

/// What is shown, without the names of the temporary home and of the program.
pub(crate) fn general(home: &TempHome, shown: &str) -> String {
    let folder = home.codex_home().parent().unwrap().display().to_string();
    shown.replace(&folder, "HOME").replace(PROGRAM, "POLYWIRE")
}
