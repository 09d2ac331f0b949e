//! Ending and removing what is stale, after a second look.

use std::time::Duration;

use anyhow::{Context, ensure};
use polywire_processes::{Ending, end};

use super::background;
use super::leftover::{FileMark, Leftover, Subject};
use super::places::Places;
use super::search::search;
use super::work_folders;

/// How long a process may take to end when it is asked to. Longer than its work at the end needs: none of them has a client any more.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// Ends or removes one leftover, if everything still is as it was shown. Says what was done.
pub(crate) fn act(leftover: &Leftover, places: &Places) -> anyhow::Result<&'static str> {
    // Everything is proven again: since the list was shown somebody may have begun to use it.
    let now = search(places)?;
    let again = now.iter().find(|other| other.subject == leftover.subject);
    let Some(again) = again else {
        return Ok("gone meanwhile");
    };
    if let Some(why) = &again.kept {
        anyhow::bail!("it is kept after all: {why}");
    }
    match &leftover.subject {
        Subject::Process { id, .. } => Ok(match end(id, END_TIMEOUT)? {
            Ending::WasGone => "gone meanwhile",
            Ending::Ended => "ended",
            Ending::Killed => "killed, because it did not end when asked",
        }),
        Subject::File { path, mark } => {
            same(path, *mark)?;
            std::fs::remove_file(path).context("it could not be removed")?;
            Ok("removed")
        }
        Subject::Record { path, mark } => {
            background::forget(path, *mark)?;
            Ok("forgotten")
        }
        Subject::Folder { path, mark } => {
            let _nobody_else = work_folders::lock(path).map_err(anyhow::Error::msg)?;
            same(path, *mark)?;
            std::fs::remove_dir_all(path).context("it could not be removed")?;
            Ok("removed")
        }
    }
}

fn same(path: &std::path::Path, mark: FileMark) -> anyhow::Result<()> {
    ensure!(
        FileMark::of(path)? == mark,
        "another file is in its place now"
    );
    Ok(())
}
