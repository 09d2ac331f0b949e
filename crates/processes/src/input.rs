//! What a process reads, and whether anybody can still write it.
//!
//! A program that is driven over its standard input ends when that input ends. One that lives on although nobody holds the other end hangs.

use crate::Process;
#[cfg(not(target_os = "linux"))]
use crate::{ProcessError, ProcessId};

/// What the standard input of a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// There is none, or nothing ever comes from it (`/dev/null`).
    Nothing,
    /// A file or a terminal, by its path.
    File(std::path::PathBuf),
    /// A pipe or a socket whose other end nobody holds: nothing comes any more.
    Abandoned,
    /// A pipe or a socket whose other end is held.
    Held {
        /// Who holds it, as far as can be seen; the process itself may be among them.
        holders: Vec<Process>,
        /// Whether all processes of this user could be looked into, and none is out of sight outside of a container. Otherwise there may be more
        /// holders. Those of other users are never seen.
        all_seen: bool,
    },
    /// It cannot be told.
    Unknown,
}

/// What the standard input of a process is; `None` when it has ended.
///
/// # Errors
/// The system does not list its processes. [`ProcessError::Unsupported`] where there is no `/proc`.
#[cfg(not(target_os = "linux"))]
pub fn input_of(_id: &ProcessId) -> Result<Option<Input>, ProcessError> {
    Err(ProcessError::Unsupported {
        what: "what a process reads",
    })
}

#[cfg(target_os = "linux")]
pub use linux::input_of;
#[cfg(target_os = "linux")]
pub(crate) use linux::{Target, holders};

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::{FDInfo, FDPermissions, FDTarget, Process as Entry};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::OFlags;

    use super::Input;
    use crate::peer::{Peer, peer_of};
    use crate::{Process, ProcessError, ProcessId, own_user, sees_all_processes};

    /// What an open file of a process is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum Target {
        Pipe(u64),
        Socket(u64),
        Path(std::path::PathBuf),
        Other,
    }

    /// A process that holds something.
    pub(crate) struct Holder {
        pub(crate) process: Process,
        pub(crate) target: Target,
        /// Whether it may write to it.
        writes: bool,
    }

    /// What the standard input of a process is; `None` when it has ended.
    ///
    /// # Errors
    /// The system does not list its processes.
    pub fn input_of(id: &ProcessId) -> Result<Option<Input>, ProcessError> {
        let entry = i32::try_from(id.pid())
            .ok()
            .and_then(|pid| Entry::new(pid).ok());
        let Some(entry) = entry.filter(|entry| is_still(entry, id)) else {
            return Ok(None);
        };
        let input = match entry.fd_from_fd(0) {
            Ok(input) => input,
            Err(procfs::ProcError::NotFound(_)) => {
                return Ok(is_still(&entry, id).then_some(Input::Nothing));
            }
            Err(_) => return Ok(Some(Input::Unknown)),
        };
        let input = match target(input) {
            Target::Path(path) if path == std::path::Path::new("/dev/null") => Input::Nothing,
            Target::Path(path) => Input::File(path),
            Target::Pipe(inode) => match has_writer(&entry) {
                Some(false) => Input::Abandoned,
                Some(true) => held(
                    |target| *target == Target::Pipe(inode),
                    |holder| holder.writes,
                )?,
                None => Input::Unknown,
            },
            Target::Socket(inode) => match peer_of(inode) {
                Peer::Gone => Input::Abandoned,
                Peer::Socket(peer) => held(|target| *target == Target::Socket(peer), |_| true)?,
                Peer::Unknown => Input::Unknown,
            },
            Target::Other => Input::Unknown,
        };
        // What was read is of this process only if it is still there.
        Ok(is_still(&entry, id).then_some(input))
    }

    fn is_still(entry: &Entry, id: &ProcessId) -> bool {
        entry.stat().is_ok_and(|stat| stat.starttime == id.start())
    }

    fn target(file: FDInfo) -> Target {
        match file.target {
            FDTarget::Path(path) => Target::Path(path),
            FDTarget::Pipe(inode) => Target::Pipe(inode),
            FDTarget::Socket(inode) => Target::Socket(inode),
            FDTarget::Net(_)
            | FDTarget::AnonInode(_)
            | FDTarget::MemFD(_)
            | FDTarget::Other(..)
            | FDTarget::Unknown(..) => Target::Other,
        }
    }

    /// Whether anybody has the writing end of the pipe that is this process's input. Nothing is read from it: a second reading end is opened, asked
    /// for a hang-up, and closed.
    fn has_writer(entry: &Entry) -> Option<bool> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let end = entry.open_relative_flags("fd/0", flags).ok()?;
        let mut asked = [PollFd::new(&end, PollFlags::empty())];
        poll(&mut asked, Some(&Timespec::default())).ok()?;
        Some(!asked[0].revents().contains(PollFlags::HUP))
    }

    fn held(
        is_wanted: impl Fn(&Target) -> bool,
        is_end: impl Fn(&Holder) -> bool,
    ) -> Result<Input, ProcessError> {
        let mut found = holders_and_blind_spots(is_wanted)?;
        found.0.retain(is_end);
        let mut holders: Vec<Process> = found.0.into_iter().map(|holder| holder.process).collect();
        holders.dedup();
        Ok(Input::Held {
            holders,
            all_seen: found.1,
        })
    }

    /// Who holds what is wanted, as far as we may look.
    pub(crate) fn holders(
        is_wanted: impl Fn(&Target) -> bool,
    ) -> Result<Vec<Holder>, ProcessError> {
        Ok(holders_and_blind_spots(is_wanted)?.0)
    }

    /// Who holds what is wanted, and whether all processes of this user could be looked into.
    fn holders_and_blind_spots(
        is_wanted: impl Fn(&Target) -> bool,
    ) -> Result<(Vec<Holder>, bool), ProcessError> {
        let entries = procfs::process::all_processes()
            .map_err(|error| ProcessError::read("the list of processes", error))?;
        let (mut found, mut all_seen) = (Vec::new(), sees_all_processes());
        for entry in entries.flatten() {
            let Ok(files) = entry.fd() else {
                let own = entry.status().is_ok_and(|status| status.ruid == own_user());
                all_seen &= !own;
                continue;
            };
            let wanted = files.flatten().map(|file| (file.mode(), target(file)));
            for (mode, target) in wanted.filter(|(_, target)| is_wanted(target)) {
                let pid = u32::try_from(entry.pid()).unwrap_or_default();
                if let Some(process) = Process::find(pid)? {
                    let writes = mode.contains(FDPermissions::WRITE);
                    found.push(Holder {
                        process,
                        target,
                        writes,
                    });
                }
            }
        }
        Ok((found, all_seen))
    }
}
