//! What the kernel says about the processes of a proxy (Linux: `/proc`).

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::time::Duration;

/// A process and all its descendants, as they are now. nginx works in a child of the process that was started.
pub(super) fn family(ancestor: u32) -> Result<Vec<u32>> {
    let parents = parents()?;
    let mut family = vec![ancestor];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.get(&parent).into_iter().flatten());
        next += 1;
    }
    Ok(family)
}

fn parents() -> Result<HashMap<u32, Vec<u32>>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
        let Some(id) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may be gone by now.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        if let Some(parent) = parent_of(&stat) {
            children.entry(parent).or_default().push(id);
        }
    }
    Ok(children)
}

/// The fourth field; the second one, the name, may hold spaces and parentheses.
fn parent_of(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// The time all threads of these processes have run, user and system.
///
/// From `schedstat`, which counts nanoseconds; `stat` counts the same time in ticks of 10 ms, too coarse here. Threads that
/// have ended are not in it, which does not matter for proxies that keep theirs.
pub(super) fn cpu_time(processes: &[u32]) -> Result<Duration> {
    let mut nanoseconds = 0;
    for process in processes {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task"))
            .with_context(|| format!("process {process} is gone"))?;
        for task in tasks {
            let path = task?.path().join("schedstat");
            let line = std::fs::read_to_string(&path).unwrap_or_default();
            nanoseconds += parse_schedstat(&line).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The time that a process and all its descendants have run, those that have ended included, in steps of a clock tick (10 ms).
/// Of the process itself only what its ended children have left counts.
pub(super) fn cpu_time_of_descendants(ancestor: u32) -> Result<Duration> {
    let mut ticks = 0;
    for process in family(ancestor)? {
        // A process may be gone by now; then its parent has its time.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
            continue;
        };
        let (own, ended_children) = parse_ticks(&stat).context("no times in `stat`")?;
        ticks += ended_children;
        if process != ancestor {
            ticks += own;
        }
    }
    // `USER_HZ`, which Linux has kept at 100 for programs whatever the kernel's own clock is.
    Ok(Duration::from_millis(ticks * 10))
}

/// The fields 14 to 17: user and system time of the process, and of its children that were waited for.
fn parse_ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some((next()? + next()?, next()? + next()?))
}

fn parse_schedstat(line: &str) -> Option<u64> {
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory, in bytes. Pages that several processes share are counted for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Now (`VmRSS`).
    pub(super) resident: u64,
    /// The most there ever was (`VmHWM`), so no sampling can miss it.
    pub(super) peak: u64,
}

/// The memory of these processes together.
pub(super) fn memory(processes: &[u32]) -> Result<Memory> {
    let mut sum = Memory::default();
    for process in processes {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))
            .with_context(|| format!("process {process} is gone"))?;
        sum.resident += status_bytes(&status, "VmRSS:").context("no VmRSS")?;
        sum.peak += status_bytes(&status, "VmHWM:").context("no VmHWM")?;
    }
    Ok(sum)
}

fn status_bytes(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_read() {
        assert_eq!(parent_of("12 (a (b) c) S 7 12 12 0"), Some(7));
        assert_eq!(parse_schedstat("123456 789 10\n"), Some(123_456));
        let stat = "12 (a (b) c) S 7 12 12 0 -1 4194560 1 2 3 4 50 7 9 9 20 0 1";
        assert_eq!(parse_ticks(stat), Some((57, 18)));
        let status = "Name:\tx\nVmHWM:\t    2000 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(status_bytes(status, "VmRSS:"), Some(1_024_000));
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2_048_000));
        assert_eq!(status_bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id();
        assert_eq!(family(me).unwrap()[0], me);
        while cpu_time(&[me]).unwrap() == Duration::ZERO {
            std::hint::black_box(family(me).unwrap());
        }
        assert!(memory(&[me]).unwrap().resident > 1_000_000);
        assert!(memory(&[u32::MAX]).is_err());
    }
}
