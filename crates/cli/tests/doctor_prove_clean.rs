//! `polywire doctor --prove-clean`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_processes::{ProcessId, end};
use polywire_testkit::{CodexCli, Running, TempHome, Tree};

use doctor::{PROGRAM, Told, command, fake_codex, home};

#[path = "support/doctor.rs"]
mod doctor;

#[path = "support/processes.rs"]
mod processes;

/// A home with files of all kinds that a run must leave alone.
fn furnished() -> TempHome {
    let home = home();
    home.write("codex/config.toml", "# mine\r\nmodel = \"x\"\r\n");
    home.write("codex/AGENTS.md", "Be kind.\n");
    home.write(
        "codex/auth.json",
        r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-of-the-login"}"#,
    );
    home.write("home/.bashrc", "export A=1\n");
    home.write("home/.claude/settings.json", "{}\n");
    home.write("config/polywire/config.toml", "# nothing yet\n");
    home
}

#[tokio::test]
async fn a_run_of_the_real_codex_is_proven_clean() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = furnished();
    let before = Tree::codex_configuration(&home.codex_home());
    let mut command = command(&home, &["--prove-clean"]);
    command.env("PATH", codex.search_path());
    let told = Told::by(command).await;
    assert_eq!(told.code, Some(0), "{told:#?}");
    told.assert("run", "ok", "", "ended well");
    told.assert("prove_clean", "ok", "", "6 of your files");
    told.assert("codexs_own", "ok", "codex", "sqlite");
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));
}

#[tokio::test]
async fn what_changes_during_a_run_is_told() {
    let home = furnished();
    let codex = fake_codex(
        &home,
        "echo more >> \"$CODEX_HOME/config.toml\"; echo '{}' > \"$CODEX_HOME/auth.json\"; chmod 755 \"$HOME/.bashrc\"; rm \"$HOME/.claude/settings.json\"; mkdir -p \"$CODEX_HOME/sessions\"; echo s > \"$CODEX_HOME/sessions/1.jsonl\"",
    );
    let told = Told::of(
        &home,
        &["--prove-clean", "--codex", codex.to_str().unwrap()],
    )
    .await;
    assert_eq!(told.code, Some(1));
    let changed: Vec<(&str, &str)> = told
        .all_of("file_changed")
        .iter()
        .map(|finding| {
            (
                finding["place"].as_str().unwrap(),
                finding["what"].as_str().unwrap(),
            )
        })
        .collect();
    for (name, how) in [
        ("codex/config.toml", "was changed"),
        (".bashrc", "got another mode"),
        (".claude/settings.json", "was removed"),
    ] {
        let is_told = |(place, what): &(&str, &str)| place.ends_with(name) && what.contains(how);
        assert!(changed.iter().any(is_told), "{name} {how} in {changed:?}");
    }
    assert_eq!(changed.len(), 3, "{changed:?}");
    told.assert("login_renewed", "notice", "auth.json", "was changed");
    told.assert("codexs_own", "ok", "codex", "sessions/1.jsonl");
    assert!(told.all_of("prove_clean").is_empty(), "{told:#?}");
}

#[tokio::test]
async fn a_run_that_fails_proves_nothing() {
    let home = furnished();
    let codex = fake_codex(&home, "echo 'no model' >&2; exit 3");
    let told = Told::of(
        &home,
        &["--prove-clean", "--codex", codex.to_str().unwrap()],
    )
    .await;
    assert_eq!(told.code, Some(1), "{told:#?}");
    told.assert("run", "problem", "", "nothing is proven");
    assert!(told.all_of("prove_clean").is_empty(), "{told:#?}");
}

#[tokio::test]
async fn a_signal_leaves_nothing_behind_and_a_kill_what_cleanup_removes() {
    let home = home();
    let codex = fake_codex(&home, "echo $$ >> \"$0.pids\"; exec sleep 600");
    let pid_file = codex.with_file_name("codex.pids");
    // It is asked for its version, and tried.
    let started = || {
        let text = fs::read_to_string(&pid_file).unwrap_or_default();
        let pids = text.lines().filter_map(|line| line.parse().ok());
        pids.collect::<Vec<u32>>()
    };
    let state = home.state().join("polywire");
    let folders = || {
        let entries = fs::read_dir(&state).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let of_doctor = |path: &PathBuf| path.to_str().unwrap().contains("/doctor-");
        paths.filter(of_doctor).collect::<Vec<_>>()
    };
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGKILL,
    ] {
        fs::remove_file(&pid_file).ok();
        let mut command = command(&home, &["--offline", "--codex", codex.to_str().unwrap()]);
        let mut doctor = command.stdout(Stdio::null()).spawn().unwrap();
        processes::until("codex to start", || started().len() == 2).await;
        let ids = started().into_iter();
        let ids: Vec<_> = ids.filter_map(|pid| ProcessId::of(pid).unwrap()).collect();
        let id = i32::try_from(doctor.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
        let ended = doctor.wait().await.unwrap();
        if signal == Signal::SIGKILL {
            for id in &ids {
                end(id, Duration::from_secs(1)).unwrap();
            }
            break;
        }
        assert_eq!(ended.code(), Some(128 + signal as i32), "{signal}");
        let gone = || ids.iter().all(|id| !id.is_alive().unwrap());
        processes::until("codex to end", gone).await;
        assert_eq!(folders(), Vec::<PathBuf>::new());
    }
    let left = folders();
    assert!(!left.is_empty());
    if !polywire_processes::sees_all_processes() {
        eprintln!("not tried: in a container, the folders are kept");
        return;
    }
    let mut command = home.command(PROGRAM);
    command.args(["cleanup", "--yes", "--json"]);
    for folder in &left {
        command.arg("--only").arg(folder);
        let then = SystemTime::now() - Duration::from_hours(1);
        fs::File::open(folder).unwrap().set_modified(then).unwrap();
    }
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(folders(), Vec::<PathBuf>::new(), "{ended:?}");
}

#[tokio::test]
async fn a_proof_that_is_broken_off_leaves_nothing_that_runs() {
    let home = furnished();
    let codex = fake_codex(&home, "echo $$ > \"$0.pid\"; exec sleep 600");
    let arguments = ["--prove-clean", "--codex", codex.to_str().unwrap()];
    let mut command = command(&home, &arguments);
    let mut doctor = command.stdout(Stdio::null()).spawn().unwrap();
    let pid_file = codex.with_file_name("codex.pid");
    processes::until("codex to start", || pid_file.exists()).await;
    let id = i32::try_from(doctor.id().unwrap()).unwrap();
    kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
    assert_eq!(doctor.wait().await.unwrap().code(), Some(130));
    // The gateway of the run looks every two seconds whether somebody is left.
    processes::until("all of it to end", || {
        processes::processes_of(&home).is_empty()
    })
    .await;
}

#[tokio::test]
async fn without_codex_nothing_is_proven() {
    let told = Told::of(&home(), &["--prove-clean"]).await;
    assert_eq!(told.code, Some(1));
    told.assert("prove_clean", "problem", "", "not found");
}
