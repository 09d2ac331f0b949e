//! What Codex Desktop and its Linux packages leave behind (codex-client.md 9, seed-behaviours.md A2.13).

use std::path::{Path, PathBuf};

use polywire_processes::{Process, listeners};

use super::codex::is_app_server;
use super::leftover::{Case, Kind, Leftover};
use super::number::{self, Meant};
use super::places::{Places, Snapshot, has_argument, lies_below};
use super::socket::{Answer, LEADS_NOWHERE, answer_of};

/// The port of the packages' web server.
const WEB_PORT: u16 = 5175;

/// Chromium's own helper, which has no `--type=` argument either.
const CRASH_HANDLERS: [&str; 2] = ["chrome_crashpad_handler", "chrome-sandbox"];

/// The programs of the runtime that the packages bring.
const RUNTIMES: [&str; 2] = ["node", "node_repl"];

pub(crate) fn find(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let mut found = profile_locks(places);
    found.extend(pid_files(places, snapshot));
    found.extend(sockets(places, snapshot));
    found.extend(web_servers(places, snapshot));
    found.extend(helpers(places, snapshot));
    found
}

/// The three links by which Electron keeps a second start out. The lock says `machine-number`, the socket leads to one in a temporary folder.
fn profile_locks(places: &Places) -> Vec<Leftover> {
    let Some(profile) = &places.desktop_profile else {
        return Vec::new();
    };
    let lock = profile.join("SingletonLock");
    let Some(holder) = std::fs::read_link(&lock).ok() else {
        return Vec::new();
    };
    let holder = holder.to_string_lossy().into_owned();
    let socket = profile.join("SingletonSocket");
    // The lock last: without it the others mean nothing, and would be found by nobody.
    let links = [
        profile.join("SingletonCookie"),
        socket.clone(),
        lock.clone(),
    ];
    let verdict = lock_verdict(&lock, &holder, &socket);
    let mut found = Vec::new();
    for link in links {
        let Some(mut case) = Case::of_file(Kind::DesktopLock, &link) else {
            continue;
        };
        match &verdict {
            Ok(proof) => {
                for fact in proof {
                    case = case.known(fact.clone());
                }
                found.push(case.stale());
            }
            Err(why) => found.push(case.kept(why.clone())),
        }
    }
    found
}

/// Why a lock is stale, or why it is kept.
fn lock_verdict(lock: &Path, holder: &str, socket: &Path) -> Result<Vec<String>, String> {
    let Some((machine, pid)) = holder
        .rsplit_once('-')
        .and_then(|(machine, pid)| Some((machine, pid.parse::<u32>().ok()?)))
    else {
        return Err(format!("what it says is not understood: `{holder}`"));
    };
    let own = nix::unistd::gethostname().map_err(|error| error.to_string())?;
    if machine != own.to_string_lossy() {
        return Err(format!(
            "it was made on another machine, or this one had another name: `{machine}`"
        ));
    }
    let written = std::fs::symlink_metadata(lock).and_then(|about| about.modified());
    let gone = match number::by_time(pid, written.ok()) {
        Meant::Nobody(why) => why,
        Meant::Runs(process) => return Err(format!("process {} runs", process.id.pid())),
        Meant::Unclear(why) => return Err(why),
    };
    match answer_of(socket) {
        // Its folder for temporary files is emptied when the machine starts.
        Answer::Refused | Answer::Gone => Ok(vec![gone, "nobody answers on its socket".to_owned()]),
        Answer::Taken => Err("somebody answers on its socket".to_owned()),
        Answer::Unclear(why) => Err(why),
    }
}

fn pid_files(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let files = places.desktop_states.iter().flat_map(|folder| {
        ["app.pid", "webview.pid"]
            .into_iter()
            .map(|name| folder.join(name))
    });
    files
        .filter_map(|path| {
            let case = Case::of_file(Kind::DesktopPidFile, &path)?;
            Some(match number::meant(&path) {
                // When the clock is set while Desktop runs, its process seems to be younger than the file.
                Meant::Nobody(why) => match of_desktop(&path, places, snapshot) {
                    Some(process) => case.kept(format!(
                        "process {} has this number and is one of Desktop's",
                        process.id.pid()
                    )),
                    None => case.known(why).stale(),
                },
                Meant::Runs(process) => case.kept(format!("process {} runs", process.id.pid())),
                Meant::Unclear(why) => case.kept(why),
            })
        })
        .collect()
}

/// The process that has the number in a file now, if it is a program of an installation, or works in its web assets.
fn of_desktop<'a>(pid_file: &Path, places: &Places, snapshot: &'a Snapshot) -> Option<&'a Process> {
    let process = snapshot.process(number::written_in(pid_file)?)?;
    let works_below = |folder: &Path| {
        let place = process.working_directory.as_deref();
        place.is_some_and(|place| place.starts_with(folder))
    };
    let mut folders = places.desktop_folders.iter();
    folders
        .any(|folder| lies_below(process, folder) || works_below(folder))
        .then_some(process)
}

/// A socket is removed only when no Desktop runs, because a starting one has made it and does not answer yet.
fn sockets(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let runs = places
        .desktop_folders
        .iter()
        .find_map(|folder| main_process(snapshot, folder));
    let paths = places
        .desktop_runtimes
        .iter()
        .map(|folder| folder.join("launch-action.sock"));
    paths
        .filter_map(|path| {
            let case = Case::of_file(Kind::DesktopSocket, &path)?;
            Some(match (answer_of(&path), runs) {
                (Answer::Taken, _) => case.kept("somebody answers"),
                (Answer::Unclear(why), _) => case.kept(why),
                (Answer::Gone, _) => case.kept(LEADS_NOWHERE),
                (Answer::Refused, Some(desktop)) => {
                    case.kept(format!("Desktop runs (process {})", desktop.id.pid()))
                }
                (Answer::Refused, None) => case
                    .known("nobody answers")
                    .known("no Desktop runs")
                    .stale(),
            })
        })
        .collect()
}

/// The main process of a Desktop that is installed there: one that is none of Chromium's helpers.
pub(crate) fn main_process<'a>(snapshot: &'a Snapshot, folder: &Path) -> Option<&'a Process> {
    main_processes(snapshot, folder).next()
}

/// All that may be the main process of a Desktop that is installed there.
pub(crate) fn main_processes<'a>(
    snapshot: &'a Snapshot,
    folder: &Path,
) -> impl Iterator<Item = &'a Process> {
    let all = snapshot.processes.iter();
    all.filter(move |process| is_main(process, folder))
}

fn is_main(process: &Process, folder: &Path) -> bool {
    let directly = process
        .program()
        .and_then(Path::parent)
        .is_some_and(|parent| parent == folder);
    let helper = is_chromium_helper(process);
    let handler = CRASH_HANDLERS
        .iter()
        .any(|name| super::places::named(process, name));
    directly && !helper && !handler && !is_app_server(process)
}

/// The installation whose web assets are in this folder.
fn installation_of(working_directory: &Path) -> Option<PathBuf> {
    let content = working_directory
        .ends_with("content/webview")
        .then(|| working_directory.parent()?.parent())??;
    Some(content.to_owned())
}

fn web_servers(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let Ok(listeners) = listeners(WEB_PORT) else {
        return Vec::new();
    };
    let mut servers: Vec<Process> = listeners
        .into_iter()
        .flat_map(|listener| listener.processes)
        .filter(Process::is_own)
        .collect();
    servers.dedup();
    servers
        .iter()
        .filter_map(|server| web_server(server, places, snapshot))
        .collect()
}

fn web_server(server: &Process, places: &Places, snapshot: &Snapshot) -> Option<Leftover> {
    // Whatever else listens there is somebody else's, a folder of that name in somebody's own work too.
    let installation = installation_of(server.working_directory.as_deref()?)?;
    if !places.desktop_folders.contains(&installation) {
        return None;
    }
    let is_theirs = server
        .command_line
        .iter()
        .any(|argument| argument == "http.server" || argument.ends_with("webview-server.py"))
        && has_argument(server, &WEB_PORT.to_string());
    if !is_theirs {
        return None;
    }
    let case = Case::of_process(Kind::DesktopWebServer, server)
        .known(format!("it listens on port {WEB_PORT}"))
        .known(format!(
            "it serves the web assets of {}",
            installation.display()
        ));
    if let Some(desktop) = main_process(snapshot, &installation) {
        return Some(case.kept(format!("Desktop runs (process {})", desktop.id.pid())));
    }
    let case = case.known("no Desktop of that folder runs");
    Some(match snapshot.foster_parent(server) {
        Some(fact) => case.known(fact).stale(),
        None => case.kept(format!("its parent, process {}, runs", server.parent)),
    })
}

/// What a Desktop starts for itself: Chromium's processes, its crash handler, and the runtime that the package brings. Not services of the package, such as
/// one that looks for updates: they run without a Desktop.
fn is_helper(process: &Process, folder: &Path) -> bool {
    let is_named = |names: &[&str]| names.iter().any(|name| super::places::named(process, name));
    let of_chromium = is_chromium_helper(process) || is_named(&CRASH_HANDLERS);
    let of_runtime = lies_below(process, &folder.join("resources")) && is_named(&RUNTIMES);
    lies_below(process, folder) && (of_chromium || of_runtime)
}

/// Whether it is one of the processes into which Chromium divides its work.
pub(crate) fn is_chromium_helper(process: &Process) -> bool {
    let mut arguments = process.command_line.iter();
    arguments.any(|argument| argument.starts_with("--type="))
}

/// Processes of an installation whose main process has ended.
fn helpers(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let mut found = Vec::new();
    for folder in &places.desktop_folders {
        if main_process(snapshot, folder).is_some() {
            continue;
        }
        let orphans = snapshot
            .processes
            .iter()
            .filter(|process| is_helper(process, folder));
        for process in orphans {
            let case = Case::of_process(Kind::DesktopHelper, process)
                .known(format!("its program lies in {}", folder.display()))
                .known("no Desktop of that folder runs");
            found.push(match snapshot.foster_parent(process) {
                Some(fact) => case.known(fact).stale(),
                None => case.kept(format!("its parent, process {}, runs", process.parent)),
            });
        }
    }
    found
}
