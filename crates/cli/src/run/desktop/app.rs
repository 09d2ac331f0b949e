//! Codex Desktop as a program: where it is, and whether one runs.

use std::path::{Path, PathBuf};

use super::processes::{Desktop, desktops};

/// Where packages put what starts it: OpenAI's own, and the ports that make one of the image for another system, the newer name first (seen in
/// their packages, 2026-11).
const PLACES: [&str; 3] = [
    "/usr/bin/chatgpt",
    "/opt/chatgpt-desktop/start.sh",
    "/opt/codex-desktop/start.sh",
];

/// Where their parts are installed.
const FOLDERS: [&str; 4] = [
    "/usr/lib/chatgpt",
    "/opt/chatgpt",
    "/opt/chatgpt-desktop",
    "/opt/codex-desktop",
];

/// Folders that hold programs of all kinds, so that lying in them says nothing.
const SHARED_FOLDERS: [&str; 2] = ["bin", "sbin"];

fn given_program(path: &Path) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(
        path.is_file(),
        "there is no program at {}\nhint: `--program` takes the path of what starts Codex Desktop",
        path.display()
    );
    Ok(std::path::absolute(path)?)
}

fn installed() -> anyhow::Result<PathBuf> {
    let mut places = PLACES.iter().map(PathBuf::from);
    places.find(|place| place.is_file()).ok_or_else(|| {
        anyhow::anyhow!(
            "Codex Desktop was found at none of {}\nhint: install it, or give its path with `--program PATH`; `polywire run codex` runs the Codex CLI",
            PLACES.join(", ")
        )
    })
}

/// An installed Codex Desktop.
pub(super) struct App {
    program: PathBuf,
    folders: Vec<PathBuf>,
}

impl App {
    /// Finds it: at the path that was given, else in the usual places.
    pub(super) fn find(given: Option<&Path>) -> anyhow::Result<Self> {
        let program = given.map_or_else(installed, given_program)?;
        Ok(Self::at(program))
    }

    /// The one that this program starts.
    pub(super) fn at(program: PathBuf) -> Self {
        let real = program.canonicalize().unwrap_or_else(|_| program.clone());
        let own = real.parent().filter(|folder| {
            let name = folder.file_name().unwrap_or_default();
            !SHARED_FOLDERS.iter().any(|shared| name == *shared)
        });
        let usual = FOLDERS.iter().map(PathBuf::from);
        let folders = own.map(Path::to_owned).into_iter().chain(usual);
        Self {
            folders: folders.collect(),
            program,
        }
    }

    /// What starts it.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// The ones that run, of this user.
    pub(super) fn running(&self) -> Vec<Desktop> {
        desktops(&self.program, &self.folders)
    }

    /// Refuses to go on while one runs: it would go on with the configuration that it has read, and a second start would only show its
    /// window.
    pub(super) fn refuse_running(&self) -> anyhow::Result<()> {
        match self.running().first() {
            None => Ok(()),
            Some(running) => anyhow::bail!(
                "Codex Desktop is running already, as process {}\nhint: close it first, so that it reads its configuration anew",
                running.pid
            ),
        }
    }
}
