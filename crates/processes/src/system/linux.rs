//! Processes on Linux, from `/proc`.
//!
//! A folder of `/proc` that is open stays that of its process: what is read through it is never its successor's (proc(5)).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use procfs::process::Process as Entry;
use procfs::{ProcError, ProcResult};

use crate::{Process, ProcessError, ProcessId};

/// The id of this run of the machine, as the kernel gives it.
///
/// # Errors
/// The system does not tell.
pub fn boot_id() -> Result<String, ProcessError> {
    let id = procfs::sys::kernel::random::boot_id();
    let id = id.map_err(|error| ProcessError::read("the boot id", error))?;
    Ok(id.trim().to_owned())
}

/// The namespace in which a machine starts. The kernel gives it this number always (`PROC_PID_INIT_INO`).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Whether every process of the machine is in sight. In a container those outside are not, and a number that nobody has here may be somebody's there.
pub fn sees_all_processes() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|found| found.as_os_str() == FIRST_NAMESPACE)
}

/// Whether a process is in the namespaces of processes and of files that this one is in. `false` also where that is not told.
pub(crate) fn shares_view(pid: u32) -> bool {
    ["pid", "mnt"].into_iter().all(|kind| {
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}"));
        let its = std::fs::read_link(format!("/proc/{pid}/ns/{kind}"));
        matches!((own, its), (Ok(own), Ok(its)) if own == its)
    })
}

/// The processes that have this number in a container inside of the one from which we look, whoever owns them.
pub(crate) fn contained(number: u32) -> Result<Vec<Process>, ProcessError> {
    let Ok(number) = i32::try_from(number) else {
        return Ok(Vec::new());
    };
    let entries = procfs::process::all_processes()
        .map_err(|error| ProcessError::read("the list of processes", error))?;
    let is_meant = |entry: &Entry| {
        let numbers = entry.status().ok().and_then(|status| status.nspid);
        // The first is the one by which we know it.
        numbers.is_some_and(|numbers| numbers.iter().skip(1).any(|inner| *inner == number))
    };
    let meant = entries.flatten().filter(is_meant);
    Ok(meant.filter_map(|entry| read(&entry).ok()?.ok()?).collect())
}

/// What gives out process numbers and counts the time.
pub(crate) fn running_system() -> Result<String, ProcessError> {
    let namespace = std::fs::read_link("/proc/self/ns/pid")
        .map_err(|error| ProcessError::read("the namespace of process numbers", error))?;
    Ok(format!("{} {}", boot_id()?, namespace.display()))
}

pub(crate) fn process(pid: u32) -> Result<Option<Process>, ProcessError> {
    let Ok(number) = i32::try_from(pid) else {
        return Ok(None);
    };
    match Entry::new(number).and_then(|entry| read(&entry)) {
        Ok(found) => found,
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(ProcessError::read(format!("process {pid}"), error)),
    }
}

pub(crate) fn processes() -> Result<Vec<Process>, ProcessError> {
    let entries = procfs::process::all_processes()
        .map_err(|error| ProcessError::read("the list of processes", error))?;
    let mut found = Vec::new();
    // One that cannot be read has ended, or is hidden from us.
    for entry in entries.flatten() {
        if let Ok(Ok(Some(process))) = read(&entry) {
            found.push(process);
        }
    }
    Ok(found)
}

/// Whether a process was stopped, by a signal or by a debugger.
pub(crate) fn is_stopped(id: &ProcessId) -> Result<bool, ProcessError> {
    let number = i32::try_from(id.pid()).unwrap_or_default();
    match Entry::new(number).and_then(|entry| entry.stat()) {
        Ok(stat) => Ok(stat.starttime == id.start() && matches!(stat.state, 'T' | 't')),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(ProcessError::read(format!("process {number}"), error)),
    }
}

/// The values of these variables at the start of a process.
pub(crate) fn variables(id: &ProcessId, names: &[&str]) -> Option<BTreeMap<String, OsString>> {
    let entry = Entry::new(i32::try_from(id.pid()).ok()?).ok()?;
    // Its number may be somebody else's by now.
    if entry.stat().ok()?.starttime != id.start() {
        return None;
    }
    let mut all = entry.environ().ok()?;
    if all.is_empty() {
        return None;
    }
    let value = |name: &&str| Some(((*name).to_owned(), all.remove(&OsString::from(name))?));
    Some(names.iter().filter_map(value).collect())
}

/// Whether this process ignores a signal of this number.
pub(crate) fn ignores(signal: i32) -> Option<bool> {
    let ignored = Entry::myself()
        .and_then(|entry| entry.status())
        .ok()?
        .sigign;
    let bit = u32::try_from(signal).ok()?.checked_sub(1)?;
    Some(ignored.checked_shr(bit)? & 1 == 1)
}

/// `None` for what has ended and waits only for its parent to take notice.
fn read(entry: &Entry) -> ProcResult<Result<Option<Process>, ProcessError>> {
    let stat = entry.stat()?;
    if matches!(stat.state, 'Z' | 'X') {
        return Ok(Ok(None));
    }
    let number = |value: i32| u32::try_from(value).ok();
    let id = match ProcessId::new(number(stat.pid).unwrap_or_default(), stat.starttime) {
        Ok(id) => id,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(Some(Process {
        id,
        parent: number(stat.ppid).unwrap_or_default(),
        owner: entry.status()?.euid,
        group: number(stat.pgrp),
        session: number(stat.session),
        executable: entry.exe().ok(),
        command_line: entry.cmdline().unwrap_or_default(),
        working_directory: entry.cwd().ok(),
        started_at: started_at(stat.starttime),
    })))
}

fn started_at(ticks: u64) -> Option<SystemTime> {
    let boot = Duration::from_secs(procfs::boot_time_secs().ok()?);
    let after = Duration::from_secs(ticks.checked_div(procfs::ticks_per_second())?);
    SystemTime::UNIX_EPOCH.checked_add(boot + after)
}

fn is_gone(error: &ProcError) -> bool {
    // A process that ends while it is read gives ESRCH.
    let ended = |error: &std::io::Error| {
        error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
    };
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(error, _) => ended(error),
        ProcError::PermissionDenied(_)
        | ProcError::Incomplete(_)
        | ProcError::Other(_)
        | ProcError::InternalError(_) => false,
    }
}
