//! Programs under test, each in a process group of its own.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::wait::{Changes, within};

/// A running program whose output is collected line by line.
///
/// It and what it started end with it: dropping this kills the whole process group, and nothing else.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    group: Group,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    readers: JoinSet<()>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote, by lines.
    pub stdout: Vec<String>,
    /// What it wrote to the error stream, by lines.
    pub stderr: Vec<String>,
}

impl Ended {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

#[derive(Debug)]
struct Lines {
    lines: Mutex<Vec<String>>,
    changes: Changes,
}

impl Running {
    /// Starts a program with nothing on its standard input.
    pub fn start(mut command: Command) -> Self {
        let name = command.as_std().get_program().display().to_string();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{name}`: {error}"));
        let mut readers = JoinSet::new();
        let stdout = Lines::collect(child.stdout.take(), &mut readers);
        let stderr = Lines::collect(child.stderr.take(), &mut readers);
        Self {
            name,
            group: Group::of(&child),
            child,
            stdout,
            stderr,
            readers,
        }
    }

    /// Waits for a line on its standard output that holds `needle`.
    pub async fn stdout_line(&self, needle: &str) -> String {
        self.stdout.line(needle, &self.name).await
    }

    /// Waits for a line on its error stream that holds `needle`.
    pub async fn stderr_line(&self, needle: &str) -> String {
        self.stderr.line(needle, &self.name).await
    }

    /// What it has written to both streams so far, for messages.
    pub fn output(&self) -> String {
        [self.stdout.all(), self.stderr.all()].concat().join("\n")
    }

    /// Whether it has ended already.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Sends a signal to the whole process group, as a terminal does for Ctrl-C, and says when.
    pub fn signal(&self, signal: Signal) -> Instant {
        let now = Instant::now();
        self.group.signal(signal);
        now
    }

    /// Ctrl-C.
    pub fn interrupt(&self) -> Instant {
        self.signal(Signal::SIGINT)
    }

    /// Waits until the program has ended and closed its output.
    pub async fn ended(mut self) -> Ended {
        let what = format!("`{}` to end", self.name);
        let status = within(&what, self.child.wait())
            .await
            .unwrap_or_else(|error| panic!("cannot wait for `{}`: {error}", self.name));
        let what = format!("`{}` to close its output", self.name);
        within(&what, async {
            while self.readers.join_next().await.is_some() {}
        })
        .await;
        Ended {
            status,
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only while the leader is not reaped is its number surely ours.
        if !self.has_ended() {
            self.group.signal(Signal::SIGKILL);
        }
    }
}

/// The process group that a child leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(Pid);

impl Group {
    /// The group of a child that was just started as leader of its own.
    pub(crate) fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(Pid::from_raw(id.expect("the id of a running child")))
    }

    pub(crate) fn signal(self, signal: Signal) {
        // It may have ended a moment ago; then there is nothing to signal.
        killpg(self.0, signal).ok();
    }
}

impl Lines {
    fn collect(
        stream: Option<impl AsyncRead + Unpin + Send + 'static>,
        readers: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let lines = Arc::new(Self {
            lines: Mutex::default(),
            changes: Changes::new(),
        });
        if let Some(stream) = stream {
            readers.spawn(Arc::clone(&lines).read(stream));
        }
        lines
    }

    async fn read(self: Arc<Self>, stream: impl AsyncRead + Unpin) {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line).await, Ok(1..)) {
            let text = String::from_utf8_lossy(&line);
            self.lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text.trim_end_matches(['\r', '\n']).to_owned());
            line.clear();
            self.changes.notify();
        }
    }

    fn all(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn line(&self, needle: &str, name: &str) -> String {
        let what = format!("`{needle}` from `{name}`");
        self.changes
            .until(&what, || {
                self.all().into_iter().find(|line| line.contains(needle))
            })
            .await
    }
}
