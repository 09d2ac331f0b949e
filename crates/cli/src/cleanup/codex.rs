//! What the Codex CLI leaves behind: app-servers that nobody talks to, and the files of its own daemon (codex-client.md 5.5 and 9).

use std::fs::File;
use std::path::{Path, PathBuf};

use polywire_processes::{Input, Process, input_of};

use super::desktop::{Answer, answer_of};
use super::leftover::{Case, Kind, Leftover};
use super::number::{self, Meant};
use super::places::{Places, Snapshot, has_argument, named};

/// Programs that are an app-server when their first argument says so. Desktop ships one of the other name.
const APP_SERVERS: [&str; 2] = ["codex", "zcode-cli"];

/// A file of the daemon's, and the file whose process it belongs to.
struct DaemonFile {
    path: &'static str,
    owner: &'static str,
    is_socket: bool,
}

/// The daemon's files below `CODEX_HOME`, those of older versions included. Its log stays: it may tell why the daemon ended.
const DAEMON_FILES: [DaemonFile; 6] = [
    DaemonFile {
        path: "app-server-daemon/daemon.pid",
        owner: "app-server-daemon/daemon.pid",
        is_socket: false,
    },
    DaemonFile {
        path: "app-server-daemon/daemon-updater.pid",
        owner: "app-server-daemon/daemon-updater.pid",
        is_socket: false,
    },
    DaemonFile {
        path: "app-server-control/app-server-control.sock",
        owner: "app-server-daemon/daemon.pid",
        is_socket: true,
    },
    DaemonFile {
        path: "app-server-daemon/daemon-updater.sock",
        owner: "app-server-daemon/daemon-updater.pid",
        is_socket: true,
    },
    DaemonFile {
        path: "app-server-daemon/app-server.pid",
        owner: "app-server-daemon/app-server.pid",
        is_socket: false,
    },
    DaemonFile {
        path: "app-server-daemon/app-server-updater.pid",
        owner: "app-server-daemon/app-server-updater.pid",
        is_socket: false,
    },
];

/// The files that Codex locks while it starts, stops or renews its daemon. They are never removed: whoever waits for a lock on a removed
/// file would be let in beside the next one.
const LOCKS: [&str; 4] = [
    "app-server-control/app-server-startup.lock",
    "app-server-daemon/daemon.lock",
    "app-server-daemon/daemon.pid.lock",
    "app-server-daemon/daemon-updater.pid.lock",
];

pub(crate) fn find(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let mut found = app_servers(snapshot);
    found.extend(daemon_processes(snapshot));
    found.extend(daemon_files(places));
    found
}

/// Options of Codex that may stand before its command and take a value.
const OPTIONS_WITH_VALUE: [&str; 4] = ["-c", "--config", "--enable", "--disable"];

/// The command of a Codex, and what follows it.
fn words(process: &Process) -> impl Iterator<Item = &str> {
    let mut words = process.command_line.iter().skip(1).map(String::as_str);
    let mut command = None;
    while let Some(word) = words.next() {
        if OPTIONS_WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            command = Some(word);
            break;
        }
    }
    command.into_iter().chain(words)
}

/// Whether a process is an app-server or one of the daemon's.
pub(crate) fn is_app_server(process: &Process) -> bool {
    APP_SERVERS.iter().any(|name| named(process, name))
        && words(process).next() == Some("app-server")
}

/// Whether an app-server takes its requests from its standard input. Those that listen elsewhere, and other commands of that name, do not.
fn is_driven_by_input(process: &Process) -> bool {
    let listens = |word: &str| word == "--listen" || word.starts_with("--listen=");
    let own_command = words(process).nth(1);
    !words(process).any(listens) && own_command.is_none_or(|word| word.starts_with('-'))
}

/// App-servers that are driven over their standard input and whose parent has ended.
fn app_servers(snapshot: &Snapshot) -> Vec<Leftover> {
    let driven = snapshot
        .processes
        .iter()
        .filter(|process| is_app_server(process))
        .filter(|process| is_driven_by_input(process));
    driven
        .filter_map(|process| {
            let orphaned = snapshot.foster_parent(process)?;
            let case = Case::of_process(Kind::AppServer, process).known(orphaned);
            abandoned(case, process, snapshot)
        })
        .collect()
}

/// Stale when nobody but itself and what it started can write to it. `None` when it has ended.
fn abandoned(case: Case, process: &Process, snapshot: &Snapshot) -> Option<Leftover> {
    let input = match input_of(&process.id) {
        Ok(input) => input?,
        Err(error) => return Some(case.kept(format!("{error}"))),
    };
    Some(match input {
        Input::Abandoned => case
            .known("nobody holds the other end of its input, by which it is driven")
            .stale(),
        Input::Nothing => case
            .known("nothing comes from its input, by which it is driven")
            .stale(),
        Input::File(path) => case.kept(format!("it reads {}", path.display())),
        Input::Unknown => case.kept("what drives it cannot be told"),
        Input::Held { holders, all_seen } => {
            let other = holders
                .iter()
                .find(|holder| !snapshot.comes_of(holder, process));
            match other {
                Some(other) => case.kept(format!("process {} can still drive it", other.id.pid())),
                // Somebody holds it, whom we do not see: another user's process, or one outside of this container.
                None if !all_seen || holders.is_empty() => {
                    case.kept("who can still drive it cannot be seen")
                }
                None => case
                    .known("of your processes nobody but itself and what it started holds the other end of its input")
                    .stale(),
            }
        }
    })
}

/// Processes of a daemon whose home is gone, so that nobody can find it any more.
fn daemon_processes(snapshot: &Snapshot) -> Vec<Leftover> {
    let of_daemon = snapshot
        .processes
        .iter()
        .filter(|process| is_of_daemon(process));
    of_daemon
        .filter_map(|process| {
            let home = home_of(process)?;
            // One whose home is there is Codex's to look after; whether it is there must be certain.
            if !home.is_absolute() || !matches!(home.try_exists(), Ok(false)) {
                return None;
            }
            let case = Case::of_process(Kind::DaemonProcess, process).known(format!(
                "its home {} is gone, and with it the socket by which it is found",
                home.display()
            ));
            Some(match user_of(&home, snapshot) {
                Some(user) => case.kept(format!(
                    "a Codex of the same home runs, process {}, and may be connected to it",
                    user.id.pid()
                )),
                None => case.known("no other Codex of that home runs").stale(),
            })
        })
        .collect()
}

fn is_of_daemon(process: &Process) -> bool {
    is_app_server(process)
        && (has_argument(process, "--managed-daemon") || has_argument(process, "pid-update-loop"))
}

/// A Codex that belongs to a home and is not its daemon.
fn user_of<'a>(home: &Path, snapshot: &'a Snapshot) -> Option<&'a Process> {
    snapshot.processes.iter().find(|process| {
        APP_SERVERS.iter().any(|name| named(process, name))
            && !is_of_daemon(process)
            && home_of(process).is_some_and(|own| own == home)
    })
}

fn home_of(process: &Process) -> Option<PathBuf> {
    let variables = process.variables(&["CODEX_HOME", "HOME"])?;
    match variables.get("CODEX_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(PathBuf::from(home)),
        None => Some(Path::new(variables.get("HOME")?).join(".codex")),
    }
}

fn daemon_files(places: &Places) -> Vec<Leftover> {
    let home = &places.codex_home;
    let locked = locked(home);
    DAEMON_FILES
        .iter()
        .filter_map(|file| {
            let path = home.join(file.path);
            let case = Case::of_file(Kind::DaemonFile, &path)?;
            Some(match &locked {
                Some(lock) => case.kept(format!(
                    "Codex is starting or stopping its daemon: it holds {}",
                    lock.display()
                )),
                None => daemon_file(case, file, home),
            })
        })
        .collect()
}

fn daemon_file(case: Case, file: &DaemonFile, home: &Path) -> Leftover {
    let owner = home.join(file.owner);
    let case = if owner.exists() {
        match number::meant(&owner) {
            Meant::Nobody(why) => case.known(why),
            Meant::Runs(process) => {
                return case.kept(format!("its process {} runs", process.id.pid()));
            }
            Meant::Unclear(why) => return case.kept(why),
        }
    } else {
        case.known("there is no pid file of a process that it belongs to")
    };
    if !file.is_socket {
        return case.stale();
    }
    match answer_of(&home.join(file.path)) {
        Answer::Refused => case.known("nobody answers").stale(),
        Answer::Taken => case.kept("somebody answers"),
        Answer::Unclear(why) => case.kept(why),
    }
}

/// The first lock of the daemon's that somebody holds.
fn locked(home: &Path) -> Option<PathBuf> {
    let is_held = |path: &PathBuf| {
        // Opened for reading and locked for a moment beside other readers: nothing is made, and nobody waits.
        File::open(path).is_ok_and(|file| {
            matches!(
                file.try_lock_shared(),
                Err(std::fs::TryLockError::WouldBlock)
            )
        })
    };
    LOCKS.iter().map(|name| home.join(name)).find(is_held)
}
