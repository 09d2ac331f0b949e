use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};

use nix::sys::signal::Signal;
use polywire_processes::ProcessId;
use polywire_testkit::{CodexCli, Running, TempHome};

use super::*;
use crate::cleanup::number;

/// A process that lives until this is dropped.
struct Alive(Child);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A shell of this name that runs the script `script`.
fn start(folder: &Path, name: &str, script: &str, arguments: &[&str]) -> Alive {
    let program = folder.join(name);
    // Not written by ourselves: what another test starts at this moment would hold it open for a while, and it could not be run.
    let copied = Command::new("cp").arg("/bin/sh").arg(&program).status();
    assert!(copied.unwrap().success());
    std::fs::write(folder.join(arguments[0]), script).unwrap();
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(folder);
    Alive(command.spawn().unwrap())
}

fn places(folder: &Path) -> Places {
    Places {
        codex_home: folder.to_owned(),
        desktop_profile: None,
        desktop_states: Vec::new(),
        desktop_runtimes: Vec::new(),
        desktop_folders: vec![folder.to_owned()],
        engine_scratches: Vec::new(),
        state_dir: folder.join("state"),
    }
}

/// What is seen once `is_there` sees what was started, so long after now.
fn seen(places: &Places, later: Duration, is_there: impl Fn(&Snapshot) -> bool) -> Vec<Stall> {
    let deadline = SystemTime::now() + Duration::from_secs(30);
    loop {
        let snapshot = Snapshot::take().unwrap();
        if is_there(&snapshot) {
            return stalls(places, &snapshot, SystemTime::now() + later);
        }
        assert!(SystemTime::now() < deadline, "it did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

fn wait_until_stopped(pid: u32) {
    let id = ProcessId::of(pid).unwrap().unwrap();
    while !id.is_stopped().unwrap() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Leaves the connection in the queue of the socket, if there is room.
fn try_to_connect(socket: &Path) -> bool {
    let connected = crate::cleanup::socket::try_connect(socket);
    connected.map(std::mem::forget).is_ok()
}

const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(30);

#[test]
fn a_desktop_without_a_renderer_has_no_window() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let places = places(&folder);
    let is_there = |snapshot: &Snapshot| main_processes(snapshot, &folder).count() > 0;
    let desktop = start(&folder, "electron", "while sleep 0.1; do :; done", &["app"]);
    let pid = desktop.0.id();
    assert_eq!(seen(&places, SOON, is_there), []);
    assert_eq!(seen(&places, LATE, is_there), [Stall::NoWindow { pid }]);
    drop(desktop);

    // With its windows closed it has no renderer, and lives on in the tray.
    let drawing = "sh -c 'while kill -0 $PPID; do sleep 0.1; done 2>/dev/null' draw --type=gpu-process & while sleep 0.1; do :; done";
    // What looks for updates is no Desktop, and may stand first in the list of processes.
    let _other = start(&folder, "aaa", "while sleep 0.1; do :; done", &["other"]);
    let desktop = start(&folder, "electron", drawing, &["app"]);
    let draws = |snapshot: &Snapshot| {
        let desktop = snapshot.process(desktop.0.id());
        let renderer = snapshot
            .processes
            .iter()
            .find(|process| has_argument(process, "--type=gpu-process"));
        desktop
            .zip(renderer)
            .is_some_and(|(desktop, renderer)| snapshot.comes_of(renderer, desktop))
    };
    assert_eq!(seen(&places, LATE, draws), []);
    let pid = desktop.0.id();
    signal(pid, Signal::SIGSTOP);
    wait_until_stopped(pid);
    assert_eq!(seen(&places, LATE, draws), [Stall::StoppedDesktop { pid }]);
    drop(desktop);

    let updater = start(&folder, "updater", "while sleep 0.1; do :; done", &["app"]);
    let is_there = |snapshot: &Snapshot| {
        snapshot.process(updater.0.id()).is_some_and(|found| {
            found
                .program()
                .is_some_and(|program| program.starts_with(&folder))
        })
    };
    assert_eq!(seen(&places, LATE, is_there), []);
}

#[test]
fn a_daemon_whose_socket_nobody_answers_is_deaf() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let places = places(&folder);
    for name in ["app-server-daemon", "app-server-control"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let daemon = start(
        &folder,
        "codex",
        "while sleep 0.1; do :; done",
        &["app-server", "--listen", "unix://"],
    );
    let pid = daemon.0.id();
    let is_there = |snapshot: &Snapshot| snapshot.process(pid).is_some_and(is_app_server);
    assert_eq!(seen(&places, LATE, is_there), []);
    let id = ProcessId::of(pid).unwrap().unwrap();
    let boot = polywire_processes::boot_id().unwrap();
    let file = format!(
        r#"{{"pid":{pid},"processIdentity":{{"bootId":"{boot}","startTicks":{}}}}}"#,
        id.start()
    );
    std::fs::write(folder.join("app-server-daemon/daemon.pid"), file).unwrap();
    assert_eq!(seen(&places, SOON, is_there), []);
    let deaf = seen(&places, LATE, is_there);
    assert!(
        matches!(&deaf[..], [Stall::DeafDaemon { pid: found, .. }] if *found == pid),
        "{deaf:?}"
    );
    let socket = folder.join("app-server-control/app-server-control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // The kernel takes the connection, though nobody asks for it.
    let deaf = seen(&places, LATE, is_there);
    assert!(
        matches!(&deaf[..], [Stall::DeafDaemon { why, .. }] if why.contains("nobody answers")),
        "{deaf:?}"
    );
    // Its queue is full.
    while try_to_connect(&socket) {}
    let deaf = seen(&places, LATE, is_there);
    assert!(matches!(&deaf[..], [Stall::DeafDaemon { .. }]), "{deaf:?}");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"));
        }
    });
    assert_eq!(seen(&places, LATE, is_there), []);
    signal(pid, Signal::SIGSTOP);
    wait_until_stopped(pid);
    let deaf = seen(&places, LATE, is_there);
    assert!(
        matches!(&deaf[..], [Stall::DeafDaemon { why, .. }] if why.contains("was stopped")),
        "{deaf:?}"
    );
}

/// The real daemon, which speaks WebSocket over its socket, is not taken for a deaf one.
#[tokio::test]
async fn the_real_daemon_answers() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    // Not in the system's temporary folder, where Codex does not make its programs.
    let homes = std::env::current_dir().unwrap().join("../../target/tmp");
    std::fs::create_dir_all(&homes).unwrap();
    let home = TempHome::new(homes.canonicalize().unwrap());
    let mut command = codex.command(&home);
    command.args(["app-server", "daemon", "start"]);
    let started = Running::start(command).ended().await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    let files = ["daemon.pid", "daemon-updater.pid"]
        .map(|name| home.codex_home().join("app-server-daemon").join(name));
    let pids = files.map(|file| number::written_in(&file).unwrap());
    let is_there = |snapshot: &Snapshot| snapshot.process(pids[0]).is_some_and(is_app_server);
    let mut places = places(&home.work());
    places.codex_home = home.codex_home();
    let stalls = seen(&places, LATE, is_there);
    signal(pids[0], Signal::SIGSTOP);
    wait_until_stopped(pids[0]);
    let stopped = seen(&places, SOON, is_there);
    for pid in pids {
        let id = ProcessId::of(pid).unwrap().unwrap();
        polywire_processes::end(&id, Duration::from_millis(100)).unwrap();
    }
    assert_eq!(stalls, []);
    assert!(
        matches!(&stopped[..], [Stall::DeafDaemon { .. }]),
        "{stopped:?}"
    );
}
