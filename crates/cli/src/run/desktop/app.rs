//! Codex Desktop as a program: where it is, and whether one runs.

use std::path::{Path, PathBuf};

use polywire_settings::{Environment as _, ProcessEnvironment};

use super::processes::{Desktop, desktops};
use crate::cleanup::hanging_desktop;

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

/// What lies in the folder of an application that is made as Desktop is (seen in its packages, 2026-11).
const PARTS: [&str; 4] = [
    "resources/app.asar",
    "resources/app",
    "chrome_crashpad_handler",
    "chrome-sandbox",
];

/// Folders that hold things of all kinds, so that lying in them says nothing, whatever else does.
const SHARED_FOLDERS: [&str; 4] = ["/", "/opt", "/usr", "/tmp"];

/// How folders of programs are called, wherever they are.
const PROGRAM_FOLDERS: [&str; 2] = ["bin", "sbin"];

/// Whether all that lies in a folder is one application.
fn is_application(folder: &Path, home: Option<&Path>) -> bool {
    let is_shared = SHARED_FOLDERS
        .iter()
        .any(|shared| folder == Path::new(shared))
        || PROGRAM_FOLDERS.iter().any(|name| folder.ends_with(name));
    let holds_home = home.is_some_and(|home| home.starts_with(folder));
    !is_shared && !holds_home && PARTS.iter().any(|part| folder.join(part).exists())
}

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
    /// What starts it, and where that leads to.
    programs: [PathBuf; 2],
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
        let home = ProcessEnvironment.home();
        let home = home.and_then(|home| home.canonicalize().ok());
        let own = real
            .parent()
            .filter(|folder| is_application(folder, home.as_deref()));
        let usual = FOLDERS.iter().map(PathBuf::from);
        let folders = own.map(Path::to_owned).into_iter().chain(usual);
        Self {
            folders: folders.collect(),
            programs: [program, real],
        }
    }

    /// What starts it.
    pub(super) fn program(&self) -> &Path {
        &self.programs[0]
    }

    /// The ones that run, of this user.
    pub(super) fn running(&self) -> Vec<Desktop> {
        desktops(&self.programs, &self.folders)
    }

    /// Refuses to go on while one runs: it would go on with the configuration that it has read, and a second start would only show its
    /// window.
    pub(super) fn refuse_running(&self) -> anyhow::Result<()> {
        let desktops = self.running();
        let Some(running) = desktops.first() else {
            return Ok(());
        };
        let pid = running.pid;
        match hanging_desktop(&self.folders) {
            None => anyhow::bail!(
                "Codex Desktop is running already, as process {pid}\nhint: close it first, so that it reads its configuration anew"
            ),
            Some(stall) => anyhow::bail!(
                "Codex Desktop is running already, as process {pid}, and hangs: {}\nhint: {}",
                stall.words(),
                stall.hint()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_an_application_when_it_looks_like_one() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home/me");
        std::fs::create_dir_all(home.join("app/resources")).unwrap();
        assert!(!is_application(&home.join("app"), Some(&home)));
        for place in ["", "home", "home/me", "home/me/app"] {
            std::fs::write(folder.path().join(place).join("chrome-sandbox"), "").unwrap();
        }
        std::fs::write(home.join("app/resources/app.asar"), "").unwrap();
        assert!(is_application(&home.join("app"), Some(&home)));
        // Whatever lies in a home folder, or around it.
        assert!(!is_application(&home, Some(&home)));
        assert!(!is_application(&folder.path().join("home"), Some(&home)));
        assert!(!is_application(Path::new("/opt"), None));
        std::fs::create_dir(home.join("bin")).unwrap();
        std::fs::write(home.join("bin/chrome-sandbox"), "").unwrap();
        assert!(!is_application(&home.join("bin"), Some(&home)));
    }
}
