//! What a check found, and what to do about it.

use serde::Serialize;

/// How much a finding matters, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing need be done.
    Notice,
    /// Something will not work as one might think.
    Warning,
    /// Something does not work.
    Problem,
}

impl Severity {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Problem => "problem",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A word for programs, the same in every release: `wire_api_chat`.
    pub(crate) id: &'static str,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// Where: a file with its line, a provider, an address, a variable.
    pub(crate) place: Option<String>,
    /// What was found, in a sentence.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Finding {
    fn new(severity: Severity, id: &'static str, what: impl Into<String>) -> Self {
        Self {
            id,
            severity,
            place: None,
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn ok(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(Severity::Ok, id, what)
    }

    pub(crate) fn notice(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(Severity::Notice, id, what)
    }

    pub(crate) fn warning(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, id, what)
    }

    pub(crate) fn problem(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(Severity::Problem, id, what)
    }

    /// The same, at this place.
    pub(crate) fn at(mut self, place: impl std::fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// The same, with what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
