//! What is counted: turns where they end, refusals where they are made.
//!
//! Counters of our own rather than a metrics facade: they are counted in two places only, once for each turn, and have to be read
//! back, as JSON too, which a facade cannot do. Each gateway has its own, so that several in one process do not mix.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use polywire_conversation::{Severity, Usage};

use crate::limits::COUNTED_PROVIDERS_MAX;

/// Under which name the providers are counted that come after the last that is counted by its own.
const OTHER_PROVIDERS: &str = "(other)";

/// Where everything is counted.
pub struct Metrics {
    began: Instant,
    counts: Mutex<Counts>,
}

/// What was counted since the gateway began.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Turns that have ended, by who served them and how they ended.
    pub turns: BTreeMap<TurnLabels, u64>,
    /// Turns whose answer came to its end.
    pub ok: u64,
    /// Turns that failed, by the status that says so best. A failure that was told inside a stream counts as the status that it would
    /// have had.
    pub failed_by_status: BTreeMap<u16, u64>,
    /// Turns whose client left first.
    pub client_left: u64,
    /// Requests that were refused before they became a turn, by status.
    pub refused_by_status: BTreeMap<u16, u64>,
    /// Attempts that failed and were followed by another, by provider and class of fault.
    pub failed_attempts: BTreeMap<(String, &'static str), u64>,
    /// Tokens.
    pub tokens: BTreeMap<TokenLabels, u64>,
    /// What could not be carried.
    pub losses: BTreeMap<Severity, u64>,
    /// The time to the first part of the answer, by provider.
    pub first_content: BTreeMap<String, Histogram>,
    /// The providers that are counted by their names.
    providers: BTreeSet<String>,
}

/// Who served a turn, and how it ended. All of them are words of ours or names of configured providers, so that their number is bounded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TurnLabels {
    /// The provider's id; empty when the turn came to none.
    pub provider: String,
    /// The client's dialect.
    pub dialect: &'static str,
    /// Why the model stopped, the class of the fault, or `client_left`.
    pub outcome: &'static str,
}

/// Whose tokens, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenLabels {
    /// The provider's id.
    pub provider: String,
    /// Which part of the usage.
    pub kind: TokenKind,
    /// The provider sent no numbers and these are ours.
    pub estimated: bool,
}

/// A part of the usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenKind {
    /// All input.
    Input,
    /// What of the input was read from a cache.
    Cached,
    /// What of the input was written to a cache.
    CacheWrite,
    /// All output.
    Output,
    /// What of the output was thought.
    Reasoning,
}

impl TokenKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            TokenKind::Input => "input",
            TokenKind::Cached => "cached",
            TokenKind::CacheWrite => "cache_write",
            TokenKind::Output => "output",
            TokenKind::Reasoning => "reasoning",
        }
    }
}

/// How many turns took how long to the first part of their answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many were within each of [`Histogram::BOUNDS`] and above the one before.
    pub within: [u64; Histogram::BOUNDS.len()],
    /// How many there were in all.
    pub count: u64,
    /// All their seconds together.
    pub seconds: f64,
}

impl Histogram {
    /// The upper bounds, in seconds: from a local engine that is warm to a model that thinks for minutes.
    pub const BOUNDS: [f64; 13] = [
        0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
    ];

    fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.count += 1;
        self.seconds += seconds;
        let bound = Self::BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(within) = bound.and_then(|at| self.within.get_mut(at)) {
            *within += 1;
        }
    }
}

/// A turn that has ended.
pub(crate) struct EndedTurn<'t> {
    pub(crate) provider: &'t str,
    pub(crate) dialect: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) ending: Ending,
    /// The providers that failed before, and how.
    pub(crate) failed_attempts: Vec<(&'t str, &'static str)>,
    pub(crate) usage: Option<Usage>,
    pub(crate) losses: Vec<Severity>,
    pub(crate) first_content: Option<Duration>,
}

/// How a turn ended, as it is counted.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    Ok,
    Failed { status: u16 },
    ClientLeft,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            counts: Mutex::default(),
        }
    }
}

impl Metrics {
    /// How long the gateway has been there.
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.change(|counts| counts.clone())
    }

    /// A request was refused before it became a turn, with this status.
    pub fn refused(&self, status: u16) {
        self.change(|counts| *counts.refused_by_status.entry(status).or_default() += 1);
    }

    pub(crate) fn ended(&self, turn: EndedTurn<'_>) {
        self.change(|counts| counts.ended(turn));
    }

    /// The lock is held for some additions, once for a turn.
    fn change<R>(&self, change: impl FnOnce(&mut Counts) -> R) -> R {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counts {
    /// Turns and refusals, however they ended.
    pub fn requests(&self) -> u64 {
        self.ok + self.errors() + self.client_left
    }

    /// Turns that failed, and refusals.
    pub fn errors(&self) -> u64 {
        self.errors_by_status().values().sum()
    }

    /// Turns that failed and refusals together, by status.
    pub fn errors_by_status(&self) -> BTreeMap<u16, u64> {
        let mut errors = self.failed_by_status.clone();
        for (status, count) in &self.refused_by_status {
            *errors.entry(*status).or_default() += count;
        }
        errors
    }

    fn ended(&mut self, turn: EndedTurn<'_>) {
        match turn.ending {
            Ending::Ok => self.ok += 1,
            Ending::Failed { status } => *self.failed_by_status.entry(status).or_default() += 1,
            Ending::ClientLeft => self.client_left += 1,
        }
        for (provider, fault) in turn.failed_attempts {
            let provider = self.counted_as(provider);
            *self.failed_attempts.entry((provider, fault)).or_default() += 1;
        }
        for severity in turn.losses {
            *self.losses.entry(severity).or_default() += 1;
        }
        let provider = self.counted_as(turn.provider);
        if let Some(usage) = turn.usage {
            self.used(&provider, &usage);
        }
        if let Some(took) = turn.first_content {
            let times = self.first_content.entry(provider.clone()).or_default();
            times.observe(took);
        }
        let labels = TurnLabels {
            provider,
            dialect: turn.dialect,
            outcome: turn.outcome,
        };
        *self.turns.entry(labels).or_default() += 1;
    }

    fn used(&mut self, provider: &str, usage: &Usage) {
        let parts = [
            (TokenKind::Input, usage.input),
            (TokenKind::Cached, usage.cached),
            (TokenKind::CacheWrite, usage.cache_write),
            (TokenKind::Output, usage.output),
            (TokenKind::Reasoning, usage.reasoning),
        ];
        for (kind, tokens) in parts {
            let Some(tokens) = tokens else { continue };
            let labels = TokenLabels {
                provider: provider.to_owned(),
                kind,
                estimated: usage.estimated,
            };
            let sum = self.tokens.entry(labels).or_default();
            *sum = sum.saturating_add(tokens);
        }
    }

    /// The name that a provider is counted under. Settings that change for years under a running gateway must not make its memory grow.
    fn counted_as(&mut self, provider: &str) -> String {
        if !self.providers.contains(provider) {
            if self.providers.len() == COUNTED_PROVIDERS_MAX {
                return OTHER_PROVIDERS.to_owned();
            }
            self.providers.insert(provider.to_owned());
        }
        provider.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(metrics: &Metrics, provider: &str, ending: Ending) {
        metrics.ended(EndedTurn {
            provider,
            dialect: "chat",
            outcome: "stop",
            ending,
            failed_attempts: vec![("slow", "timeout")],
            usage: Some(Usage {
                input: Some(10),
                output: Some(2),
                ..Usage::default()
            }),
            losses: vec![Severity::Note, Severity::Severe, Severity::Note],
            first_content: Some(Duration::from_millis(50)),
        });
    }

    #[test]
    fn everything_is_counted_once() {
        let metrics = Metrics::default();
        count(&metrics, "house", Ending::Ok);
        count(&metrics, "house", Ending::Ok);
        count(&metrics, "house", Ending::Failed { status: 502 });
        count(&metrics, "house", Ending::ClientLeft);
        metrics.refused(502);
        metrics.refused(401);
        let counts = metrics.counts();
        assert_eq!((counts.requests(), counts.ok, counts.errors()), (6, 2, 3));
        assert_eq!(counts.errors_by_status(), [(401, 1), (502, 2)].into());
        assert_eq!(counts.failed_attempts[&("slow".to_owned(), "timeout")], 4);
        assert_eq!(
            counts.losses,
            [(Severity::Note, 8), (Severity::Severe, 4)].into()
        );
        let tokens: Vec<_> = counts
            .tokens
            .iter()
            .map(|(labels, sum)| (labels.kind.name(), *sum))
            .collect();
        assert_eq!(tokens, [("input", 40), ("output", 8)]);
        let times = &counts.first_content["house"];
        assert_eq!((times.count, times.within[1]), (4, 4));
    }

    #[test]
    fn times_beyond_the_last_bound_count_in_all() {
        let mut times = Histogram::default();
        times.observe(Duration::from_secs(301));
        times.observe(Duration::from_mins(5));
        assert_eq!((times.count, times.within.iter().sum::<u64>()), (2, 1));
    }

    #[test]
    fn the_number_of_providers_is_bounded() {
        let metrics = Metrics::default();
        // `slow` is one of them: it failed first.
        for number in 0..COUNTED_PROVIDERS_MAX + 9 {
            count(&metrics, &format!("provider-{number}"), Ending::Ok);
        }
        count(&metrics, "provider-0", Ending::Ok);
        let counts = metrics.counts();
        let of = |provider: &str| {
            counts.turns[&TurnLabels {
                provider: provider.to_owned(),
                dialect: "chat",
                outcome: "stop",
            }]
        };
        assert_eq!((of("provider-0"), of(OTHER_PROVIDERS)), (2, 10));
        assert_eq!(counts.turns.len(), COUNTED_PROVIDERS_MAX);
    }
}
