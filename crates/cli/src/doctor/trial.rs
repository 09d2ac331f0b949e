//! Trying a program: a home of its own, and an end with everything that it has started.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use polywire_settings::{Overrides, Paths, ProcessEnvironment, Settings};
use tempfile::TempDir;
use tokio::process::Command;

use crate::cleanup::OF_DOCTOR;

/// A home for one run of Codex. Not in the system's folder for temporary files, where Codex does not make its helper programs. Removed when
/// dropped, or by `polywire cleanup` when polywire was killed: it is locked as long as it is in use.
pub(crate) struct TemporaryHome {
    folder: TempDir,
    /// `None` where the file system has no locks.
    _lock: Option<File>,
}

impl TemporaryHome {
    /// Makes one in polywire's own folder.
    pub(crate) fn new(overrides: &Overrides) -> anyhow::Result<Self> {
        let state = Paths::find(overrides, &ProcessEnvironment)?.state_dir;
        std::fs::create_dir_all(&state)
            .with_context(|| format!("the folder {} could not be made", state.display()))?;
        let folder = tempfile::Builder::new()
            .prefix(OF_DOCTOR)
            .tempdir_in(&state)
            .with_context(|| format!("no folder could be made in {}", state.display()))?;
        let lock = File::open(folder.path())?;
        let locked = lock.lock_shared();
        for name in ["home", "codex", "work", "state"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        Ok(Self {
            folder,
            _lock: locked.is_ok().then_some(lock),
        })
    }

    /// `home`, `codex`, `work` or `state` in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of somebody who has changed none and has no keys.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let place = |name: &str| self.at(name).display().to_string();
        let environment = std::collections::BTreeMap::from([
            ("HOME".to_owned(), place("home")),
            ("XDG_STATE_HOME".to_owned(), place("state")),
        ]);
        Ok(polywire_settings::load(
            &Overrides::default(),
            &environment,
        )?)
    }
}

/// Runs a program to its end, with nothing on its standard input. Dropping the future kills it and all that it has started: Codex is started by
/// a script, which would leave Codex behind.
pub(crate) async fn output(mut command: Command) -> std::io::Result<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = Group(id.map(Pid::from_raw));
    let output = child.wait_with_output().await;
    // Its number may be given to somebody else now.
    group.0 = None;
    output
}

/// The process group that a program leads. Dropping this kills who is left in it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take()
            && let Err(error) = killpg(group, Signal::SIGKILL)
        {
            tracing::debug!("nobody is left in process group {group}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use polywire_processes::ProcessId;

    use super::*;

    #[tokio::test]
    async fn what_a_program_has_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 60 & echo $! > pid.new; mv pid.new pid; wait"])
            .current_dir(folder.path());
        let mut running = Box::pin(output(command));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !file.exists() {
            assert!(Instant::now() < deadline, "it did not start");
            let soon = tokio::time::timeout(Duration::from_millis(10), &mut running);
            assert!(soon.await.is_err(), "it ended by itself");
        }
        let pid = std::fs::read_to_string(&file).unwrap();
        let sleeper = ProcessId::of(pid.trim().parse().unwrap()).unwrap().unwrap();
        drop(running);
        while sleeper.is_alive().unwrap() {
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
