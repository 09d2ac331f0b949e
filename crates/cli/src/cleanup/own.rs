//! What polywire itself leaves behind when it is killed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use polywire_processes::{Input, Process, ProcessId, input_of};
use polywire_settings::RUN_VARIABLE;

use super::leftover::{Case, Kind, Leftover};
use super::places::{Places, Snapshot};

/// The command that keeps the gateway of a run.
const RUN_GATEWAY: &str = "run-gateway";

/// The times of files and of processes come from different clocks.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(10);

pub(crate) fn find(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let mut found = run_gateways(snapshot);
    for folder in &places.engine_scratches {
        found.extend(scratch(folder, snapshot));
    }
    found
}

fn is_polywire(process: &Process) -> bool {
    super::places::named(process, "polywire")
}

/// Gateways of runs that nobody is left of. They end by themselves; one that hangs does not.
fn run_gateways(snapshot: &Snapshot) -> Vec<Leftover> {
    let gateways = snapshot.processes.iter().filter(|process| {
        is_polywire(process)
            && process
                .command_line
                .iter()
                .skip(1)
                .any(|argument| argument == RUN_GATEWAY)
    });
    gateways
        .filter_map(|gateway| run_gateway(gateway, snapshot))
        .collect()
}

fn run_gateway(gateway: &Process, snapshot: &Snapshot) -> Option<Leftover> {
    let case = Case::of_process(Kind::RunGateway, gateway);
    match input_of(&gateway.id) {
        Ok(None) => return None,
        Ok(Some(Input::Abandoned)) => {}
        // As long as its `run` holds the other end, it is at work.
        Ok(Some(Input::Held { .. })) => return None,
        Ok(Some(Input::Nothing | Input::File(_) | Input::Unknown)) => {
            return Some(case.kept("whether its `polywire run` is there cannot be told"));
        }
        Err(error) => return Some(case.kept(error.to_string())),
    }
    let case = case.known("its `polywire run` has ended");
    let mut others = snapshot
        .processes
        .iter()
        .filter(|process| !is_polywire(process));
    // Which run it serves is known to it alone; so a process of any run counts.
    let user = others.find(|process| {
        process
            .variables(&[RUN_VARIABLE])
            .is_some_and(|found| !found.is_empty())
    });
    Some(match user {
        Some(user) => case.kept(format!(
            "process {} comes of a run and may need it; the gateway ends by itself when nobody does",
            user.id.pid()
        )),
        None => case.known("no process that comes of a run is left").stale(),
    })
}

/// The folders of an engine that are older than every polywire which runs.
fn scratch(folder: &Path, snapshot: &Snapshot) -> Vec<Leftover> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let oldest = oldest_polywire(snapshot);
    entries
        .flatten()
        .filter_map(|entry| {
            let modified = entry.metadata().ok()?.modified().ok()?;
            let case = Case::of_file(Kind::EngineScratch, &entry.path())?;
            Some(match &oldest {
                Err(why) => case.kept(why.clone()),
                Ok(None) => case.known("no other polywire runs").stale(),
                Ok(Some((pid, started))) if modified + CLOCK_TOLERANCE < *started => case
                    .known(format!(
                        "it is older than every polywire that runs (the oldest is process {pid})"
                    ))
                    .stale(),
                Ok(Some((pid, _))) => case.kept(format!("polywire runs (process {pid})")),
            })
        })
        .collect()
}

/// The polywire that runs for the longest time, this one left aside.
fn oldest_polywire(snapshot: &Snapshot) -> Result<Option<(u32, SystemTime)>, String> {
    let own = ProcessId::own().map_err(|error| error.to_string())?;
    let others = snapshot
        .processes
        .iter()
        .filter(|process| is_polywire(process) && process.id != own);
    let mut oldest: Option<(u32, SystemTime)> = None;
    for process in others {
        let Some(started) = process.started_at else {
            return Err(format!(
                "when process {} was started cannot be told",
                process.id.pid()
            ));
        };
        if oldest.is_none_or(|(_, time)| started < time) {
            oldest = Some((process.id.pid(), started));
        }
    }
    Ok(oldest)
}
