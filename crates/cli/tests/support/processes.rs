//! The processes of a temporary home, and waiting for what they do.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::time::Duration;

use polywire_testkit::{DEADLINE, TempHome};

/// A process: its number and its command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: i32,
    pub(crate) command: String,
}

/// All processes that were started in this home, by the variable that every one of them inherits.
pub(crate) fn processes_of(home: &TempHome) -> Vec<Process> {
    let wanted = format!("CODEX_HOME={}", home.codex_home().display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found: Vec<Process> = entries
        .filter_map(|entry| {
            let folder = entry.path();
            let id = folder.file_name()?.to_str()?.parse().ok()?;
            let environment = std::fs::read(folder.join("environ")).ok()?;
            let mut variables = environment.split(|byte| *byte == 0);
            variables.find(|variable| *variable == wanted.as_bytes())?;
            let command = std::fs::read(folder.join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            Some(Process { id, command })
        })
        .collect();
    found.sort_by_key(|process| process.id);
    found
}

/// The gateways of runs in this home.
pub(crate) fn gateways_of(home: &TempHome) -> Vec<Process> {
    let all = processes_of(home).into_iter();
    all.filter(|process| process.command.contains(" run-gateway "))
        .collect()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !is_so() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited in vain for {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
