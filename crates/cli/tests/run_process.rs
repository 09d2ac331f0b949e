//! `polywire run` as a process among others: which program it starts, what it does with signals, which files it keeps and for how long.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use background::{Background, assert_says, ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_testkit::{House, Running};
use processes::{processes_of, until};
use runs::{house, script};
use tokio::process::Command;

#[path = "support/background.rs"]
mod background;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/runs.rs"]
mod runs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

#[tokio::test]
async fn signals_that_are_ignored_stay_so_for_the_client() {
    let house = house();
    let mut command = house.home.command("sh");
    let run = format!(
        "trap '' HUP INT QUIT; exec {PROGRAM} run -p house -- grep SigIgn /proc/self/status"
    );
    command.args(["-c", &run]);
    let told = ended(command).await;
    assert_eq!(told.code(), Some(0), "{told:?}");
    let mask = told.stdout[0].split_whitespace().last().unwrap();
    let mask = u64::from_str_radix(mask, 16).unwrap();
    // SIGHUP, SIGINT, SIGQUIT: bit N - 1.
    assert_eq!(mask & 0b111, 0b111, "{told:?}");
    let told = ended(script(&house, "exec grep SigIgn /proc/self/status")).await;
    let mask = told.stdout[0].split_whitespace().last().unwrap();
    assert_eq!(
        u64::from_str_radix(mask, 16).unwrap() & 0b111,
        0,
        "{told:?}"
    );
}

#[tokio::test]
async fn a_request_to_quit_is_passed_on() {
    let house = house();
    let run = Running::start(script(
        &house,
        "trap 'echo asked to quit; exit 8' QUIT; echo run $PPID; while :; do sleep 0.05; done",
    ));
    let id = run.stdout_line("run ").await;
    let id = id.rsplit(' ').next().unwrap().parse().unwrap();
    kill(Pid::from_raw(id), Signal::SIGQUIT).unwrap();
    run.stdout_line("asked to quit").await;
    assert_eq!(run.ended().await.code(), Some(8));
}

/// Writes a program that says what it is.
fn program(house: &House, path: &str, says: &str) {
    let path = house.home.write(path, format!("#!/bin/sh\necho {says}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn the_program_that_is_named_is_the_one_that_runs() {
    let house = house();
    program(&house, "work/tool", "mine");
    program(&house, "bin/tool", "another");
    program(&house, "work/own/other", "mine too");
    let search_path = format!(
        "{}:/usr/bin:/bin",
        house.home.work().join("../bin").display()
    );
    let run = |path: &str, arguments: &[&str]| {
        let mut command = house.polywire();
        command
            .args(["run", "--plain"])
            .args(arguments)
            .env("PATH", path);
        ended(command)
    };
    let named = run(&search_path, &["--program", "tool", "claude"]).await;
    assert_eq!(named.stdout, ["mine"], "{named:?}");
    let found = run(&format!(":{search_path}"), &["tool"]).await;
    assert_eq!(found.stdout, ["mine"], "{found:?}");
    let found = run("own:/usr/bin:/bin", &["other"]).await;
    assert_eq!(found.stdout, ["mine too"], "{found:?}");
    house.home.write("work/text", "no program");
    let refused = run(&search_path, &["--program", "text", "claude"]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(
        &refused.stderr.join("\n"),
        &["there is no program at", "text", "hint:"],
    );
}

/// `polywire run` of a client that reads a file of ours.
fn claude(house: &House, program: &str) -> Command {
    let mut command = house.polywire();
    command.args(["run", "-p", "house", "claude", "--program", program]);
    command
}

/// One that was killed, and whose client lives on until there is a file `over`; with the file for the client.
async fn killed_run(house: &House) -> (Running, PathBuf) {
    let script = "#!/bin/sh\necho run $PPID file $2\nwhile [ -d \"$HOME\" ] && [ ! -e over ]; do sleep 0.05; done\n";
    let client = house.home.write("bin/client", script);
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o700)).unwrap();
    let run = Running::start(claude(house, client.to_str().unwrap()));
    let line = run.stdout_line("run ").await;
    let mut words = line.split(' ');
    let id = Pid::from_raw(words.nth(1).unwrap().parse().unwrap());
    let file = PathBuf::from(words.nth(1).unwrap());
    assert!(file.exists());
    kill(id, Signal::SIGKILL).unwrap();
    until("the end of `run`", || {
        let processes = processes_of(&house.home);
        !processes.iter().any(|it| it.id == id.as_raw())
    })
    .await;
    (run, file)
}

/// Makes a file old enough to be taken for one that was left behind.
fn age(file: &Path) {
    let old = SystemTime::now() - Duration::from_mins(10);
    std::fs::File::open(file)
        .unwrap()
        .set_modified(old)
        .unwrap();
}

#[tokio::test]
async fn the_file_for_a_client_is_there_as_long_as_the_client() {
    let house = house();
    let (_run, file) = killed_run(&house).await;
    age(&file);
    let another = ended(claude(&house, "/bin/true")).await;
    assert_eq!(another.code(), Some(0), "{another:?}");
    assert!(file.exists());
    house.home.write("work/over", "");
    until("the end of all processes", || {
        processes_of(&house.home).is_empty()
    })
    .await;
    assert!(!file.exists());
}

/// The gateway in the background knows nothing of runs: the client itself shows that its file is needed.
#[tokio::test]
async fn the_file_for_a_client_of_a_shared_gateway_stays_as_well() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    let house = &background.house;
    let (run, file) = killed_run(house).await;
    age(&file);
    let another = ended(claude(house, "/bin/true")).await;
    assert_eq!(another.code(), Some(0), "{another:?}");
    assert!(file.exists());
    house.home.write("work/over", "");
    until("the end of the client", || {
        let processes = processes_of(&house.home);
        !processes.iter().any(|it| it.command.contains("bin/client"))
    })
    .await;
    drop(run);
    // Nobody was left to remove it.
    ended(claude(house, "/bin/true")).await;
    assert!(!file.exists());
}

#[tokio::test]
async fn the_log_of_runs_does_not_grow_without_end() {
    let house = house();
    let path = house.home.config().join("polywire/config.toml");
    let mut settings = std::fs::read_to_string(path).unwrap();
    settings.push_str("\n[log_file]\nmax_mb = 1\nkeep = 1\n");
    house.home.write("config/polywire/config.toml", settings);
    let filled = "filled\n".repeat(1_000_000 / 7 + 1);
    house.home.write("state/polywire/run.log", filled);
    let ask = "for i in 1 2 3; do curl -sf -o /dev/null -H \"Authorization: Bearer $OPENAI_API_KEY\" \
               -H 'Content-Type: application/json' -d '{\"model\": \"test-model\", \"input\": \"hi\"}' \
               $OPENAI_BASE_URL/responses || exit 1; done";
    let run = ended(script(&house, ask)).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    let folder = house.home.state().join("polywire");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(text("run.log.1").starts_with("filled\n"));
    assert_eq!(text("run.log").matches("turn request_id=").count(), 3);
    let mode = folder
        .join("run.log")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
