//! Ending a process, and no other.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::{ProcessError, ProcessId};

/// How long a killed process may take to leave. It has no say in it; one that waits for a disk or a network share can take long.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It had ended before. Nothing was signalled.
    WasGone,
    /// It ended when it was asked to.
    Ended,
    /// It did not end in time and was killed.
    Killed,
}

/// Asks a process to end (SIGTERM), waits that long, then kills it (SIGKILL). What it has started is not touched.
///
/// On Linux the signals go through a handle of the process (pidfd), so that nothing else can be hit; elsewhere, and on kernels without such handles, it is
/// looked at right before each signal. Blocks for up to `patience` and five seconds.
///
/// # Errors
/// It may not be signalled, or does not leave though it was killed.
pub fn end(id: &ProcessId, patience: Duration) -> Result<Ending, ProcessError> {
    let Some(handle) = Handle::open(id)? else {
        return Ok(Ending::WasGone);
    };
    if !handle.signal(Signal::TERM)? {
        return Ok(Ending::WasGone);
    }
    if handle.has_ended_within(patience)? {
        return Ok(Ending::Ended);
    }
    if !handle.signal(Signal::KILL)? {
        return Ok(Ending::Ended);
    }
    if handle.has_ended_within(LEAVE_TIMEOUT)? {
        return Ok(Ending::Killed);
    }
    Err(ProcessError::StillThere { pid: id.pid() })
}

/// Asks a process to end (SIGTERM) and does not wait for it. `false` when it has ended before. See [`end`] for how the signal goes.
///
/// # Errors
/// It may not be signalled.
pub fn ask_to_end(id: &ProcessId) -> Result<bool, ProcessError> {
    match Handle::open(id)? {
        Some(handle) => handle.signal(Signal::TERM),
        None => Ok(false),
    }
}

/// A way to one process.
struct Handle<'a> {
    id: &'a ProcessId,
    pid: Pid,
    /// `None` where the kernel has no such handles.
    #[cfg(target_os = "linux")]
    descriptor: Option<std::os::fd::OwnedFd>,
}

impl<'a> Handle<'a> {
    /// `None` when the process has ended.
    fn open(id: &'a ProcessId) -> Result<Option<Self>, ProcessError> {
        let number = i32::try_from(id.pid()).ok();
        let Some(pid) = number.and_then(Pid::from_raw) else {
            return Ok(None);
        };
        #[cfg(target_os = "linux")]
        let descriptor =
            match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
                Ok(descriptor) => Some(descriptor),
                Err(rustix::io::Errno::SRCH) => return Ok(None),
                // Before Linux 5.3, or in a sandbox that forbids them.
                Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => None,
                Err(source) => return Err(refused(id, source)),
            };
        // After the handle was opened: if it is the process now, the handle is that process's for good.
        if !id.is_alive()? {
            return Ok(None);
        }
        Ok(Some(Self {
            id,
            pid,
            #[cfg(target_os = "linux")]
            descriptor,
        }))
    }

    /// Sends a signal. `false` when the process has ended.
    fn signal(&self, signal: Signal) -> Result<bool, ProcessError> {
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = &self.descriptor {
            return self.sent(rustix::process::pidfd_send_signal(descriptor, signal));
        }
        if !self.id.is_alive()? {
            return Ok(false);
        }
        self.sent(rustix::process::kill_process(self.pid, signal))
    }

    fn sent(&self, result: rustix::io::Result<()>) -> Result<bool, ProcessError> {
        match result {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(source) => Err(refused(self.id, source)),
        }
    }

    fn has_ended_within(&self, limit: Duration) -> Result<bool, ProcessError> {
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = &self.descriptor {
            return self.ends_within(descriptor, limit);
        }
        self.is_gone_within(limit)
    }

    /// Waits for the handle to become readable, which it does at the end of its process.
    #[cfg(target_os = "linux")]
    fn ends_within(
        &self,
        descriptor: &std::os::fd::OwnedFd,
        limit: Duration,
    ) -> Result<bool, ProcessError> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left)
                .map_err(|error| ProcessError::read("the time to wait", error))?;
            let mut waited = [PollFd::new(descriptor, PollFlags::IN)];
            match poll(&mut waited, Some(&left)) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    let what = format!("the end of process {}", self.id.pid());
                    return Err(ProcessError::read(what, error));
                }
            }
        }
    }

    /// Looks again and again, where there is nothing to wait for.
    fn is_gone_within(&self, limit: Duration) -> Result<bool, ProcessError> {
        let deadline = Instant::now() + limit;
        while self.id.is_alive()? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

fn refused(id: &ProcessId, source: rustix::io::Errno) -> ProcessError {
    ProcessError::Signal {
        pid: id.pid(),
        source: source.into(),
    }
}
