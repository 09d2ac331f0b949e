//! What is tried, and how it can come out.

use serde::Serialize;

/// One thing that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckId {
    /// DNS, TCP, TLS and HTTP.
    Reachable,
    /// The key or the login lets us in.
    Key,
    /// The provider lists its models.
    Models,
    /// A question is answered.
    Answer,
    /// The answer comes in pieces, as the model writes it.
    Streaming,
    /// The provider counts the tokens.
    Usage,
    /// The model calls a tool when it is told to.
    ToolCall,
    /// What a tool answered is taken back.
    ToolResult,
    /// The model calls two tools in one answer.
    ParallelCalls,
    /// A call can be demanded (`tool_choice`).
    DemandedCall,
    /// An answer has the form of a schema.
    StructuredOutput,
    /// Instructions in the middle of a conversation are taken as such.
    LateInstructions,
    /// What the model thinks is shown.
    Reasoning,
    /// What it thought goes back with the result of a tool.
    ReasoningReplay,
    /// The model sees a picture.
    Image,
}

impl CheckId {
    /// Every check, in the order in which it is shown.
    pub const ALL: &'static [CheckId] = &[
        CheckId::Reachable,
        CheckId::Key,
        CheckId::Models,
        CheckId::Answer,
        CheckId::Streaming,
        CheckId::Usage,
        CheckId::ToolCall,
        CheckId::ToolResult,
        CheckId::ParallelCalls,
        CheckId::DemandedCall,
        CheckId::StructuredOutput,
        CheckId::LateInstructions,
        CheckId::Reasoning,
        CheckId::ReasoningReplay,
        CheckId::Image,
    ];

    /// What it is called in a table.
    pub const fn title(self) -> &'static str {
        match self {
            CheckId::Reachable => "reachable",
            CheckId::Key => "key accepted",
            CheckId::Models => "list of models",
            CheckId::Answer => "answer",
            CheckId::Streaming => "streaming",
            CheckId::Usage => "token counts",
            CheckId::ToolCall => "tool call",
            CheckId::ToolResult => "tool result taken back",
            CheckId::ParallelCalls => "two calls at once",
            CheckId::DemandedCall => "call on demand",
            CheckId::StructuredOutput => "answer by a schema",
            CheckId::LateInstructions => "later instructions",
            CheckId::Reasoning => "reasoning shown",
            CheckId::ReasoningReplay => "reasoning taken back",
            CheckId::Image => "picture",
        }
    }

    /// Whether a coding client cannot do without it.
    pub const fn is_essential(self) -> bool {
        match self {
            CheckId::Reachable
            | CheckId::Key
            | CheckId::Answer
            | CheckId::Streaming
            | CheckId::ToolCall
            | CheckId::ToolResult => true,
            CheckId::Models
            | CheckId::Usage
            | CheckId::ParallelCalls
            | CheckId::DemandedCall
            | CheckId::StructuredOutput
            | CheckId::LateInstructions
            | CheckId::Reasoning
            | CheckId::ReasoningReplay
            | CheckId::Image => false,
        }
    }
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It works.
    Works,
    /// It does not.
    Fails,
    /// The model or the provider does not claim to be able to, so nothing was tried or nothing came of it.
    Unsupported,
    /// Something else stood in the way.
    Skipped,
}

impl Outcome {
    /// The words for it in a table.
    pub const fn words(self) -> &'static str {
        match self {
            Outcome::Works => "works",
            Outcome::Fails => "does not work",
            Outcome::Unsupported => "not supported",
            Outcome::Skipped => "skipped",
        }
    }
}

/// A check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Which check.
    pub check: CheckId,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen, or the provider's own words, or why it was skipped.
    pub note: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Checked {
    pub(crate) fn new(check: CheckId, outcome: Outcome, note: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            note: note.into(),
            hint: None,
        }
    }

    pub(crate) fn works(check: CheckId, note: impl Into<String>) -> Self {
        Self::new(check, Outcome::Works, note)
    }

    pub(crate) fn fails(check: CheckId, note: impl Into<String>) -> Self {
        Self::new(check, Outcome::Fails, note)
    }

    pub(crate) fn unsupported(check: CheckId, note: impl Into<String>) -> Self {
        Self::new(check, Outcome::Unsupported, note)
    }

    pub(crate) fn skipped(check: CheckId, because: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, because)
    }

    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_shown_once() {
        for check in CheckId::ALL {
            let times = CheckId::ALL.iter().filter(|other| *other == check).count();
            assert_eq!(times, 1, "{check:?}");
        }
        // The last variant's place tells how many there are.
        assert_eq!(CheckId::ALL.len(), CheckId::Image as usize + 1);
    }
}
