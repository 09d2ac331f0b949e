//! The client's process: started, waited for, told what we are told, and its exit code.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal;
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal as listen_for};

/// The signals that would end us while the client runs.
pub(crate) struct Signals {
    interrupt: Heard,
    quit: Heard,
    terminate: Heard,
    hang_up: Heard,
    /// The client has ended, stopped or gone on.
    child: Signal,
}

impl Signals {
    /// Listens for them. To be called before the client runs, so that no request to end is missed.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: Heard::new(SignalKind::interrupt())?,
            quit: Heard::new(SignalKind::quit())?,
            terminate: Heard::new(SignalKind::terminate())?,
            hang_up: Heard::new(SignalKind::hangup())?,
            child: listen_for(SignalKind::child())?,
        })
    }

    /// Waits for a request to end.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            () = self.interrupt.comes() => {}
            () = self.quit.comes() => {}
            () = self.terminate.comes() => {}
            () = self.hang_up.comes() => {}
        }
    }
}

/// A signal that is listened for, unless it was ignored when we were started, as by `nohup` or for what a script starts with `&`. It stays ignored then, and
/// is for the client too: that inherits what is ignored, and nothing that is heard.
pub(crate) struct Heard(Option<Signal>);

impl Heard {
    pub(crate) fn new(kind: SignalKind) -> std::io::Result<Self> {
        let is_ignored = polywire_processes::ignores(kind.as_raw_value()) == Some(true);
        let heard = (!is_ignored).then(|| listen_for(kind));
        Ok(Self(heard.transpose()?))
    }

    /// Waits for it; for ever, when it is ignored.
    pub(crate) async fn comes(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Whether it has come, or comes at once.
    pub(crate) async fn comes_at_once(&mut self) -> bool {
        let comes = tokio::time::timeout(CAUSE_TIMEOUT, self.comes());
        comes.await.is_ok()
    }
}

/// How long after a failure the signal may come that was its cause. The system sends it to all of us at once.
const CAUSE_TIMEOUT: Duration = Duration::from_millis(50);

/// Starts a program.
pub(crate) fn start(mut command: Command, program: &Path) -> anyhow::Result<Child> {
    command
        .spawn()
        .with_context(|| format!("{} could not be started", program.display()))
}

/// Waits for the client. What the keys of the terminal send (an interrupt, a request to quit) reaches the client by itself and is its own to handle; elsewhere
/// it is passed on, as a request to end always is.
pub(crate) async fn wait_for(
    child: &mut Child,
    signals: &mut Signals,
) -> anyhow::Result<ExitStatus> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let Some(id) = id.map(Pid::from_raw) else {
        return Ok(child.wait().await?);
    };
    loop {
        let passed_on = tokio::select! {
            status = child.wait() => return Ok(status?),
            () = signals.interrupt.comes() => {
                if in_foreground() {
                    continue;
                }
                signal::Signal::SIGINT
            }
            () = signals.quit.comes() => {
                if in_foreground() {
                    continue;
                }
                signal::Signal::SIGQUIT
            }
            () = signals.terminate.comes() => signal::Signal::SIGTERM,
            () = signals.hang_up.comes() => signal::Signal::SIGHUP,
            _ = signals.child.recv() => {
                if !(has_stopped(id) && in_foreground()) {
                    continue;
                }
                // It has stopped itself, as programs do that read Ctrl-Z as a key. The shell waits for us: it gets the terminal
                // back only when we stop as well.
                signal::raise(signal::Signal::SIGTSTP)?;
                signal::Signal::SIGCONT
            }
        };
        signal::kill(id, passed_on)?;
    }
}

/// Whether a child has stopped and not gone on.
#[cfg(target_os = "linux")]
fn has_stopped(id: Pid) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    // Only looked at: its end is for those who wait for it.
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    matches!(waitid(Id::Pid(id), flags), Ok(WaitStatus::Stopped(..)))
}

/// Whether a child has stopped cannot be asked here without taking its end from those who wait for it.
#[cfg(not(target_os = "linux"))]
fn has_stopped(_: Pid) -> bool {
    false
}

/// Becomes the program: it takes our place, with our number, our terminal and our parent. Comes back only with the reason why not.
pub(crate) fn become_program(mut command: std::process::Command, program: &Path) -> anyhow::Error {
    let error = command.exec();
    anyhow::Error::new(error).context(format!("{} could not be started", program.display()))
}

/// Whether we and the client are what the terminal's keys go to, wherever standard input comes from.
fn in_foreground() -> bool {
    File::open("/dev/tty")
        .ok()
        .and_then(|terminal| nix::unistd::tcgetpgrp(terminal).ok())
        .is_some_and(|group| group == nix::unistd::getpgrp())
}

/// The client's own exit code; death by a signal is told as shells do.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
