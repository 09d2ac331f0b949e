//! The switches of providers of Responses.

use polywire_dialect_responses as responses;

use super::{Failure, Switch, off, on, switch};
use crate::check::CheckId;

/// What the profile says now of what a check tries.
pub(super) fn in_force(check: CheckId, profile: &responses::Profile) -> Vec<Switch> {
    match check {
        CheckId::Answer => vec![switch("instructions_field", profile.instructions_field)],
        CheckId::ParallelCalls => vec![switch("parallel_tool_calls", profile.parallel_tool_calls)],
        CheckId::DemandedCall => {
            vec![switch("tool_choice", choices(&profile.tool_choice))]
        }
        CheckId::StructuredOutput => {
            vec![switch("structured_output", form(profile.structured_output))]
        }
        CheckId::ReasoningReplay => {
            vec![switch("encrypted_reasoning", profile.encrypted_reasoning)]
        }
        CheckId::Usage
        | CheckId::LateInstructions
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
    profile: &responses::Profile,
) -> Vec<Switch> {
    let refused = failure == Failure::Refused;
    match check {
        CheckId::Answer if refused => off("instructions_field", profile.instructions_field)
            .into_iter()
            .collect(),
        CheckId::ToolCall if refused => {
            let encrypted = off("encrypted_reasoning", profile.encrypted_reasoning);
            encrypted
                .into_iter()
                .chain(off("parallel_tool_calls", profile.parallel_tool_calls))
                .chain(off("reasoning_summary", profile.reasoning_summary))
                .chain(off("reasoning", profile.reasoning))
                .collect()
        }
        CheckId::DemandedCall => {
            use responses::ChoiceForm::{Auto, None, Required};
            let knows = profile.tool_choice.contains(&Required);
            let only = switch("tool_choice", choices(&[Auto, None]));
            knows.then_some(only).into_iter().collect()
        }
        CheckId::StructuredOutput => match profile.structured_output {
            responses::StructuredOutput::Prompt => Vec::new(),
            responses::StructuredOutput::JsonSchema | responses::StructuredOutput::SchemaOnly => {
                let prompt = form(responses::StructuredOutput::Prompt);
                vec![switch("structured_output", prompt)]
            }
        },
        CheckId::ReasoningReplay if refused => {
            let encrypted = off("encrypted_reasoning", profile.encrypted_reasoning);
            encrypted
                .into_iter()
                .chain(on("reasoning_content_back", profile.reasoning_content_back))
                .collect()
        }
        CheckId::Answer
        | CheckId::Usage
        | CheckId::ToolCall
        | CheckId::ParallelCalls
        | CheckId::LateInstructions
        | CheckId::ReasoningReplay
        | CheckId::Reachable
        | CheckId::Key
        | CheckId::Models
        | CheckId::Streaming
        | CheckId::ToolResult
        | CheckId::Reasoning
        | CheckId::Image => Vec::new(),
    }
}

const fn form(form: responses::StructuredOutput) -> &'static str {
    match form {
        responses::StructuredOutput::JsonSchema => "json_schema",
        responses::StructuredOutput::SchemaOnly => "schema_only",
        responses::StructuredOutput::Prompt => "prompt",
    }
}

fn choices(forms: &[responses::ChoiceForm]) -> Vec<&'static str> {
    forms
        .iter()
        .map(|form| match form {
            responses::ChoiceForm::Auto => "auto",
            responses::ChoiceForm::None => "none",
            responses::ChoiceForm::Required => "required",
            responses::ChoiceForm::Named => "named",
            responses::ChoiceForm::Allowed => "allowed",
        })
        .collect()
}
