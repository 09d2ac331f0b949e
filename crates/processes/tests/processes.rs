//! Processes as they are: looked at, told apart, ended.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use polywire_processes::{
    Ending, Input, Process, ProcessId, boot_id, end, input_of, listened_by, listeners,
    own_processes, own_user,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A shell that says `ready` and then reads.
fn shell(script: &str) -> Child {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{script}; echo ready; read answer")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("MARK", "of this test")
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    child
}

fn id(child: &Child) -> ProcessId {
    ProcessId::of(child.id()).unwrap().unwrap()
}

#[test]
fn a_stopped_process_is_known() {
    let mut child = shell(":");
    let id = id(&child);
    assert!(!id.is_stopped().unwrap());
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !id.is_stopped().unwrap() {
        assert!(Instant::now() < deadline, "it was not stopped");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!id.is_stopped().unwrap());
}

#[test]
fn what_a_process_listens_on_is_known() {
    let own = ProcessId::own().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert!(listened_by(&own).unwrap().contains(&address));
    drop(listener);
    assert!(!listened_by(&own).unwrap().contains(&address));
}

#[test]
fn a_process_in_a_container_has_another_number_there() {
    let own = ProcessId::own().unwrap().look().unwrap().unwrap();
    assert!(own.shares_our_view());
    let script = "echo ready; read answer; exit 0";
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
        ])
        .args(["sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        return;
    };
    let mut ready = [0; 6];
    let mut said = child.stdout.take().unwrap();
    // Where no container can be made it ends at once.
    if std::io::Read::read_exact(&mut said, &mut ready).is_ok() {
        let contained = Process::contained(1).unwrap();
        let inside = contained
            .iter()
            .find(|process| process.parent == child.id())
            .unwrap();
        assert_ne!(inside.id.pid(), 1);
        assert!(!inside.shares_our_view());
    }
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_process_says_who_it_is() {
    let mut child = shell(":");
    let process = id(&child).look().unwrap().unwrap();
    assert_eq!(process.parent, std::process::id());
    assert_eq!(process.owner, own_user());
    assert!(process.is_own());
    assert_eq!(process.command_line[..2], ["sh", "-c"]);
    assert_eq!(process.working_directory, std::env::current_dir().ok());
    assert!(process.program().unwrap().is_absolute());
    assert!(process.group.is_some() && process.session.is_some());
    let age = process.started_at.unwrap().elapsed().unwrap_or_default();
    assert!(age < Duration::from_mins(10), "{age:?}");
    let variables = process.variables(&["MARK", "NOT_SET"]).unwrap();
    assert_eq!(variables.len(), 1);
    assert_eq!(variables["MARK"], "of this test");
    assert!(own_processes().unwrap().contains(&process));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(process.variables(&["MARK"]), None);
    assert!(!process.id.is_alive().unwrap());
}

#[test]
fn an_identity_can_be_kept_and_is_not_taken_for_another() {
    let own = ProcessId::own().unwrap();
    let kept = serde_json::to_string(&own).unwrap();
    let read: ProcessId = serde_json::from_str(&kept).unwrap();
    assert_eq!(read, own);
    assert!(read.is_alive().unwrap());
    assert!(kept.contains(&boot_id().unwrap()));
    // The same number, begun at another time, or before the machine was started anew.
    let other_start = kept.replace(&own.start().to_string(), "1");
    let other_boot = kept.replace(&boot_id().unwrap(), "another");
    for other in [other_start, other_boot] {
        let other: ProcessId = serde_json::from_str(&other).unwrap();
        assert_eq!(other.pid(), own.pid());
        assert!(!other.is_alive().unwrap());
        assert_eq!(end(&other, PATIENCE).unwrap(), Ending::WasGone);
    }
}

#[test]
fn what_has_ended_and_is_not_taken_notice_of_does_not_run() {
    let mut child = shell(":");
    let id = id(&child);
    drop(child.stdin.take());
    let deadline = Instant::now() + PATIENCE;
    while id.is_alive().unwrap() {
        assert!(Instant::now() < deadline, "it should end with its input");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(Process::find(child.id()).unwrap(), None);
    assert_eq!(end(&id, PATIENCE).unwrap(), Ending::WasGone);
    child.wait().unwrap();
}

#[test]
fn a_process_is_asked_to_end_and_killed_when_it_does_not() {
    let mut willing = shell(":");
    assert_eq!(end(&id(&willing), PATIENCE).unwrap(), Ending::Ended);
    assert_eq!(willing.wait().unwrap().signal(), Some(15));
    let mut stubborn = shell("trap '' TERM");
    let patience = Duration::from_millis(50);
    assert_eq!(end(&id(&stubborn), patience).unwrap(), Ending::Killed);
    assert_eq!(stubborn.wait().unwrap().signal(), Some(9));
}

#[test]
fn who_listens_on_a_port_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let found = listeners(address.port()).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].address, address);
    assert_eq!(found[0].owner, own_user());
    let own = ProcessId::own().unwrap();
    assert!(found[0].processes.iter().any(|process| process.id == own));
    drop(listener);
    assert_eq!(listeners(address.port()).unwrap(), []);
}

#[test]
fn what_a_process_reads_and_who_could_write_it() {
    let mut child = shell("trap '' TERM");
    let own = ProcessId::own().unwrap();
    let input = input_of(&id(&child)).unwrap().unwrap();
    let Input::Held { holders, .. } = input else {
        panic!("{input:?}");
    };
    assert!(holders.iter().any(|holder| holder.id == own), "{holders:?}");
    child.kill().unwrap();
    child.wait().unwrap();

    // One that does not read, so that it lives on when nobody writes any more.
    let mut sleeper = sleeper(Stdio::piped());
    drop(sleeper.stdin.take());
    until_abandoned(&sleeper);
    let gone = id(&sleeper);
    finish(sleeper);
    assert_eq!(input_of(&gone).unwrap(), None);

    let nothing = self::sleeper(Stdio::null());
    assert_eq!(input_of(&id(&nothing)).unwrap(), Some(Input::Nothing));
    finish(nothing);

    let (ours, theirs) = UnixStream::pair().unwrap();
    let over_socket = self::sleeper(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    let input = input_of(&id(&over_socket)).unwrap().unwrap();
    let Input::Held { holders, .. } = input else {
        panic!("{input:?}");
    };
    assert!(holders.iter().any(|holder| holder.id == own), "{holders:?}");
    drop(ours);
    until_abandoned(&over_socket);
    finish(over_socket);
}

fn sleeper(input: Stdio) -> Child {
    Command::new("sleep")
        .arg("30")
        .stdin(input)
        .spawn()
        .unwrap()
}

/// A child that was started a moment ago may still be about to close its copy of our end: the kernel lets us go on before it does that.
fn until_abandoned(child: &Child) {
    let deadline = Instant::now() + PATIENCE;
    while input_of(&id(child)).unwrap() != Some(Input::Abandoned) {
        assert!(Instant::now() < deadline, "somebody holds its input");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn finish(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
