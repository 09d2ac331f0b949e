//! `polywire cleanup` where a Codex lives in a container, seen from inside and from outside.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use polywire_processes::{Process, boot_id, own_processes};
use polywire_testkit::Running;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use serde_json::Value;

use leftovers::{
    Alive, PROGRAM, act_on, app_server, assert_kept, assert_stale, codex_pid_file, dead_pid, home,
    number, of_file, of_process, sees_all, text, wait_until,
};

#[path = "support/leftovers.rs"]
mod leftovers;

#[path = "support/processes.rs"]
mod processes;

#[tokio::test]
async fn in_a_container_files_with_numbers_are_kept() {
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let folder = home.write("state/polywire/doctor-1/codex/a", "…");
    let folder = folder.parent().unwrap().parent().unwrap();
    let then = SystemTime::now() - Duration::from_hours(24);
    File::open(folder).unwrap().set_modified(then).unwrap();
    if !containers_are_possible() {
        return;
    }
    let mut command = home.command("unshare");
    command.args(CONTAINER).arg(PROGRAM);
    command.args(["cleanup", "--yes", "--json", "--only", &text(&file)]);
    command.args(["--only", &text(folder)]);
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    let found = json["leftovers"].as_array().unwrap();
    assert_kept(of_file(found, &file), "outside of it cannot be seen");
    assert_kept(of_file(found, folder), "outside of this container");
    assert!(file.exists() && folder.exists());
}

/// With processes and files of its own, for `unshare`.
const CONTAINER: [&str; 5] = [
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--mount-proc",
];

fn containers_are_possible() -> bool {
    let tried = Command::new("unshare").args(CONTAINER).arg("true").status();
    let possible = tried.is_ok_and(|status| status.success());
    if !possible {
        eprintln!("not run: this system does not let us make a container");
    }
    possible
}

/// A process of this program, once it runs.
fn running(program: &Path) -> Process {
    let find = || {
        let all = own_processes().unwrap();
        all.into_iter()
            .find(|process| process.program() == Some(program))
    };
    wait_until("the program", || find().is_some());
    find().unwrap()
}

/// The number of a process in its own container.
fn inner_number(process: &Process) -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id.pid())).unwrap();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let inner = numbers.unwrap().split_whitespace().last().unwrap();
    inner.parse().unwrap()
}

#[tokio::test]
async fn the_files_of_a_daemon_in_a_container_are_kept() {
    if !sees_all() || !containers_are_possible() {
        return;
    }
    let home = home();
    let codex = app_server(&home.work());
    let mut container = Command::new("unshare");
    container
        .args(CONTAINER)
        .args(["--kill-child", "sh", "-c"])
        // Not the first process of the container, as it would be if the shell became it.
        .arg(format!("'{}' app-server; true", codex.display()))
        .current_dir(home.work())
        .env("CODEX_HOME", home.codex_home());
    let container = Alive(container.spawn().unwrap());
    let daemon = running(&codex);
    let inner = inner_number(&daemon);
    assert_ne!(inner, daemon.id.pid());
    let pid_file = home.write(
        "codex/app-server-daemon/daemon.pid",
        codex_pid_file(inner, daemon.id.start(), &boot_id().unwrap()),
    );
    let socket = home
        .codex_home()
        .join("app-server-control/app-server-control.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    symlink("/tmp/of-the-container-alone/control.sock", &socket).unwrap();
    let only = [&pid_file, &socket].map(|path| text(path));
    let done = act_on(&home, &only, &[]).await;
    for file in [&pid_file, &socket] {
        assert_kept(of_file(&done, file), "in a container");
    }
    drop(container);
    wait_until("the container's end", || !daemon.id.is_alive().unwrap());
    // Where its socket leads may still be somebody's.
    let done = act_on(&home, &only, &[]).await;
    assert_stale(of_file(&done, &pid_file), &inner.to_string());
    assert_kept(of_file(&done, &socket), "in a container");
}

#[tokio::test]
async fn a_pid_file_is_kept_while_its_socket_answers() {
    if !sees_all() {
        return;
    }
    let home = home();
    let pid_file = home.write("codex/app-server-daemon/daemon.pid", dead_pid().to_string());
    let socket = home
        .codex_home()
        .join("app-server-control/app-server-control.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let answering = UnixListener::bind(&socket).unwrap();
    // Nobody takes them in, so that its queue is full at last.
    let mut waiting = Vec::new();
    let connect = || {
        let own = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::io::ioctl_fionbio(&own, true).unwrap();
        let connected = rustix::net::connect(&own, &SocketAddrUnix::new(&socket).unwrap());
        connected.map(|()| own)
    };
    while let Ok(one) = connect() {
        waiting.push(one);
    }
    let done = act_on(&home, &[text(&pid_file), text(&socket)], &[]).await;
    assert_kept(of_file(&done, &pid_file), "somebody answers");
    drop((answering, waiting));
    let done = act_on(&home, &[text(&pid_file), text(&socket)], &[]).await;
    assert_stale(of_file(&done, &pid_file), "does not run");
    assert!(!pid_file.exists() && !socket.exists());
}

#[tokio::test]
async fn a_daemon_whose_home_is_in_its_container_is_left_alone() {
    if !sees_all() || !containers_are_possible() {
        return;
    }
    let home = home();
    let codex = app_server(&home.work());
    let inside = home.work().join("inside");
    fs::create_dir_all(&inside).unwrap();
    let script = format!(
        "mount -t tmpfs none '{0}' && mkdir '{0}/codex' && CODEX_HOME='{0}/codex' exec '{1}' app-server --listen unix:// --managed-daemon",
        inside.display(),
        codex.display()
    );
    let mut container = Command::new("unshare");
    container
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(home.work());
    let _container = Alive(container.spawn().unwrap());
    let daemon = running(&codex);
    assert!(!inside.join("codex").exists());
    let done = act_on(&home, &[number(&daemon.id)], &[]).await;
    assert_eq!(of_process(&done, &daemon.id), None, "{done:#?}");
    assert!(daemon.id.is_alive().unwrap());
}
