//! What crashed programs have left behind, and what runs and does nothing.

use std::time::SystemTime;

use super::check::Subject;
use super::finding::Finding;
use crate::cleanup::{Leftover, Snapshot, Stall, search, stalls};

pub(crate) fn check(subject: &Subject) -> Vec<Finding> {
    let places = &subject.leftovers;
    let (leftovers, snapshot) =
        match search(places).and_then(|found| Ok((found, Snapshot::take()?))) {
            Ok(found) => found,
            Err(error) => {
                return vec![
                    Finding::warning("leftovers", format!("they cannot be looked for: {error}"))
                        .hint("is /proc there, and may it be read?"),
                ];
            }
        };
    let mut found: Vec<Finding> = leftovers
        .iter()
        .filter(|leftover| leftover.is_stale())
        .map(stale)
        .collect();
    let stalls = stalls(places, &snapshot, SystemTime::now());
    found.extend(stalls.iter().map(stalled));
    if found.is_empty() {
        found.push(Finding::ok("leftovers", "nothing stale was found, and nothing hangs as far as can be seen without a window system"));
    }
    found
}

fn stale(leftover: &Leftover) -> Finding {
    let what = format!(
        "a stale {}: {}",
        leftover.kind.words(),
        leftover.proof.join("; ")
    );
    Finding::warning("stale", what).at(&leftover.subject).hint(
        "`polywire cleanup` shows all of them, and `polywire cleanup --yes` ends and removes them",
    )
}

fn stalled(stall: &Stall) -> Finding {
    let id = match stall {
        Stall::StoppedDesktop { .. } | Stall::NoWindow { .. } => "desktop_stalled",
        Stall::DeafDaemon { .. } => "daemon_stalled",
    };
    Finding::warning(id, stall.words())
        .at(format!("process {}", stall.pid()))
        .hint(stall.hint())
}
