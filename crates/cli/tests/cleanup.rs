//! `polywire cleanup` on real leftovers: dead and live processes, files that mean them, sockets; and how it asks.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use polywire_processes::{ProcessId, boot_id, own_processes};
use polywire_testkit::{CodexCli, Running, TempHome, Terminal};
use serde_json::{Value, json};

use leftovers::{
    Alive, Orphan, PROGRAM, act_on, age, app_server, assert_kept, assert_stale, cleanup,
    codex_pid_file, dead_pid, dead_socket, found, home, number, of_file, of_process, orphan,
    orphan_by, sees_all, text, wait_until,
};

#[path = "support/leftovers.rs"]
mod leftovers;

#[path = "support/processes.rs"]
mod processes;

use processes::processes_of;

#[tokio::test]
async fn nothing_is_found_where_nothing_was_left() {
    let home = home();
    let ended = cleanup(&home, &["--only", "/none"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, ["Nothing stale was found."], "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(
        said.contains("error: nothing was found of `/none`\nhint: "),
        "{said}"
    );
    let nowhere = home.work().join("nowhere");
    fs::create_dir_all(&nowhere).unwrap();
    for folder in [&nowhere, &home.work().join("missing")] {
        let ended = cleanup(&home, &["--desktop", &text(folder)]).await;
        assert_eq!(ended.code(), Some(2), "{ended:?}");
    }
    let ended = cleanup(&home, &["--desktop", &text(&nowhere)]).await;
    let said = ended.stderr.join("\n");
    assert!(
        said.contains("no Desktop is installed there") && said.contains("hint: "),
        "{said}"
    );
}

#[tokio::test]
async fn pid_files_are_stale_when_nobody_is_meant() {
    if !sees_all() {
        return;
    }
    let home = home();
    let sleeper = Alive::sleep();
    let dead = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let reused = home.write(
        "state/codex-desktop/webview.pid",
        sleeper.id().pid().to_string(),
    );
    age(&reused);
    let live = home.write(
        "state/chatgpt-desktop/app.pid",
        sleeper.id().pid().to_string(),
    );
    let strange = home.write("state/chatgpt-desktop/webview.pid", "of nobody");
    let shown = found(&home, &[]).await;
    assert_stale(of_file(&shown, &dead), "does not run");
    assert_stale(of_file(&shown, &reused), "another process now");
    assert_kept(of_file(&shown, &live), "runs");
    assert_kept(of_file(&shown, &strange), "no process number");
    assert!(dead.exists() && reused.exists(), "showing changes nothing");

    let (first, second) = (text(&dead), text(&reused));
    let done = cleanup(&home, &["--yes", "--only", &first, "--only", &second]).await;
    assert_eq!(done.code(), Some(0), "{done:?}");
    let said = done.stdout.join("\n");
    assert!(
        said.contains(&format!("removed: {}", dead.display())),
        "{said}"
    );
    assert!(!dead.exists() && !reused.exists());
    assert!(live.exists() && strange.exists());
    assert!(sleeper.id().is_alive().unwrap());
}

#[tokio::test]
async fn processes_of_other_users_are_left_alone() {
    if !sees_all() {
        return;
    }
    if polywire_processes::own_user() != 0 {
        eprintln!("not run: only root can start processes of other users");
        return;
    }
    let home = home();
    let mut command = Command::new("sleep");
    let theirs = Alive(command.arg("60").uid(65534).spawn().unwrap());
    let file = home.write("state/codex-desktop/app.pid", theirs.id().pid().to_string());
    // In a folder that the other user may enter.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let codex = app_server(folder.path());
    let mut shell = Command::new("sh");
    shell.uid(65534);
    let mut server = orphan_by(shell, &codex, "app-server", folder.path(), &[]);
    drop(server.input.take());
    let only = [text(&file), number(&theirs.id()), number(&server.id)];
    let shown = act_on(&home, &only, &[]).await;
    assert_stale(of_file(&shown, &file), "another user");
    assert_eq!(of_process(&shown, &server.id), None);
    assert!(theirs.id().is_alive().unwrap());
    assert!(server.id.is_alive().unwrap());
}

#[tokio::test]
async fn files_of_codex_daemon_are_stale_when_it_has_ended() {
    if !sees_all() {
        return;
    }
    let home = home();
    let sleeper = Alive::sleep();
    let boot = boot_id().unwrap();
    let (pid, start) = (sleeper.id().pid(), sleeper.id().start());
    let daemon = home.write(
        "codex/app-server-daemon/daemon.pid",
        codex_pid_file(pid, start + 1, &boot),
    );
    let updater = home.write(
        "codex/app-server-daemon/daemon-updater.pid",
        codex_pid_file(pid, start, &boot),
    );
    let socket = home
        .codex_home()
        .join("app-server-control/app-server-control.sock");
    dead_socket(&socket);
    let lock = home.write("codex/app-server-daemon/daemon.lock", "");
    let log = home.write("codex/app-server-daemon/daemon.stderr.log", "why it ended");
    let shown = found(&home, &[]).await;
    assert_stale(of_file(&shown, &daemon), "started at another time");
    assert_stale(of_file(&shown, &socket), "nobody answers");
    assert_kept(of_file(&shown, &updater), "runs");

    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    let only = [&daemon, &socket, &updater].map(|path| text(path));
    let shown = act_on(&home, &only, &[]).await;
    assert_kept(of_file(&shown, &daemon), "daemon.lock");
    drop(held);

    // Before the machine was started anew.
    home.write(
        "codex/app-server-daemon/daemon.pid",
        codex_pid_file(pid, start, "another"),
    );
    let done = act_on(&home, &only, &[]).await;
    assert_stale(of_file(&done, &daemon), "before this machine");
    assert!(!daemon.exists() && !socket.exists());
    assert!(updater.exists() && lock.exists() && log.exists());
    assert!(sleeper.id().is_alive().unwrap());
}

#[tokio::test]
async fn a_daemon_whose_home_is_gone_is_ended() {
    let home = home();
    let codex = app_server(&home.work());
    let lost = home.work().join("lost");
    let arguments = "app-server --listen unix:// --managed-daemon";
    let lost = orphan(&codex, arguments, &home.work(), &[("CODEX_HOME", &lost)]);
    let there = orphan(
        &codex,
        arguments,
        &home.work(),
        &[("CODEX_HOME", &home.codex_home())],
    );
    let other = home.work().join("also-lost");
    let used = orphan(&codex, arguments, &home.work(), &[("CODEX_HOME", &other)]);
    let user = Command::new(&codex)
        .args(["app-server", "of", "somebody"])
        .current_dir(home.work())
        .env("CODEX_HOME", &other)
        .spawn();
    let _user = Alive(user.unwrap());
    let done = act_on(&home, &[&lost.id, &there.id, &used.id].map(number), &[]).await;
    assert_stale(of_process(&done, &lost.id).unwrap(), "is gone");
    assert_kept(of_process(&done, &used.id).unwrap(), "may be connected");
    assert_eq!(of_process(&done, &there.id), None);
    assert!(!lost.id.is_alive().unwrap());
    assert!(there.id.is_alive().unwrap());
    assert!(used.id.is_alive().unwrap());
}

#[tokio::test]
async fn an_engines_work_folders_are_removed_when_nobody_works_there() {
    if !sees_all() {
        return;
    }
    let home = home();
    home.write(
        "config/polywire/config.toml",
        "[providers.codex]\nkind = \"codex-exec\"\nengine_home = \"~/engine\"\n",
    );
    let folder = |name: &str| {
        let file = home.write(format!("home/engine/scratch/{name}/input.png"), "…");
        file.parent().unwrap().to_owned()
    };
    let [abandoned, at_work, strange, new] = ["turn-1", "turn-2", "mine", "turn-3"].map(folder);
    let file = home.write("home/engine/scratch/turn-list.txt", "mine");
    for path in [&abandoned, &at_work, &strange, &file] {
        let then = SystemTime::now() - Duration::from_hours(24);
        File::open(path).unwrap().set_modified(then).unwrap();
    }
    let held = File::open(&at_work).unwrap();
    held.lock_shared().unwrap();
    let all = [&abandoned, &at_work, &strange, &new, &file].map(|path| text(path));
    let done = act_on(&home, &all, &[]).await;
    assert_stale(of_file(&done, &abandoned), "nobody holds the lock");
    assert_kept(of_file(&done, &at_work), "polywire works in it");
    assert_kept(of_file(&done, &new), "a moment ago");
    assert_eq!(done.len(), 3, "{done:#?}");
    let mut left: Vec<_> = fs::read_dir(strange.parent().unwrap())
        .unwrap()
        .flatten()
        .collect();
    left.sort_by_key(fs::DirEntry::file_name);
    let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(left, ["mine", "turn-2", "turn-3", "turn-list.txt"]);
}

/// The only process of a home whose command has this in it.
fn only_process(home: &TempHome, wanted: &str) -> ProcessId {
    let find = || {
        let all = processes_of(home);
        let found = all.iter().find(|process| process.command.contains(wanted));
        found.map(|process| u32::try_from(process.id).unwrap())
    };
    wait_until(wanted, || find().is_some());
    ProcessId::of(find().unwrap()).unwrap().unwrap()
}

fn send(id: &ProcessId, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(id.pid().try_into().unwrap()), signal).unwrap();
}

/// A client need not carry the mark of its run. Its gateway knows it all the same, so one that answers is left alone.
#[tokio::test]
async fn the_gateway_of_a_run_is_ended_only_when_it_hangs() {
    let home = home();
    let mut run = home.command(PROGRAM);
    run.args(["run", "-p", "demo", "--", "env", "-i", "/bin/sleep", "777"]);
    let mut run = run.stdin(Stdio::null()).spawn().unwrap();
    let gateway = only_process(&home, " run-gateway ");
    let gateway = Orphan {
        id: gateway,
        input: None,
    };
    let client = || {
        let all = own_processes().unwrap();
        let mut children = all
            .into_iter()
            .filter(|process| process.parent == run.id().unwrap());
        children.find(|process| process.command_line == ["/bin/sleep", "777"])
    };
    wait_until("the client", || client().is_some());
    let client = Orphan {
        id: client().unwrap().id,
        input: None,
    };
    run.start_kill().unwrap();
    run.wait().await.unwrap();
    let only = [number(&gateway.id)];
    let look = |done: &[Value]| of_process(done, &gateway.id).unwrap()["kept"].to_string();
    let deadline = SystemTime::now() + Duration::from_mins(1);
    loop {
        let done = act_on(&home, &only, &[]).await;
        if look(&done).contains("it answers on 127.0.0.1:") {
            break;
        }
        assert!(SystemTime::now() < deadline, "{done:#?}");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(gateway.id.is_alive().unwrap() && client.id.is_alive().unwrap());

    send(&gateway.id, Signal::SIGSTOP);
    let done = act_on(&home, &only, &[]).await;
    assert_stale(of_process(&done, &gateway.id).unwrap(), "does not answer");
    assert!(!gateway.id.is_alive().unwrap());
}

#[tokio::test]
async fn on_a_terminal_it_asks() {
    if !sees_all() {
        return;
    }
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    for (answer, remains) in [("\r", true), ("y\r", false)] {
        let mut command = home.command(PROGRAM);
        command.args(["cleanup", "--only", &text(&file)]);
        let mut terminal = Terminal::start(command);
        terminal.shows("pid file of Desktop").await;
        terminal.shows("remove what is stale?").await;
        terminal.type_keys(answer);
        assert_eq!(terminal.ended().await, Some(0));
        assert_eq!(file.exists(), remains, "{}", terminal.text());
    }
}

#[tokio::test]
async fn what_is_needed_again_when_the_answer_comes_is_left() {
    if !sees_all() {
        return;
    }
    let home = home();
    let file = home.write("codex/app-server-daemon/daemon.pid", dead_pid().to_string());
    let lock = home.write("codex/app-server-daemon/daemon.lock", "");
    let mut command = home.command(PROGRAM);
    command.args(["cleanup", "--only", &text(&file)]);
    let mut terminal = Terminal::start(command);
    terminal.shows("remove what is stale?").await;
    // Codex begins to start its daemon.
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    terminal.type_keys("y\r");
    assert_eq!(terminal.ended().await, Some(1));
    terminal.shows("kept after all").await;
    assert!(file.exists());
}

#[tokio::test]
async fn without_a_terminal_nothing_is_done_unasked() {
    if !sees_all() {
        return;
    }
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let ended = cleanup(&home, &[]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(
        ended.stderr.join("\n").contains("cleanup --yes"),
        "{ended:?}"
    );
    assert!(file.exists());
}

#[tokio::test]
async fn what_cannot_be_removed_is_told() {
    if !sees_all() {
        return;
    }
    if polywire_processes::own_user() == 0 {
        eprintln!("not run: root can remove everything");
        return;
    }
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let folder = file.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
    let ended = cleanup(&home, &["--yes", "--only", &text(&file)]).await;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr.join("\n").contains("could not be removed"),
        "{ended:?}"
    );
}

/// What the real daemon writes of itself is understood: kept while it runs, stale when it was killed.
#[tokio::test]
async fn the_real_daemon_of_codex() {
    if !sees_all() {
        return;
    }
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = home();
    let mut command = codex.command(&home);
    command.args(["app-server", "daemon", "start"]);
    let started = Running::start(command).ended().await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    let folder = home.codex_home();
    let names = ["daemon.pid", "daemon-updater.pid"];
    let pid_files = names.map(|name| folder.join("app-server-daemon").join(name));
    let processes = pid_files.clone().map(|path| {
        let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let pid = u32::try_from(file["pid"].as_u64().unwrap()).unwrap();
        // Ended when the test ends, however it ends.
        let id = ProcessId::of(pid).unwrap().unwrap();
        Orphan { id, input: None }
    });
    let socket = folder.join("app-server-control/app-server-control.sock");
    let shown = found(&home, &[]).await;
    for path in pid_files.iter().chain([&socket]) {
        assert_kept(of_file(&shown, path), "runs");
    }
    for process in &processes {
        assert_eq!(of_process(&shown, &process.id), None, "{shown:#?}");
    }
    // One that is stopped is told of and left alone, though the kernel takes connections for it.
    let daemon = &processes[0].id;
    send(daemon, Signal::SIGSTOP);
    let told = cleanup(&home, &["--yes", "--only", &number(daemon)]).await;
    assert_eq!(told.code(), Some(0), "{told:?}");
    let said = told.stdout.join("\n");
    assert!(said.contains("does not answer: it was stopped"), "{said}");
    assert!(
        said.contains("hint: `codex app-server daemon restart`"),
        "{said}"
    );
    send(daemon, Signal::SIGCONT);
    let told = cleanup(&home, &["--json", "--only", &number(daemon)]).await;
    let json: Value = serde_json::from_str(&told.stdout.join("\n")).unwrap();
    assert_eq!(json["stalls"], json!([]), "{json:#}");
    assert!(daemon.is_alive().unwrap());
    for process in &processes {
        // As a crash does, which leaves everything behind.
        send(&process.id, Signal::SIGKILL);
        wait_until("the daemon to end", || !process.id.is_alive().unwrap());
    }
    let only = [&pid_files[0], &pid_files[1], &socket].map(|path| text(path));
    let done = act_on(&home, &only, &[]).await;
    for path in pid_files.iter().chain([&socket]) {
        assert_stale(of_file(&done, path), "does not run");
        assert!(fs::symlink_metadata(path).is_err(), "{done:#?}");
    }
}
