//! Processes where there is no `/proc`, such as macOS.
//!
//! Start times are in seconds here, so that two processes of one number are told apart only when a second lies between them; the system gives a
//! number again after many others.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use crate::{Process, ProcessError, ProcessId};

/// The time at which this run of the machine began, in seconds since 1970.
///
/// # Errors
/// The system does not tell.
pub fn boot_id() -> Result<String, ProcessError> {
    let time = System::boot_time();
    time.map(|time| time.to_string())
        .map_err(|error| ProcessError::read("the time at which the machine began", error))
}

/// Whether every process of the machine is in sight.
pub fn sees_all_processes() -> bool {
    true
}

/// Whether a process sees what this one sees: there are no containers inside of such a system.
pub(crate) fn shares_view(_pid: u32) -> bool {
    true
}

/// The processes that have this number in a container: there are none.
pub(crate) fn contained(_number: u32) -> Result<Vec<Process>, ProcessError> {
    Ok(Vec::new())
}

pub(crate) fn running_system() -> Result<String, ProcessError> {
    boot_id()
}

pub(crate) fn process(pid: u32) -> Result<Option<Process>, ProcessError> {
    let wanted = [Pid::from_u32(pid)];
    let system = look(ProcessesToUpdate::Some(&wanted), false)?;
    system.process(wanted[0]).map_or(Ok(None), read)
}

pub(crate) fn processes() -> Result<Vec<Process>, ProcessError> {
    let system = look(ProcessesToUpdate::All, false)?;
    let all = system.processes().values();
    all.filter_map(|process| read(process).transpose())
        .collect()
}

/// Whether a process was stopped, by a signal or by a debugger.
pub(crate) fn is_stopped(id: &ProcessId) -> Result<bool, ProcessError> {
    let wanted = [Pid::from_u32(id.pid())];
    let system = look(ProcessesToUpdate::Some(&wanted), false)?;
    let process = system.process(wanted[0]);
    Ok(process.is_some_and(|process| {
        let stopped = matches!(
            process.status(),
            ProcessStatus::Stop | ProcessStatus::Tracing
        );
        process.start_time() == id.start() && stopped
    }))
}

/// The values of these variables at the start of a process.
pub(crate) fn variables(id: &ProcessId, names: &[&str]) -> Option<BTreeMap<String, OsString>> {
    let wanted = [Pid::from_u32(id.pid())];
    let system = look(ProcessesToUpdate::Some(&wanted), true).ok()?;
    let process = system.process(wanted[0])?;
    if process.start_time() != id.start() {
        return None;
    }
    if process.environ().is_empty() {
        return None;
    }
    let mut found = BTreeMap::new();
    for entry in process.environ() {
        let entry = entry.to_string_lossy();
        if let Some((name, value)) = entry.split_once('=')
            && names.contains(&name)
        {
            found.insert(name.to_owned(), OsString::from(value));
        }
    }
    Some(found)
}

/// Nobody tells here without unsafe code.
pub(crate) fn ignores(_signal: i32) -> Option<bool> {
    None
}

fn look(which: ProcessesToUpdate<'_>, environment: bool) -> Result<System, ProcessError> {
    let mut what = ProcessRefreshKind::nothing()
        .with_user(UpdateKind::Always)
        .with_exe(UpdateKind::Always)
        .with_cmd(UpdateKind::Always)
        .with_cwd(UpdateKind::Always);
    if environment {
        what = what.with_environ(UpdateKind::Always);
    }
    let mut system =
        System::new().map_err(|error| ProcessError::read("the list of processes", error))?;
    system.refresh_processes_specifics(which, true, what);
    Ok(system)
}

fn read(process: &sysinfo::Process) -> Result<Option<Process>, ProcessError> {
    if matches!(
        process.status(),
        ProcessStatus::Zombie | ProcessStatus::Dead
    ) {
        return Ok(None);
    }
    // Without an owner nothing could be proven of it.
    let Some(owner) = process.effective_user_id().or(process.user_id()) else {
        return Ok(None);
    };
    let pid = process.pid();
    let group = i32::try_from(pid.as_u32())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .and_then(|pid| rustix::process::getpgid(Some(pid)).ok());
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    Ok(Some(Process {
        id: ProcessId::new(pid.as_u32(), process.start_time())?,
        parent: process.parent().map_or(0, Pid::as_u32),
        owner: **owner,
        group: group.and_then(|group| u32::try_from(group.as_raw_nonzero().get()).ok()),
        session: process.session_id().map(Pid::as_u32),
        executable: process.exe().map(ToOwned::to_owned),
        command_line: process.cmd().iter().map(text).collect(),
        working_directory: process.cwd().map(ToOwned::to_owned),
        started_at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(process.start_time())),
    }))
}
