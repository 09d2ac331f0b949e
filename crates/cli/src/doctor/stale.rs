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
    match stall {
        Stall::NoWindow { pid } => Finding::warning(
            "desktop_stalled",
            "Desktop runs for more than 20 s and can have no window: none of its processes draws one",
        )
        .at(format!("process {pid}"))
        .hint(format!("look at ~/.cache/codex-desktop/launcher.log; `kill {pid}` ends it, then `polywire cleanup`, and start it again")),
        Stall::DeafDaemon { pid, why } => {
            Finding::warning("daemon_stalled", format!("Codex's daemon runs and does not answer: {why}"))
                .at(format!("process {pid}"))
                .hint("`codex app-server daemon restart`")
        }
    }
}
