//! The record of a gateway in the background that has ended without saying so.

use std::path::Path;

use anyhow::{Context, ensure};
use polywire_daemon::{GatewayState, Lock, Places as Files, Presence};

use super::leftover::{Case, FileMark, Kind, Leftover};
use super::number::{self, Meant};
use crate::background::host;

/// The record, when the gateway that it tells of is not there. One that runs is left alone.
pub(crate) fn find(state_dir: &Path) -> Option<Leftover> {
    let path = Files::in_folder(state_dir).state_file;
    let case = Case::of_record(Kind::BackgroundGateway, &path)?;
    let state = match GatewayState::read(&path) {
        Ok(state) => state?,
        Err(error) => return Some(case.kept(error.to_string())),
    };
    let running = state.running?;
    let pid = running.process.pid();
    let why = match running.presence() {
        Ok(Presence::Running) => return None,
        Ok(Presence::Gone) => format!("the gateway with pid {pid} has ended without saying so"),
        Ok(Presence::Another(_)) => format!(
            "the gateway with pid {pid} has ended without saying so, and its number belongs to another process now"
        ),
        Err(error) => return Some(case.kept(error.to_string())),
    };
    if running.host != host() {
        return Some(case.kept(format!("its gateway was started on `{}`", running.host)));
    }
    let is_it = |other: &polywire_processes::Process| other.id.start() == running.process.start();
    Some(match number::nobody(pid, why, is_it) {
        Meant::Nobody(why) => case.known(why).stale(),
        Meant::Unclear(why) => case.kept(why),
        Meant::Runs(process) => case.kept(format!("process {} runs", process.id.pid())),
    })
}

/// Forgets the gateway, if the record still is the one that was looked at. How it was started stays in it, for the next start.
pub(crate) fn forget(path: &Path, mark: FileMark) -> anyhow::Result<()> {
    let folder = path.parent().context("the record lies in no folder")?;
    let lock = Lock::try_take(&Files::in_folder(folder).lock_file)?;
    let _lock = lock.context("another polywire command is starting or stopping the gateway")?;
    ensure!(FileMark::of(path)? == mark, "it was written anew meanwhile");
    let state = GatewayState::read(path)?.context("it is not there any more")?;
    let forgotten = GatewayState {
        running: None,
        ..state
    };
    Ok(forgotten.write(path)?)
}
