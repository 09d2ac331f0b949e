//! Where programs leave things behind, and which processes there are.

use std::path::{Path, PathBuf};

use polywire_processes::{Process, ProcessError, own_processes};
use polywire_settings::{CodexPlaces, Environment, Overrides, Paths, ProcessEnvironment};

/// The names under which the Linux packages of Desktop keep their state (codex-desktop-linux and its successor).
const DESKTOP_APPS: [&str; 2] = ["codex-desktop", "chatgpt-desktop"];

/// Where Desktop is installed by its packages.
const DESKTOP_FOLDERS: [&str; 4] = [
    "/opt/codex-desktop",
    "/opt/chatgpt-desktop",
    "/opt/chatgpt",
    "/usr/lib/chatgpt",
];

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Codex's own folder.
    pub(crate) codex_home: PathBuf,
    /// The folder of Electron's profile.
    pub(crate) desktop_profile: Option<PathBuf>,
    /// The folders with the pid files of the Desktop packages.
    pub(crate) desktop_states: Vec<PathBuf>,
    /// The folders with their sockets.
    pub(crate) desktop_runtimes: Vec<PathBuf>,
    /// Where Desktop may be installed.
    pub(crate) desktop_folders: Vec<PathBuf>,
    /// The folders in which engines work.
    pub(crate) engine_scratches: Vec<PathBuf>,
    /// polywire's own folder.
    pub(crate) state_dir: PathBuf,
}

impl Places {
    /// Asks the environment. `desktop` is where Desktop is installed, if elsewhere than usual; `engine_homes` are the engines' own.
    pub(crate) fn find(
        desktop: Option<&Path>,
        engine_homes: impl IntoIterator<Item = PathBuf>,
        overrides: &Overrides,
    ) -> anyhow::Result<Self> {
        let environment = ProcessEnvironment;
        let folder = |variable: &str, below_home: &str| {
            let set = environment.variable(variable).map(PathBuf::from);
            let set = set.filter(|path| path.is_absolute());
            set.or_else(|| Some(environment.home()?.join(below_home)))
        };
        let states: Vec<PathBuf> = folder("XDG_STATE_HOME", ".local/state")
            .map(|base| DESKTOP_APPS.map(|app| base.join(app)).to_vec())
            .unwrap_or_default();
        // Without a runtime folder the packages put their sockets beside the pid files.
        let runtime = environment.variable("XDG_RUNTIME_DIR").map(PathBuf::from);
        let runtimes = match runtime.filter(|path| path.is_absolute()) {
            Some(base) => DESKTOP_APPS.map(|app| base.join(app)).to_vec(),
            None => states.clone(),
        };
        let mut desktop_folders: Vec<PathBuf> = DESKTOP_FOLDERS.map(PathBuf::from).to_vec();
        desktop_folders.extend(desktop.map(Path::to_owned));
        Ok(Self {
            codex_home: CodexPlaces::find(&environment)?.home,
            desktop_profile: folder("XDG_CONFIG_HOME", ".config").map(|base| base.join("Codex")),
            desktop_states: states,
            desktop_runtimes: runtimes,
            desktop_folders,
            engine_scratches: engine_homes
                .into_iter()
                .map(|home| home.join("scratch"))
                .collect(),
            state_dir: Paths::find(overrides, &environment)?.state_dir,
        })
    }
}

/// What marks a folder in which Desktop is installed; any of them.
const INSTALLED: [&str; 4] = ["electron", "resources", "content/webview", "start.sh"];

/// A folder in which Desktop is installed, as it is given on the command line.
pub(crate) fn installation(text: &str) -> Result<PathBuf, String> {
    let folder = Path::new(text)
        .canonicalize()
        .map_err(|error| error.to_string())?;
    if INSTALLED.iter().any(|name| folder.join(name).exists()) {
        return Ok(folder);
    }
    Err(format!(
        "no Desktop is installed there: it has none of {}\nhint: name the folder of its program, such as {}",
        INSTALLED.join(", "),
        DESKTOP_FOLDERS[0]
    ))
}

/// The processes of this user, as they were at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) processes: Vec<Process>,
}

impl Snapshot {
    pub(crate) fn take() -> Result<Self, ProcessError> {
        Ok(Self {
            processes: own_processes()?,
        })
    }

    pub(crate) fn process(&self, pid: u32) -> Option<&Process> {
        self.processes
            .iter()
            .find(|process| process.id.pid() == pid)
    }

    /// That the parent of a process is one of those who take over what was left by others: the first process of all, or the user's service manager. `None`
    /// while its parent is anybody else.
    ///
    /// Who started it cannot be seen any more; both also start programs themselves, so that this alone proves nothing.
    pub(crate) fn foster_parent(&self, process: &Process) -> Option<String> {
        match process.parent {
            // Its parent is outside of this container, or it is the first process itself.
            0 => None,
            1 => Some(
                "its parent is process 1, which takes over what was left and also starts programs"
                    .to_owned(),
            ),
            parent => {
                let parent = self.process(parent)?;
                let is_manager = named(parent, "systemd") && has_argument(parent, "--user");
                is_manager.then(|| {
                    format!(
                        "its parent is the user's service manager, process {}, which takes over what was left and also starts programs",
                        parent.id.pid()
                    )
                })
            }
        }
    }

    /// Whether `process` is `ancestor` or comes of it.
    pub(crate) fn comes_of(&self, process: &Process, ancestor: &Process) -> bool {
        let mut current = Some(process);
        // A chain of parents is short; a number that was given again could make it a ring.
        for _ in 0..256 {
            match current {
                Some(found) if found.id == ancestor.id => return true,
                Some(found) => current = self.process(found.parent),
                None => return false,
            }
        }
        false
    }
}

/// Whether a process runs a program of this file name.
pub(crate) fn named(process: &Process, name: &str) -> bool {
    process
        .program()
        .and_then(Path::file_name)
        .is_some_and(|found| found == name)
}

/// Whether this stands among a process's arguments.
pub(crate) fn has_argument(process: &Process, argument: &str) -> bool {
    process
        .command_line
        .iter()
        .skip(1)
        .any(|found| found == argument)
}

/// Whether a process runs a program that lies below this folder.
pub(crate) fn lies_below(process: &Process, folder: &Path) -> bool {
    process
        .program()
        .is_some_and(|program| program.starts_with(folder))
}
