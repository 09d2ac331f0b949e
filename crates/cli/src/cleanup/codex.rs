//! What the Codex CLI leaves behind: app-servers that nobody talks to, and the files of its own daemon (codex-client.md 5.5 and 9).

use std::fs::File;
use std::path::{Path, PathBuf};

use polywire_processes::{Input, Process, input_of};

use super::leftover::{Case, Kind, Leftover};
use super::number::{self, Meant};
use super::places::{Places, Snapshot, has_argument, named};
use super::socket::{Answer, LEADS_NOWHERE, answer_of};

/// Programs that are an app-server when their first argument says so. Desktop ships one of the other name.
const APP_SERVERS: [&str; 2] = ["codex", "zcode-cli"];

/// What one process of the daemon's leaves below `CODEX_HOME`.
struct DaemonFiles {
    /// The number of the process.
    pid: &'static str,
    /// Where it answers.
    socket: &'static str,
}

/// The daemon's files, those of older versions included. Its log stays: it may tell why the daemon ended.
const DAEMON_FILES: [DaemonFiles; 4] = [
    DaemonFiles {
        pid: "app-server-daemon/daemon.pid",
        socket: CONTROL_SOCKET,
    },
    DaemonFiles {
        pid: "app-server-daemon/daemon-updater.pid",
        socket: UPDATER_SOCKET,
    },
    DaemonFiles {
        pid: "app-server-daemon/app-server.pid",
        socket: CONTROL_SOCKET,
    },
    DaemonFiles {
        pid: "app-server-daemon/app-server-updater.pid",
        socket: UPDATER_SOCKET,
    },
];

/// Where the daemon answers.
const CONTROL_SOCKET: &str = "app-server-control/app-server-control.sock";

const UPDATER_SOCKET: &str = "app-server-daemon/daemon-updater.sock";

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
        .filter(|process| is_driven_by_input(process))
        .filter(|process| process.shares_our_view());
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
        .filter(|process| is_of_daemon(process))
        // Of one in a container neither the home is known nor who uses it.
        .filter(|process| process.shares_our_view());
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
    let judged = |path: &Path, judge: &dyn Fn(Case) -> Leftover| {
        let case = Case::of_file(Kind::DaemonFile, path)?;
        Some(match &locked {
            Some(lock) => case.kept(format!(
                "Codex is starting or stopping its daemon: it holds {}",
                lock.display()
            )),
            None => judge(case),
        })
    };
    let pid_files = DAEMON_FILES.iter().filter_map(|files| {
        let pid = home.join(files.pid);
        judged(&pid, &|case| pid_file(case, &pid, &home.join(files.socket)))
    });
    let sockets = [CONTROL_SOCKET, UPDATER_SOCKET].into_iter();
    let sockets = sockets.filter_map(|name| {
        let path = home.join(name);
        judged(&path, &|case| socket(case, name, home))
    });
    pid_files.chain(sockets).collect()
}

/// A pid file is needed as long as its process runs or anybody answers for it, of whom the number alone does not tell.
fn pid_file(case: Case, path: &Path, socket: &Path) -> Leftover {
    let case = match without_process(path) {
        Ok(why) => case.known(why),
        Err(why) => return case.kept(why),
    };
    match answer_of(socket) {
        Answer::Taken => case.kept("somebody answers on the daemon's socket"),
        Answer::Unclear(why) => case.kept(why),
        Answer::Refused | Answer::Gone => case.stale(),
    }
}

fn socket(mut case: Case, name: &str, home: &Path) -> Leftover {
    let owners = DAEMON_FILES.iter().filter(|files| files.socket == name);
    let owners: Vec<PathBuf> = owners
        .map(|files| home.join(files.pid))
        .filter(|pid| pid.exists())
        .collect();
    if owners.is_empty() {
        case = case.known("there is no pid file of a process that it belongs to");
    }
    for owner in owners {
        case = match without_process(&owner) {
            Ok(why) => case.known(why),
            Err(why) => return case.kept(why),
        };
    }
    match answer_of(&home.join(name)) {
        Answer::Refused => case.known("nobody answers").stale(),
        Answer::Gone => case.kept(LEADS_NOWHERE),
        Answer::Taken => case.kept("somebody answers"),
        Answer::Unclear(why) => case.kept(why),
    }
}

/// Why the process of a pid file does not run, or why that cannot be said.
fn without_process(pid_file: &Path) -> Result<String, String> {
    match number::meant(pid_file) {
        Meant::Nobody(why) => Ok(why),
        Meant::Runs(process) => Err(format!("its process {} runs", process.id.pid())),
        Meant::Unclear(why) => Err(why),
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
