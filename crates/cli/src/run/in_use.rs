//! Whether anybody still needs the gateway of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::environment::RUN_VARIABLE;

/// A process, so that another one which gets its number later is not taken for it.
struct Process {
    id: Pid,
    /// When it was started, in the kernel's ticks since the machine was; `None` where the system does not tell.
    started: Option<String>,
}

impl Process {
    /// A process that runs now.
    fn new(id: i32) -> Self {
        Self {
            id: Pid::from_raw(id),
            started: Status::read(id).map(|status| status.started),
        }
    }

    fn is_alive(&self) -> bool {
        match Status::read(self.id.as_raw()) {
            Some(status) => {
                !status.is_dead
                    && self
                        .started
                        .as_ref()
                        .is_none_or(|then| *then == status.started)
            }
            // No such folder, or no such process: the system itself tells, though not who it is.
            None if self.started.is_some() => false,
            None => !matches!(kill(self.id, None), Err(Errno::ESRCH)),
        }
    }
}

/// What `/proc/PID/stat` tells (proc(5)).
struct Status {
    started: String,
    /// It has ended, and nobody has asked for its exit code yet.
    is_dead: bool,
}

impl Status {
    fn read(id: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name of the program, in parentheses, may hold anything, even parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?;
        // The 22nd field of the line; the state is the third.
        let started = fields.nth(18)?.to_owned();
        Some(Self {
            started,
            is_dead: matches!(state, "Z" | "X"),
        })
    }
}

/// How often to look again while somebody's environment is unclear. Those who really have none stay so.
const LOOKS: usize = 4;

/// A process that becomes another program has no environment for a fraction of this.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Whether a process, or any, carries the mark.
enum Marked {
    There,
    NotThere,
    /// It has no environment at the moment.
    Unclear,
}

/// Who may need the gateway: the client that was launched, and what carries the mark of the run in its environment, which every
/// process inherits from the one that starts it.
pub(crate) struct Users {
    client: Option<Process>,
    mark: String,
    /// Our own program. A polywire that was started in there (a background gateway, say) needs none.
    own: Option<PathBuf>,
}

impl Users {
    /// Those of the run with this mark.
    pub(crate) fn new(mark: &str) -> Self {
        Self {
            client: None,
            mark: format!("{RUN_VARIABLE}={mark}"),
            own: std::env::current_exe().ok(),
        }
    }

    /// Notes the client that was launched.
    pub(crate) fn launched(&mut self, id: i32) {
        self.client = Some(Process::new(id));
    }

    /// Whether any of them is there. Where there is no `/proc` only the client itself counts.
    pub(crate) async fn are_there(&self) -> bool {
        if self.client.as_ref().is_some_and(Process::is_alive) {
            return true;
        }
        for _ in 0..LOOKS {
            match self.marked() {
                Marked::There => return true,
                Marked::NotThere => return false,
                Marked::Unclear => tokio::time::sleep(LOOK_PAUSE).await,
            }
        }
        false
    }

    fn marked(&self) -> Marked {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut all = Marked::NotThere;
        for folder in entries.map(|entry| entry.path()) {
            match self.mark_of(&folder) {
                Marked::There => return Marked::There,
                Marked::Unclear => all = Marked::Unclear,
                Marked::NotThere => {}
            }
        }
        all
    }

    fn mark_of(&self, folder: &Path) -> Marked {
        // Those of other users cannot be read, and cannot be ours.
        let Ok(environment) = fs::read(folder.join("environ")) else {
            return Marked::NotThere;
        };
        let program = fs::read_link(folder.join("exe")).ok();
        if environment.is_empty() {
            // The kernel's own, and those that have ended, have no program.
            return match program {
                Some(_) => Marked::Unclear,
                None => Marked::NotThere,
            };
        }
        let mut variables = environment.split(|byte| *byte == 0);
        let is_marked = variables.any(|variable| variable == self.mark.as_bytes());
        if is_marked && (program.is_none() || program != self.own) {
            Marked::There
        } else {
            Marked::NotThere
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_process_is_known_by_its_number_and_its_start() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut users = Users::new("none");
        users.launched(i32::try_from(child.id()).unwrap());
        assert!(users.are_there().await);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!users.are_there().await);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_carries_the_mark_counts() {
        let users = Users::new("mark-of-a-test");
        assert!(!users.are_there().await);
        let mut child = Command::new("sleep")
            .arg("60")
            .env(RUN_VARIABLE, "mark-of-a-test")
            .spawn()
            .unwrap();
        assert!(users.are_there().await);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!users.are_there().await);
    }
}
