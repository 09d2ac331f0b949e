//! Whether Desktop, or Codex's daemon, runs and does nothing.
//!
//! Without a window system nobody can see a window. What can be seen: Chromium draws in processes of their own, so that a Desktop without any of them
//! has not come up; a process may be stopped; a daemon may not answer. A window that hangs is not noticed. A Desktop whose windows are closed, which lives
//! on in the tray, has no renderer, but it keeps the process for the graphics.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use polywire_processes::Process;
use serde::Serialize;

use super::codex::is_app_server;
use super::desktop::{is_chromium_helper, main_processes};
use super::places::{Places, Snapshot, has_argument};
use super::socket::{Answer, answer_of, silence_of};

/// How long a Desktop may take to its first window. The seed warned after the same time.
const WINDOW_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the daemon may take until its socket takes connections. It takes a second.
const DAEMON_START_TIMEOUT: Duration = Duration::from_secs(20);

/// The processes in which Chromium draws.
const DRAWING: [&str; 2] = ["--type=renderer", "--type=gpu-process"];

/// A program that runs and does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stall {
    /// A Desktop that was stopped.
    StoppedDesktop {
        /// Its main process.
        pid: u32,
    },

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

impl Stall {
    /// The process.
    pub(crate) const fn pid(&self) -> u32 {
        match self {
            Stall::StoppedDesktop { pid }
            | Stall::NoWindow { pid }
            | Stall::DeafDaemon { pid, .. } => *pid,
        }
    }

    /// What was seen, in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Stall::StoppedDesktop { .. } => {
                "Desktop was stopped, by a signal or a debugger".to_owned()
            }
            Stall::NoWindow { .. } => format!(
                "Desktop runs for more than {} s and can have no window: none of its processes draws one",
                WINDOW_TIMEOUT.as_secs()
            ),
            Stall::DeafDaemon { why, .. } => {
                format!("Codex's daemon runs and does not answer: {why}")
            }
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> String {
        match self {
            Stall::StoppedDesktop { pid } => format!("`kill -CONT {pid}` lets it go on"),
            Stall::NoWindow { pid } => format!(
                "look at ~/.cache/codex-desktop/launcher.log; `kill {pid}` ends it, then `polywire cleanup`, and start it again"
            ),
            Stall::DeafDaemon { .. } => "`codex app-server daemon restart`".to_owned(),
        }
    }
}

/// What runs and does nothing, of Desktop and of Codex's daemon.
pub(crate) fn stalls(places: &Places, snapshot: &Snapshot, now: SystemTime) -> Vec<Stall> {
    let mut found = desktop_stalls(&places.desktop_folders, snapshot, now);
    found.extend(deaf_daemon(&places.codex_home, snapshot, now));
    found
}

/// A Desktop in one of these folders that runs and does nothing now. What cannot be seen does not count.
pub(crate) fn hanging_desktop(folders: &[PathBuf]) -> Option<Stall> {
    let snapshot = Snapshot::take().ok()?;
    desktop_stalls(folders, &snapshot, SystemTime::now())
        .into_iter()
        .next()
}

fn desktop_stalls(folders: &[PathBuf], snapshot: &Snapshot, now: SystemTime) -> Vec<Stall> {
    let desktops = folders.iter().flat_map(|folder| {
        // A package may have other programs beside it, such as one that looks for updates.
        main_processes(snapshot, folder)
            .filter(|program| is_drawing_program(program, folder, snapshot))
    });
    desktops
        .filter_map(|desktop| desktop_stall(desktop, snapshot, now))
        .collect()
}

fn desktop_stall(desktop: &Process, snapshot: &Snapshot, now: SystemTime) -> Option<Stall> {
    let pid = desktop.id.pid();
    if desktop.id.is_stopped().is_ok_and(|stopped| stopped) {
        return Some(Stall::StoppedDesktop { pid });
    }
    has_no_window(desktop, snapshot, now).then_some(Stall::NoWindow { pid })
}

/// Whether it is a program with windows: by the name that packages give it, or because it has divided its work as Chromium does.
fn is_drawing_program(desktop: &Process, folder: &Path, snapshot: &Snapshot) -> bool {
    let name = desktop.program().and_then(Path::file_name);
    let divided =
        |process: &Process| is_chromium_helper(process) && snapshot.comes_of(process, desktop);
    name == Some("electron".as_ref())
        || name == folder.file_name()
        || snapshot.processes.iter().any(divided)
}

/// Whether this Desktop is old enough to have a window and has nothing that draws, without which there is none.
fn has_no_window(desktop: &Process, snapshot: &Snapshot, now: SystemTime) -> bool {
    let draws = |process: &Process| {
        DRAWING.iter().any(|kind| has_argument(process, kind))
            && snapshot.comes_of(process, desktop)
    };
    is_older(desktop, WINDOW_TIMEOUT, now) && !snapshot.processes.iter().any(draws)
}

fn deaf_daemon(home: &Path, snapshot: &Snapshot, now: SystemTime) -> Option<Stall> {
    let file = home.join("app-server-daemon/daemon.pid");
    let super::number::Meant::Runs(daemon) = super::number::meant(&file) else {
        return None;
    };
    if !snapshot.process(daemon.id.pid()).is_some_and(is_app_server) {
        return None;
    }
    let deaf = |why| {
        Some(Stall::DeafDaemon {
            pid: daemon.id.pid(),
            why,
        })
    };
    if daemon.id.is_stopped().is_ok_and(|stopped| stopped) {
        return deaf("it was stopped, by a signal or a debugger".to_owned());
    }
    if !is_older(&daemon, DAEMON_START_TIMEOUT, now) {
        return None;
    }
    let socket = home.join("app-server-control/app-server-control.sock");
    let why = match answer_of(&socket) {
        Answer::Taken => silence_of(&socket)?,
        Answer::Refused | Answer::Gone => format!("nobody answers on {}", socket.display()),
        Answer::Unclear(why) => why,
    };
    deaf(why)
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
mod tests;
