//! The folders in which polywire works for a moment, and which it removes itself unless it is killed.
//!
//! Whoever works in one holds a lock on it, which the system gives back at its end, wherever it runs. A lock that can be taken is the proof that
//! nobody works there.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use polywire_processes::sees_all_processes;

use super::leftover::{Case, Kind, Leftover};
use super::places::Places;

/// How long it may take from the making of a folder to the lock on it.
const AGE_MIN: Duration = Duration::from_mins(1);

/// How the folders of an engine's turns are named.
const OF_A_TURN: &str = "turn-";

/// How the folders of `polywire doctor` are named.
pub(crate) const OF_DOCTOR: &str = "doctor-";

pub(crate) fn find(places: &Places) -> Vec<Leftover> {
    places
        .engine_scratches
        .iter()
        .flat_map(|scratch| named(scratch, OF_A_TURN, Kind::EngineScratch))
        .chain(named(&places.state_dir, OF_DOCTOR, Kind::DoctorFolder))
        .collect()
}

/// The folders that are named so. Whatever else lies there is somebody else's.
fn named(place: &Path, prefix: &str, kind: Kind) -> Vec<Leftover> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .filter_map(|entry| Some(judged(Case::of_file(kind, &entry.path())?, &entry.path())))
        .collect()
}

fn judged(case: Case, path: &Path) -> Leftover {
    let age = path
        .symlink_metadata()
        .and_then(|about| about.modified())
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok());
    if age.is_none_or(|age| age < AGE_MIN) {
        return case.kept("it was made or written in a moment ago");
    }
    // A folder can be shared with a machine whose locks do not come here.
    if !sees_all_processes() {
        return case.kept("whether somebody works in it outside of this container cannot be seen");
    }
    match lock(path) {
        Ok(_) => case
            .known("nobody holds the lock that polywire holds while it works there")
            .stale(),
        Err(why) => case.kept(why),
    }
}

/// Takes the lock of a folder, so that nobody begins to work there; why it cannot be had.
pub(crate) fn lock(path: &Path) -> Result<File, String> {
    let folder = File::open(path).map_err(|error| format!("it cannot be looked into: {error}"))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(std::fs::TryLockError::WouldBlock) => Err("polywire works in it".to_owned()),
        Err(std::fs::TryLockError::Error(error)) => Err(format!(
            "whether polywire works in it cannot be told: {error}"
        )),
    }
}
