//! Codex processes: each with a group of its own, so that all of what it started ends with it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use polywire_conversation::Fault;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::task::TaskTracker;

use crate::fault::unusable;
use crate::limits::{CLOSE_TIMEOUT, ERROR_OUTPUT_BYTES_MAX};
use crate::settings::EngineSettings;

/// A running Codex. Dropping it kills it, and everything that it has started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Option<i32>,
    errors: ErrorOutput,
}

/// The ends of a process's pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: ChildStdout,
}

/// The beginning of what a process has written about its errors.
#[derive(Clone, Debug, Default)]
struct ErrorOutput(Arc<Mutex<Vec<u8>>>);

/// A Codex of the engine, about to be started in its own home.
pub(crate) fn command(settings: &EngineSettings) -> Command {
    let mut command = Command::new(&settings.codex);
    command
        .env_clear()
        .envs(
            settings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .env("CODEX_HOME", &settings.engine_home);
    if !settings.agent {
        // Where there is no home of the user, nothing of theirs can be found: skills, dotfiles, other tools' settings.
        command.env("HOME", settings.engine_home.join("home"));
    }
    command
}

/// Starts a process with pipes.
///
/// # Errors
/// A [`Fault`] that says how to get Codex when it is not there.
pub(crate) fn start(mut command: Command, tasks: &TaskTracker) -> Result<(Process, Pipes), Fault> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let program = command.as_std().get_program().to_owned();
    let mut child = command
        .spawn()
        .map_err(|error| not_started(&program, &error))?;
    let pipes = child
        .stdin
        .take()
        .zip(child.stdout.take())
        .map(|(stdin, stdout)| Pipes { stdin, stdout });
    let Some(pipes) = pipes else {
        return Err(unusable("the engine's process has no pipes"));
    };
    let errors = ErrorOutput::default();
    if let Some(stderr) = child.stderr.take() {
        tasks.spawn(errors.clone().read(stderr));
    }
    let process = Process {
        group: child.id().and_then(|id| i32::try_from(id).ok()),
        child,
        errors,
    };
    Ok((process, pipes))
}

fn not_started(program: &OsStr, error: &std::io::Error) -> Fault {
    let program = program.to_string_lossy();
    if error.kind() == std::io::ErrorKind::NotFound {
        return unusable(format!(
            "the executable `{program}` is not there. hint: install Codex (`npm install -g @openai/codex`), or set `codex` of the provider to its path"
        ));
    }
    unusable(format!(
        "the executable `{program}` cannot be started: {error}"
    ))
}

impl Process {
    /// Waits for the end of the process. Its input should be closed before, or it may never come.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Gives the process time to end by itself, now that its input is closed, then kills it and all that it has started.
    pub(crate) async fn close(mut self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.child.wait())
            .await
            .is_err()
        {
            tracing::debug!("an engine process did not end by itself and is killed");
        }
        self.kill().await;
    }

    /// Kills the process and all that it has started.
    pub(crate) async fn kill(mut self) {
        self.kill_group();
        // The group is gone; what is left is to take the exit status, so that nothing stays in the process table.
        if let Err(error) = self.child.wait().await {
            tracing::warn!("an engine process could not be waited for: {error}");
        }
    }

    /// What the process has written about its errors, in one line and not too long.
    pub(crate) fn errors(&self) -> String {
        self.errors.brief()
    }

    fn kill_group(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self.group.take() {
            use nix::errno::Errno;
            use nix::sys::signal::{Signal, killpg};
            match killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL) {
                // Nobody is left in the group.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => {
                    tracing::warn!("an engine's process group could not be killed: {error}");
                }
            }
        }
        #[cfg(not(unix))]
        if let Err(error) = self.child.start_kill() {
            tracing::warn!("an engine process could not be killed: {error}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

impl ErrorOutput {
    async fn read(self, mut stderr: ChildStderr) {
        let mut piece = [0; 4096];
        // Read to the end, whatever is kept of it: a full pipe would stop the process.
        while let Ok(count @ 1..) = stderr.read(&mut piece).await {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = ERROR_OUTPUT_BYTES_MAX.saturating_sub(kept.len());
            kept.extend_from_slice(&piece[..count.min(room)]);
        }
    }

    fn brief(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        polywire_wire::clean(&String::from_utf8_lossy(&kept), 600)
    }
}

/// Where an executable is: a path as it is, a name in one of the folders of the search path.
pub(crate) fn find_executable(settings: &EngineSettings) -> Option<PathBuf> {
    let program = settings.codex.as_path();
    if program.components().count() > 1 {
        return is_executable(program).then(|| program.to_owned());
    }
    let variables = &settings.environment;
    let (_, folders) = variables.iter().find(|(name, _)| name == "PATH")?;
    std::env::split_paths(folders)
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path)
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    {
        path.is_file()
    }
}
