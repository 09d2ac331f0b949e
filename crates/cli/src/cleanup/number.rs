//! Files that hold the number of a process.

use std::path::Path;
use std::time::{Duration, SystemTime};

use polywire_processes::{Process, boot_id, sees_all_processes};
use serde::Deserialize;

/// A clock that is set while programs run moves the times of files against those of processes. A number that was given again is taken for
/// such only when more than this lies between.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(10);

/// Who a pid file means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// Nobody any more; why.
    Nobody(String),
    /// A process that runs.
    Runs(Box<Process>),
    /// It cannot be told; why.
    Unclear(String),
}

/// Codex's own pid files: `{"pid":…,"processIdentity":{"bootId":…,"startTicks":…}}` (observed with Codex 0.169).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodexPidFile {
    pid: u32,
    process_identity: Option<CodexIdentity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodexIdentity {
    boot_id: String,
    start_ticks: u64,
}

/// Who a pid file means, in either form: a number alone, or Codex's own.
pub(crate) fn meant(path: &Path) -> Meant {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Meant::Unclear(format!("it cannot be read: {error}")),
    };
    let written = std::fs::symlink_metadata(path).and_then(|about| about.modified());
    if let Ok(file) = serde_json::from_str::<CodexPidFile>(&text) {
        return match file.process_identity {
            Some(identity) => by_identity(file.pid, &identity),
            None => by_time(file.pid, written.ok()),
        };
    }
    match text.trim().parse() {
        Ok(pid) => by_time(pid, written.ok()),
        Err(_) => Meant::Unclear("it holds no process number".to_owned()),
    }
}

/// The number in a pid file of either form.
pub(crate) fn written_in(path: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(path).ok()?;
    match serde_json::from_str::<CodexPidFile>(&text) {
        Ok(file) => Some(file.pid),
        Err(_) => text.trim().parse().ok(),
    }
}

fn by_identity(pid: u32, identity: &CodexIdentity) -> Meant {
    match boot_id() {
        Ok(now) if now != identity.boot_id => {
            return Meant::Nobody(format!("process {pid} was started before this machine was"));
        }
        Ok(_) => {}
        Err(error) => return Meant::Unclear(error.to_string()),
    }
    let is_it = |process: &Process| process.id.start() == identity.start_ticks;
    match Process::find(pid) {
        Ok(Some(process)) if is_it(&process) => Meant::Runs(Box::new(process)),
        Ok(None) => nobody(pid, not_here(pid), is_it),
        Ok(Some(_)) => {
            let why = format!(
                "the number {pid} belongs to another process now, which was started at another time"
            );
            nobody(pid, why, is_it)
        }
        Err(error) => Meant::Unclear(error.to_string()),
    }
}

/// Who a bare number means that was written down at this time: only a process that was there by then.
pub(crate) fn by_time(pid: u32, written: Option<SystemTime>) -> Meant {
    let is_later = |process: &Process| {
        let later = process
            .started_at
            .zip(written)
            .and_then(|(started, written)| started.duration_since(written).ok());
        later.is_some_and(|later| later > CLOCK_TOLERANCE)
    };
    let process = match Process::find(pid) {
        Ok(None) => return nobody(pid, not_here(pid), |other| !is_later(other)),
        Ok(Some(process)) => process,
        Err(error) => return Meant::Unclear(error.to_string()),
    };
    let whose = if !process.is_own() {
        "of another user now"
    } else if is_later(&process) {
        "now that was started after the file was written"
    } else {
        return Meant::Runs(Box::new(process));
    };
    let why = format!("the number {pid} belongs to another process {whose}");
    nobody(pid, why, |other| !is_later(other))
}

fn not_here(pid: u32) -> String {
    format!("process {pid} does not run")
}

/// Nobody is meant, if nobody in a container can be and nobody outside of our sight: a home can be shared with containers, and each counts its processes
/// by itself.
pub(crate) fn nobody(pid: u32, why: String, is_it: impl Fn(&Process) -> bool) -> Meant {
    if !sees_all_processes() {
        return Meant::Unclear(format!(
            "{why} in this container, and outside of it cannot be seen"
        ));
    }
    match Process::contained(pid) {
        Err(error) => Meant::Unclear(error.to_string()),
        Ok(contained) => match contained.into_iter().find(is_it) {
            Some(process) => Meant::Unclear(format!(
                "process {} has the number {pid} in a container, and may be meant",
                process.id.pid()
            )),
            None => Meant::Nobody(why),
        },
    }
}
