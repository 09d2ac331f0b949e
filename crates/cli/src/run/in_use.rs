//! Whether anybody still needs the gateway of a run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use polywire_processes::{Process, ProcessId, own_processes};
use polywire_settings::RUN_VARIABLE;

/// How often to look again while somebody's environment is unclear. Those who really have none stay so.
const LOOKS: usize = 4;

/// A process that becomes another program has no environment for a fraction of this.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Whether a process, or any, carries the mark.
enum Marked {
    There,
    NotThere,
    /// It has no environment at the moment, or does not show it.
    Unclear,
}

/// Who may need the gateway: the client that was launched, and what carries the mark of the run in its environment, which every
/// process inherits from the one that starts it. Of the latter only those of this user count.
pub(crate) struct Users {
    client: Option<ProcessId>,
    mark: String,
    /// Our own program, whether or not its file was replaced since. A polywire that was started in there (a background gateway, say) needs none.
    own: Option<PathBuf>,
}

impl Users {
    /// Those of the run with this mark.
    pub(crate) fn new(mark: &str) -> Self {
        let own = Process::find(std::process::id()).ok().flatten();
        Self {
            client: None,
            mark: mark.to_owned(),
            own: own.and_then(|own| own.program().map(Path::to_owned)),
        }
    }

    /// Notes the client that was launched.
    pub(crate) fn launched(&mut self, id: u32) {
        match ProcessId::of(id) {
            Ok(client) => self.client = client,
            Err(error) => tracing::warn!("who the client is: {error}"),
        }
    }

    /// Whether any of them is there.
    pub(crate) async fn are_there(&self) -> bool {
        // Where the system does not tell, it is better to stay for nobody than to go from under somebody.
        if self
            .client
            .as_ref()
            .is_some_and(|client| client.is_alive().unwrap_or(true))
        {
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
        let mut all = Marked::NotThere;
        let Ok(processes) = own_processes() else {
            return Marked::Unclear;
        };
        for process in processes {
            match self.mark_of(&process) {
                Marked::There => return Marked::There,
                Marked::Unclear => all = Marked::Unclear,
                Marked::NotThere => {}
            }
        }
        all
    }

    fn mark_of(&self, process: &Process) -> Marked {
        let program = process.program();
        match process.variables(&[RUN_VARIABLE]) {
            Some(found) => {
                let is_marked = found.values().any(|mark| *mark == *self.mark);
                if is_marked && (program.is_none() || program != self.own.as_deref()) {
                    Marked::There
                } else {
                    Marked::NotThere
                }
            }
            None if program.is_some() => Marked::Unclear,
            // The kernel's own, and those that have ended, have no program.
            None => Marked::NotThere,
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
        users.launched(child.id());
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
