//! The switches of providers of Messages.

use polywire_dialect_messages as messages;

use super::{Failure, Switch, off, switch};
use crate::check::CheckId;

/// What the profile says now of what a check tries.
pub(super) fn in_force(check: CheckId, profile: &messages::Profile) -> Vec<Switch> {
    match check {
        CheckId::ParallelCalls => vec![switch("parallel_control", profile.parallel_control)],
        CheckId::StructuredOutput => {
            vec![switch("structured_output", form(profile.structured_output))]
        }
        CheckId::LateInstructions => {
            vec![switch("late_instructions", late(profile.late_instructions))]
        }
        CheckId::Answer
        | CheckId::Usage
        | CheckId::DemandedCall
        | CheckId::ReasoningReplay
        | CheckId::Reachable
        | CheckId::Key
        | CheckId::Models
        | CheckId::Streaming
        | CheckId::ToolCall
        | CheckId::ToolResult
        | CheckId::Reasoning
        | CheckId::Image => Vec::new(),
    }
}

/// What else it could say.
pub(super) fn alternatives(
    check: CheckId,
    failure: Failure,
    profile: &messages::Profile,
) -> Vec<Switch> {
    let refused = failure == Failure::Refused;
    let other = match check {
        CheckId::ToolCall if refused => off("strict_tools", profile.strict_tools),
        CheckId::StructuredOutput => match profile.structured_output {
            messages::StructuredOutput::OutputConfig => Some(switch(
                "structured_output",
                form(messages::StructuredOutput::Prompt),
            )),
            messages::StructuredOutput::Prompt => None,
        },
        CheckId::LateInstructions => match profile.late_instructions {
            messages::LateInstructions::Inline => Some(switch(
                "late_instructions",
                late(messages::LateInstructions::Note),
            )),
            messages::LateInstructions::Note => None,
        },
        CheckId::ReasoningReplay if refused => off("unsigned_thinking", profile.unsigned_thinking),
        CheckId::ParallelCalls
        | CheckId::Answer
        | CheckId::Usage
        | CheckId::ToolCall
        | CheckId::DemandedCall
        | CheckId::ReasoningReplay
        | CheckId::Reachable
        | CheckId::Key
        | CheckId::Models
        | CheckId::Streaming
        | CheckId::ToolResult
        | CheckId::Reasoning
        | CheckId::Image => None,
    };
    other.into_iter().collect()
}

const fn form(form: messages::StructuredOutput) -> &'static str {
    match form {
        messages::StructuredOutput::OutputConfig => "output_config",
        messages::StructuredOutput::Prompt => "prompt",
    }
}

const fn late(late: messages::LateInstructions) -> &'static str {
    match late {
        messages::LateInstructions::Note => "note",
        messages::LateInstructions::Inline => "inline",
    }
}
