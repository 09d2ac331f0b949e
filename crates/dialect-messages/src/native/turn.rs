//! Whether the turn at work may go on with thinking.

use serde_json::value::RawValue;

use super::patch::Members;
use crate::read::wire;

/// What a message that goes out is made of.
pub(super) struct Outline {
    is_assistant: bool,
    blocks: Vec<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Thinking,
    Result,
    Other,
}

impl Outline {
    /// The outline of a message of which these blocks go out.
    pub(super) fn new<'b>(
        message: &Members<'_>,
        blocks: impl Iterator<Item = &'b RawValue>,
    ) -> Self {
        let is_assistant = message
            .all("role")
            .any(|role| wire::string(Some(role)).as_deref() == Some("assistant"));
        Self {
            is_assistant,
            blocks: blocks.map(kind).collect(),
        }
    }

    fn is_results(&self) -> bool {
        !self.blocks.is_empty() && self.blocks.iter().all(|kind| *kind == Kind::Result)
    }
}

fn kind(block: &RawValue) -> Kind {
    let members = Members::read(block.get()).unwrap_or_default();
    let tag = members.all("type").next();
    match wire::string(tag).as_deref() {
        Some("thinking" | "redacted_thinking") => Kind::Thinking,
        Some("tool_result") => Kind::Result,
        Some(_) | None => Kind::Other,
    }
}

/// Whether the tools answer a turn of the model that does not begin with thinking, as it is when another model has begun it. While
/// thinking is switched on with a budget, the provider refuses that ("Expected `thinking` or `redacted_thinking`, but found
/// `tool_use`").
///
/// A turn goes from what the user said to the answer, over all rounds of calls; messages that hold results only do not divide it.
pub(super) fn lacks_its_thinking(messages: &[Outline]) -> bool {
    let mut spoken = messages.iter().rev();
    let answers = spoken
        .next()
        .is_some_and(|last| !last.is_assistant && last.blocks.first() == Some(&Kind::Result));
    if !answers {
        return false;
    }
    let turn = spoken.take_while(|message| message.is_assistant || message.is_results());
    let beginning = turn.filter(|message| message.is_assistant).last();
    beginning.is_some_and(|message| message.blocks.first() != Some(&Kind::Thinking))
}

/// Whether this is the setting that switches thinking on with a budget.
pub(super) fn is_by_budget(thinking: &RawValue) -> bool {
    let members = Members::read(thinking.get()).unwrap_or_default();
    let tag = members.only("type");
    wire::string(tag).as_deref() == Some("enabled")
}
