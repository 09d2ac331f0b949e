//! Whether Desktop, or Codex's daemon, runs and does nothing.
//!
//! Without a window system nobody can see a window. What can be seen: a window needs one of Chromium's renderer processes, so that there is
//! none without; a process may be stopped; a socket may take no connections. A window that hangs with its renderer alive is not noticed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use polywire_processes::Process;

use super::codex::is_app_server;
use super::desktop::{Answer, answer_of, main_process};
use super::places::{Places, Snapshot, has_argument};

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
    let desktops = places
        .desktop_folders
        .iter()
        .filter_map(|folder| main_process(snapshot, folder));
    let mut found: Vec<Stall> = desktops
        .filter(|desktop| has_no_window(desktop, snapshot, now))
        .map(|desktop| Stall::NoWindow {
            pid: desktop.id.pid(),
        })
        .collect();
    found.extend(deaf_daemon(&places.codex_home, snapshot, now));
    found
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
        Answer::Refused => format!("nobody answers on {}", socket.display()),
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
