//! What could not be carried.

use std::borrow::Cow;

/// Something of a request or an answer that the other side cannot take, or that we changed so that it can.
///
/// A loss is data: it reaches the log, the response header and the turn's receipt. Dropping something without one is a bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What is concerned, as a path or a name: `tools[8] web_search`.
    pub what: Cow<'static, str>,
    /// What became of it and why, in a few words.
    pub why: Cow<'static, str>,
    /// How much it matters.
    pub severity: Severity,
}

/// How much a loss matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The meaning is the same; recorded for whoever looks for the reason of something.
    Note,
    /// The model gets, or the client sees, less than was meant.
    Degraded,
    /// The turn may well fail or mislead because of it. Strict mode refuses such a turn.
    Severe,
}

impl Loss {
    /// A loss that leaves the meaning alone.
    pub fn note(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            severity: Severity::Note,
        }
    }

    /// A loss that makes the turn poorer.
    pub fn degraded(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            severity: Severity::Degraded,
        }
    }

    /// A loss that may spoil the turn.
    pub fn severe(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            severity: Severity::Severe,
        }
    }
}

/// Losses, each of them once.
#[derive(Debug, Default)]
pub struct Losses(pub Vec<Loss>);

impl Losses {
    /// Adds one, unless it is there.
    pub fn add(&mut self, loss: Loss) {
        if !self.0.contains(&loss) {
            self.0.push(loss);
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}
