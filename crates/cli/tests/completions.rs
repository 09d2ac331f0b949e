//! Completion in real shells, and the manual pages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use polywire_testkit::{Ended, House, Running, ScriptedUpstream, TempHome, Terminal, answer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

/// A shell without its user's settings, and what it takes to load our completions there.
struct Shell {
    name: &'static str,
    arguments: &'static [&'static str],
    set_up: &'static str,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        arguments: &["--norc", "--noprofile", "-i"],
        set_up: "source <(polywire completions bash)",
    },
    Shell {
        name: "zsh",
        arguments: &["-f", "-i"],
        set_up: "autoload -U compinit; compinit -u -D; source <(polywire completions zsh)",
    },
    Shell {
        name: "fish",
        arguments: &["--no-config", "-i"],
        set_up: "polywire completions fish | source",
    },
];

/// What is typed before Tab, and what the line is then.
const COMPLETED: [(&str, &str); 5] = [
    ("polywire receip", "polywire receipts"),
    ("polywire run claud", "polywire run claude"),
    ("polywire run codex -p hou", "polywire run codex -p house"),
    ("polywire run --no-in", "polywire run --no-input"),
    ("polywire run -m house/", "polywire run -m house/test-model"),
];

async fn run(home: &TempHome, arguments: &[&str]) -> Ended {
    let mut command = home.command(PROGRAM);
    command.args(arguments);
    Running::start(command).ended().await
}

/// Whether there is such a shell; says so when there is none.
fn is_installed(shell: &Shell) -> bool {
    use std::io::Write;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(shell.name).exists());
    if !found {
        writeln!(
            std::io::stderr(),
            "NOT RUN: there is no {} here",
            shell.name
        )
        .ok();
    }
    found
}

async fn completes(shell: &Shell) {
    if !is_installed(shell) {
        return;
    }
    let house = House::new(
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(|_, _| answer("hello")),
    );
    let folder = Path::new(PROGRAM).parent().unwrap();
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&usual));
    // By way of `setsid` (util-linux), because shells want a terminal that is theirs.
    let mut command = house.home.command("setsid");
    command
        .args(["--ctty", "--wait", shell.name])
        .args(shell.arguments)
        .env("PATH", std::env::join_paths(folders).unwrap());
    let mut screen = Terminal::start(command);
    screen.type_keys(shell.set_up);
    screen.type_keys("; echo rea''dy\r");
    screen.shows("ready").await;
    for (typed, completed) in COMPLETED {
        screen.type_keys(&format!("{typed}\t"));
        // The line is told by the shell itself, so that neither colours nor suggestions are in the way. Ctrl-A goes to its beginning.
        screen.type_keys("\x01echo '<' \r");
        screen.shows(&format!("< {completed}")).await;
    }
}

#[tokio::test]
async fn bash_completes() {
    completes(&SHELLS[0]).await;
}

#[tokio::test]
async fn zsh_completes() {
    completes(&SHELLS[1]).await;
}

#[tokio::test]
async fn fish_completes() {
    completes(&SHELLS[2]).await;
}

#[tokio::test]
async fn shells_that_are_not_known_are_refused() {
    let home = TempHome::new(HOMES);
    let refused = run(&home, &["completions", "tcsh"]).await;
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    assert!(
        refused.stderr.join("\n").contains("bash, zsh, fish"),
        "{refused:?}"
    );
}

/// Settings with a mistake are not for a shell to tell: there are no providers then, and all else is completed.
#[tokio::test]
async fn a_mistake_in_the_settings_is_not_told_to_the_shell() {
    let home = TempHome::new(HOMES);
    home.write("config/polywire/config.toml", "listen to me");
    for (words, found) in [("run -p ", ""), ("recei", "receipts")] {
        let line: Vec<&str> = words.split(' ').collect();
        let mut command = home.command(PROGRAM);
        command
            .args(["--", "polywire"])
            .args(&line)
            .env("POLYWIRE_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", line.len().to_string())
            .env("_CLAP_IFS", "\n");
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(ended.stderr.is_empty(), "{ended:?}");
        assert_eq!(ended.stdout.join("\n").trim(), found, "{ended:?}");
    }
}

#[tokio::test]
async fn there_is_a_manual_page_for_each_command() {
    let home = TempHome::new(HOMES);
    let page = run(&home, &["man"]).await;
    assert_eq!(page.code(), Some(0), "{page:?}");
    let page = page.stdout.join("\n");
    for part in [".TH polywire 1", "Exit codes", "polywire\\-run(1)"] {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
    let folder = home.work().join("man1");
    let told = run(&home, &["man", "--output", folder.to_str().unwrap()]).await;
    assert_eq!(told.code(), Some(0), "{told:?}");
    for name in ["polywire", "polywire-run", "polywire-receipts-show"] {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    let hidden = folder.join("polywire-run-gateway.1");
    assert!(!hidden.exists());
    let occupied = home.write("occupied", "");
    let refused = run(&home, &["man", "--output", occupied.to_str().unwrap()]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
}
