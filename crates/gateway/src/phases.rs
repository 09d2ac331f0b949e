//! How long each step of a turn took. Whoever does the step measures it, in whatever task.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A step of a turn. HTTP providers have some of them, engines others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the stored conversation that the request goes on from.
    History,
    /// Reading the request.
    Decode,
    /// Finding the targets of the model name.
    Plan,
    /// Checking the working directory that the client asks for.
    CwdResolve,
    /// Putting the request into the target's form, its key looked up.
    Encode,
    /// Waiting before another attempt, as a provider asked for or as its failure suggests.
    Pause,
    /// Waiting for a free place or worker of an engine, from the moment it was asked for.
    QueueWait,
    /// Starting a process.
    Spawn,
    /// Giving a process its input.
    InputWrite,
    /// Opening a thread on an engine, its history included.
    ThreadStart,
    /// Asking an engine for a turn, until it has agreed.
    TurnStart,
    /// From sending a request over HTTP to the headers of the answer.
    Send,
    /// From asking an engine to the first it says, whatever that is.
    FirstOutput,
    /// From asking the target to the first part of the answer. The gateway measures it for every kind of provider.
    FirstDelta,
    /// From asking the target to the end of the answer. The gateway measures it for every kind of provider.
    TurnComplete,
    /// Waiting for the end of a process that has answered.
    ProcessWait,
    /// Closing a thread on an engine.
    ThreadEnd,
    /// Writing an answer that is not streamed.
    Write,
    /// The whole turn. The gateway measures it.
    Total,
}

impl Phase {
    /// All of them, in the order in which they come and are shown.
    pub const ALL: [Phase; 19] = [
        Phase::History,
        Phase::Decode,
        Phase::Plan,
        Phase::CwdResolve,
        Phase::Encode,
        Phase::Pause,
        Phase::QueueWait,
        Phase::Spawn,
        Phase::InputWrite,
        Phase::ThreadStart,
        Phase::TurnStart,
        Phase::Send,
        Phase::FirstOutput,
        Phase::FirstDelta,
        Phase::TurnComplete,
        Phase::ProcessWait,
        Phase::ThreadEnd,
        Phase::Write,
        Phase::Total,
    ];

    /// The word for it in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::History => "history",
            Phase::Decode => "decode",
            Phase::Plan => "plan",
            Phase::CwdResolve => "cwd_resolve",
            Phase::Encode => "encode",
            Phase::Pause => "pause",
            Phase::QueueWait => "queue_wait",
            Phase::Spawn => "spawn",
            Phase::InputWrite => "input_write",
            Phase::ThreadStart => "thread_start",
            Phase::TurnStart => "turn_start",
            Phase::Send => "send",
            Phase::FirstOutput => "first_output",
            Phase::FirstDelta => "first_delta",
            Phase::TurnComplete => "turn_complete",
            Phase::ProcessWait => "process_wait",
            Phase::ThreadEnd => "thread_end",
            Phase::Write => "write",
            Phase::Total => "total",
        }
    }
}

/// The times of one turn. Clones write into the same record, so that a task of an engine can hold one.
///
/// A step that is done several times, in several attempts or legs, counts with all of them together. What ends when the turn has been
/// settled is not told any more: note a step before the event that ends the answer.
#[derive(Clone, Default)]
pub struct Phases(Arc<[AtomicU64; Phase::ALL.len()]>);

impl Phases {
    /// A step took so long.
    pub fn add(&self, phase: Phase, took: Duration) {
        // Nothing was measured is 0; what took no time that a clock could tell is a nanosecond.
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        if let Some(recorded) = self.0.get(phase as usize) {
            recorded.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// A step that begins now and ends when the timer is dropped, also by being cancelled.
    #[must_use = "the step ends when the timer is dropped"]
    pub fn timer(&self, phase: Phase) -> PhaseTimer {
        PhaseTimer {
            phases: self.clone(),
            phase,
            began: Instant::now(),
        }
    }

    /// Does a step and notes how long it took.
    pub fn during<R>(&self, phase: Phase, step: impl FnOnce() -> R) -> R {
        let _timer = self.timer(phase);
        step()
    }

    /// How long a step took; `None` when it was not done.
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        let nanoseconds = self.0.get(phase as usize)?.load(Ordering::Relaxed);
        (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
    }
}

/// Measures one step.
pub struct PhaseTimer {
    phases: Phases,
    phase: Phase,
    began: Instant,
}

impl Drop for PhaseTimer {
    fn drop(&mut self) {
        self.phases.add(self.phase, self.began.elapsed());
    }
}

/// A JSON object of milliseconds: `{"decode":0.412,"total":1203.5}`.
impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measured = Phase::ALL
            .into_iter()
            .filter_map(|phase| Some((phase, self.get(phase)?)));
        f.write_str("{")?;
        for (index, (phase, took)) in measured.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let milliseconds = took.as_secs_f64() * 1000.0;
            write!(f, "{comma}\"{}\":{milliseconds:.3}", phase.name())?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_done_is_told() {
        let phases = Phases::default();
        assert_eq!(phases.to_string(), "{}");
        let elsewhere = phases.clone();
        elsewhere.add(Phase::QueueWait, Duration::from_micros(1500));
        elsewhere.add(Phase::QueueWait, Duration::from_millis(2));
        phases.add(Phase::Decode, Duration::ZERO);
        assert_eq!(phases.get(Phase::Spawn), None);
        assert_eq!(phases.to_string(), r#"{"decode":0.000,"queue_wait":3.500}"#);
    }

    #[test]
    fn a_step_that_is_cancelled_counts() {
        let phases = Phases::default();
        drop(phases.timer(Phase::QueueWait));
        assert!(phases.get(Phase::QueueWait).is_some());
    }

    #[test]
    fn every_phase_has_a_place_and_a_name_of_its_own() {
        let mut names: Vec<_> = Phase::ALL.map(Phase::name).to_vec();
        for (place, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, place, "{}", phase.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Phase::ALL.len());
    }
}
