//! All that may have been left behind.

use polywire_processes::ProcessError;

use super::leftover::Leftover;
use super::places::{Places, Snapshot};
use super::{codex, desktop, own};

/// Looks everywhere. Reads many files, and waits for nobody but gateways of runs, some seconds for one that hangs.
///
/// # Errors
/// The system does not list its processes.
pub(crate) fn search(places: &Places) -> Result<Vec<Leftover>, ProcessError> {
    let snapshot = Snapshot::take()?;
    let mut found = desktop::find(places, &snapshot);
    found.extend(codex::find(places, &snapshot));
    found.extend(own::find(places, &snapshot));
    Ok(found)
}
