//! Whether Desktop, or Codex's daemon, runs and does nothing.
//!
//! Without a window system nobody can see a window. What can be seen: a window needs one of Chromium's renderer processes, so that there is
//! none without; a process may be stopped; a socket may take no connections. A window that hangs with its renderer alive is not noticed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use polywire_processes::Process;

use super::codex::is_app_server;
use super::desktop::{is_chromium_helper, main_process};
use super::places::{Places, Snapshot, has_argument};
use super::socket::{Answer, answer_of};

/// How long a Desktop may take to its first window. The seed warned after the same time.
const WINDOW_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the daemon may take until its socket takes connections. It takes a second.
const DAEMON_START_TIMEOUT: Duration = Duration::from_secs(20);

/// A program that runs and does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// A Desktop that cannot have a window.
    NoWindow {
        /// Its main process.
        pid: u32,
    },
    /// A daemon of the Codex CLI whose socket nobody answers.
    DeafDaemon {
        /// The daemon.
        pid: u32,
        /// Why it counts as deaf.
        why: String,
    },
}

/// What runs and does nothing, of Desktop and of Codex's daemon.
pub(crate) fn stalls(places: &Places, snapshot: &Snapshot, now: SystemTime) -> Vec<Stall> {
    let desktops = places.desktop_folders.iter().filter_map(|folder| {
        let desktop = main_process(snapshot, folder)?;
        let draws = is_drawing_program(desktop, folder, snapshot);
        (draws && has_no_window(desktop, snapshot, now)).then(|| desktop.id.pid())
    });
    let mut found: Vec<Stall> = desktops.map(|pid| Stall::NoWindow { pid }).collect();
    found.extend(deaf_daemon(&places.codex_home, snapshot, now));
    found
}

/// Whether it is a program with windows: by the name that packages give it, or because it has divided its work as Chromium does. A package may have others,
/// such as one that looks for updates.
fn is_drawing_program(desktop: &Process, folder: &Path, snapshot: &Snapshot) -> bool {
    let name = desktop.program().and_then(Path::file_name);
    let divided =
        |process: &Process| is_chromium_helper(process) && snapshot.comes_of(process, desktop);
    name == Some("electron".as_ref())
        || name == folder.file_name()
        || snapshot.processes.iter().any(divided)
}

/// Whether this Desktop is old enough to have a window and has no renderer, without which there is none.
fn has_no_window(desktop: &Process, snapshot: &Snapshot, now: SystemTime) -> bool {
    let renders = |process: &&Process| {
        has_argument(process, "--type=renderer") && snapshot.comes_of(process, desktop)
    };
    is_older(desktop, WINDOW_TIMEOUT, now)
        && !snapshot.processes.iter().any(|process| renders(&process))
}

fn deaf_daemon(home: &Path, snapshot: &Snapshot, now: SystemTime) -> Option<Stall> {
    let file = home.join("app-server-daemon/daemon.pid");
    let super::number::Meant::Runs(daemon) = super::number::meant(&file) else {
        return None;
    };
    let is_daemon = snapshot.process(daemon.id.pid()).is_some_and(is_app_server);
    if !is_daemon || !is_older(&daemon, DAEMON_START_TIMEOUT, now) {
        return None;
    }
    let socket = home.join("app-server-control/app-server-control.sock");
    let why = match answer_of(&socket) {
        Answer::Taken => return None,
        Answer::Refused | Answer::Gone => format!("nobody answers on {}", socket.display()),
        Answer::Unclear(why) => why,
    };
    Some(Stall::DeafDaemon {
        pid: daemon.id.pid(),
        why,
    })
}

fn is_older(process: &Process, age: Duration, now: SystemTime) -> bool {
    let lived = process
        .started_at
        .and_then(|started| now.duration_since(started).ok());
    lived.is_some_and(|lived| lived > age)
}

#[cfg(all(test, target_os = "linux"))]
#[allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::{Child, Command};

    use polywire_processes::ProcessId;

    use super::*;

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

    const SOON: Duration = Duration::from_secs(1);
    const LATE: Duration = Duration::from_secs(30);

    #[test]
    fn a_desktop_without_a_renderer_has_no_window() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let places = places(&folder);
        let is_there = |snapshot: &Snapshot| main_process(snapshot, &folder).is_some();
        let desktop = start(&folder, "electron", "while sleep 0.1; do :; done", &["app"]);
        let pid = desktop.0.id();
        assert_eq!(seen(&places, SOON, is_there), []);
        assert_eq!(seen(&places, LATE, is_there), [Stall::NoWindow { pid }]);
        drop(desktop);

        let drawing = "sh -c 'while kill -0 $PPID; do sleep 0.1; done 2>/dev/null' draw --type=renderer & while sleep 0.1; do :; done";
        let desktop = start(&folder, "electron", drawing, &["app"]);
        let draws = |snapshot: &Snapshot| {
            let desktop = snapshot.process(desktop.0.id());
            let renderer = snapshot
                .processes
                .iter()
                .find(|process| has_argument(process, "--type=renderer"));
            desktop
                .zip(renderer)
                .is_some_and(|(desktop, renderer)| snapshot.comes_of(renderer, desktop))
        };
        assert_eq!(seen(&places, LATE, draws), []);
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
        let _answering = UnixListener::bind(socket).unwrap();
        assert_eq!(seen(&places, LATE, is_there), []);
    }
}
