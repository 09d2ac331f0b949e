//! What a process is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{ProcessError, ProcessId, own_user, system};

/// What a process was when it was looked at. What the system keeps from us, or has not, is `None`.
///
/// The command line may hold secrets of others: match it, do not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Which one it is.
    pub id: ProcessId,
    /// The number of the process that started it, or of the one that took it over when that had ended. 0 for the first of all.
    pub parent: u32,
    /// The user on whose behalf it acts.
    pub owner: u32,
    /// The number of its process group.
    pub group: Option<u32>,
    /// The number of its session.
    pub session: Option<u32>,
    /// The program that it runs. Ends in ` (deleted)` on Linux when the file was replaced or removed since.
    pub executable: Option<PathBuf>,
    /// Its name and arguments, as it was started or as it has rewritten them.
    pub command_line: Vec<String>,
    /// Where it works.
    pub working_directory: Option<PathBuf>,
    /// When it began, to a second or so: to be shown. [`ProcessId`] is what tells two apart.
    pub started_at: Option<SystemTime>,
}

/// The processes of this user that run.
///
/// # Errors
/// The system does not list its processes. A single one that ends meanwhile is left out.
pub fn own_processes() -> Result<Vec<Process>, ProcessError> {
    let mut processes = system::processes()?;
    processes.retain(|process| process.owner == own_user());
    Ok(processes)
}

impl Process {
    /// The process that has this number now; `None` when none has, or one that has ended and that only its parent keeps in the table.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn find(pid: u32) -> Result<Option<Self>, ProcessError> {
        system::process(pid)
    }

    /// The processes that have this number in a container inside of this system, whoever owns them. Their own ids are those by which they are known here.
    ///
    /// # Errors
    /// The system does not list its processes.
    pub fn contained(number: u32) -> Result<Vec<Self>, ProcessError> {
        system::contained(number)
    }

    /// Whether it sees the processes and files that we see. One in a container does not: a path or a number of its is another one here. `false` also when
    /// that is not told, or it has ended.
    pub fn shares_our_view(&self) -> bool {
        system::shares_view(self.id.pid())
    }

    /// Whether it acts on behalf of this user.
    pub fn is_own(&self) -> bool {
        self.owner == own_user()
    }

    /// The program that it runs, with the mark of a file that was replaced since taken off.
    pub fn program(&self) -> Option<&Path> {
        let executable = self.executable.as_deref()?;
        let marked = executable.to_str();
        let plain = marked.and_then(|path| path.strip_suffix(" (deleted)"));
        Some(plain.map_or(executable, Path::new))
    }

    /// The values that these environment variables had when it was started. `None` when it has ended, does not let us look, or has no environment at all, as
    /// one has for a moment that becomes another program.
    pub fn variables(&self, names: &[&str]) -> Option<BTreeMap<String, OsString>> {
        system::variables(&self.id, names)
    }
}
