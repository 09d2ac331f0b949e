//! What was started ended at once, because another process took over.
//!
//! A Desktop that runs already is only told to show its window, and what told it ends (a *warm start*). And a script may start Desktop and
//! end. In both cases somebody still needs the gateway and the configuration.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::super::launch::Signals;
use super::app::App;
use crate::logging::note;

/// A start that took longer was one (as in the launcher that was here before: 12 s).
const WARM_START_MAX: Duration = Duration::from_secs(12);

/// In how many of the last lines of the log a warm start is mentioned.
const LOG_LINES: usize = 15;

/// The most bytes at the end of the log that are looked at.
const LOG_BYTES: usize = 64 * 1024;

/// How often it is looked whether the other one is still there.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Who needs us when what was started has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handover {
    /// Nobody.
    Nobody,
    /// A Desktop that runs.
    Running,
    /// Somebody, by what the log says, that cannot be found.
    Unseen,
}

/// Looks who needs us.
pub(super) fn look(app: &App, status: ExitStatus, ran: Duration, log: &Path) -> Handover {
    // Ended by a signal, it was asked to end, and so were we.
    if status.signal().is_some() {
        return Handover::Nobody;
    }
    if !app.running().is_empty() {
        return Handover::Running;
    }
    let is_warm = status.success() && ran < WARM_START_MAX && tells_of_warm_start(&end_of(log));
    if is_warm {
        Handover::Unseen
    } else {
        Handover::Nobody
    }
}

impl Handover {
    /// Waits until nobody does any more, or until we are asked to end.
    pub(super) async fn wait(self, app: &App, signals: &mut Signals) {
        match self {
            Self::Nobody => {}
            Self::Running => {
                note(
                    "another process of Codex Desktop took over; its gateway and its configuration stay until it ends",
                );
                tokio::select! {
                    () = gone(app) => {}
                    () = signals.any() => {}
                }
            }
            Self::Unseen => {
                note(
                    "a Codex Desktop that was running took over, and polywire cannot see it; its gateway and its configuration stay until you press Ctrl-C",
                );
                signals.any().await;
            }
        }
    }
}

async fn gone(app: &App) {
    while !app.running().is_empty() {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

fn end_of(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let start = bytes.len().saturating_sub(LOG_BYTES);
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

fn tells_of_warm_start(log: &str) -> bool {
    let last = log.lines().rev().take(LOG_LINES);
    last.map(str::to_ascii_lowercase).any(|line| {
        ["warm start", "warm-start"]
            .iter()
            .any(|words| line.contains(words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_start_is_read_from_the_end_of_the_log() {
        assert!(tells_of_warm_start(
            "x\n[launcher] Warm start: socket answered\nbye\n"
        ));
        assert!(tells_of_warm_start("warm-start hand-off"));
        assert!(!tells_of_warm_start("cold start\n"));
        let long = format!("warm start\n{}", "line\n".repeat(LOG_LINES));
        assert!(!tells_of_warm_start(&long));
    }
}
