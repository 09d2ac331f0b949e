//! The switches of providers of Chat Completions.

use polywire_dialect_chat as chat;

use super::{Failure, Switch, off, on, switch};
use crate::check::CheckId;

/// What the profile says now of what a check tries.
pub(super) fn in_force(check: CheckId, profile: &chat::Profile) -> Vec<Switch> {
    match check {
        CheckId::Answer => vec![
            switch(
                "output_limit_field",
                limit_field(profile.output_limit_field),
            ),
            switch("system_role", role(profile.system_role)),
        ],
        CheckId::Usage => vec![switch("usage_in_stream", profile.usage_in_stream)],
        CheckId::ParallelCalls => vec![switch("parallel_tool_calls", profile.parallel_tool_calls)],
        CheckId::DemandedCall => vec![switch("tool_choice", choices(&profile.tool_choice))],
        CheckId::StructuredOutput => {
            vec![switch("structured_output", form(profile.structured_output))]
        }
        CheckId::LateInstructions => {
            vec![switch("late_instructions", late(profile.late_instructions))]
        }
        CheckId::ReasoningReplay => {
            vec![switch("reasoning_back", back(profile.reasoning_back))]
        }
        CheckId::Reachable
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
    profile: &chat::Profile,
) -> Vec<Switch> {
    let refused = failure == Failure::Refused;
    match check {
        CheckId::Answer if refused => {
            let other_field = match profile.output_limit_field {
                chat::OutputLimitField::MaxTokens => chat::OutputLimitField::MaxCompletionTokens,
                chat::OutputLimitField::MaxCompletionTokens => chat::OutputLimitField::MaxTokens,
            };
            let other_role = match profile.system_role {
                chat::SystemRole::System => None,
                chat::SystemRole::Developer => {
                    Some(switch("system_role", role(chat::SystemRole::System)))
                }
            };
            let mut other = vec![switch("output_limit_field", limit_field(other_field))];
            other.extend(off("usage_in_stream", profile.usage_in_stream));
            other.extend(other_role);
            other
        }
        CheckId::Usage if !refused => on("usage_in_stream", profile.usage_in_stream)
            .into_iter()
            .collect(),
        CheckId::ToolCall if refused => {
            let parallel = off("parallel_tool_calls", profile.parallel_tool_calls);
            parallel
                .into_iter()
                .chain(off("strict_tools", profile.strict_tools))
                .collect()
        }
        CheckId::ParallelCalls if !refused => {
            on("parallel_tool_calls", profile.parallel_tool_calls)
                .into_iter()
                .collect()
        }
        CheckId::DemandedCall => {
            use chat::ChoiceForm::{Any, Auto, Named, None, Required};
            let mut other = Vec::new();
            if profile.tool_choice.contains(&Required) {
                other.push(switch("tool_choice", choices(&[Auto, None, Any, Named])));
                other.push(switch("tool_choice", choices(&[Auto, None])));
            }
            other
        }
        CheckId::StructuredOutput => {
            use chat::StructuredOutput::{JsonObject, JsonSchema, Prompt};
            let weaker: &[_] = match profile.structured_output {
                JsonSchema => &[JsonObject, Prompt],
                JsonObject => &[Prompt],
                Prompt => &[],
            };
            weaker
                .iter()
                .map(|weaker| switch("structured_output", form(*weaker)))
                .collect()
        }
        CheckId::LateInstructions => match profile.late_instructions {
            chat::LateInstructions::Note => Vec::new(),
            chat::LateInstructions::Inline | chat::LateInstructions::Hoist => vec![switch(
                "late_instructions",
                late(chat::LateInstructions::Note),
            )],
        },
        CheckId::ReasoningReplay if refused => {
            use chat::ReasoningBack::{None, Reasoning, ReasoningContent};
            [ReasoningContent, Reasoning, None]
                .into_iter()
                .filter(|form| *form != profile.reasoning_back)
                .map(|form| switch("reasoning_back", back(form)))
                .collect()
        }
        CheckId::Answer
        | CheckId::Usage
        | CheckId::ToolCall
        | CheckId::ParallelCalls
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

const fn limit_field(field: chat::OutputLimitField) -> &'static str {
    match field {
        chat::OutputLimitField::MaxTokens => "max_tokens",
        chat::OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
    }
}

const fn role(role: chat::SystemRole) -> &'static str {
    match role {
        chat::SystemRole::System => "system",
        chat::SystemRole::Developer => "developer",
    }
}

const fn form(form: chat::StructuredOutput) -> &'static str {
    match form {
        chat::StructuredOutput::JsonSchema => "json_schema",
        chat::StructuredOutput::JsonObject => "json_object",
        chat::StructuredOutput::Prompt => "prompt",
    }
}

const fn late(late: chat::LateInstructions) -> &'static str {
    match late {
        chat::LateInstructions::Note => "note",
        chat::LateInstructions::Inline => "inline",
        chat::LateInstructions::Hoist => "hoist",
    }
}

const fn back(back: chat::ReasoningBack) -> &'static str {
    match back {
        chat::ReasoningBack::None => "none",
        chat::ReasoningBack::ReasoningContent => "reasoning_content",
        chat::ReasoningBack::Reasoning => "reasoning",
        chat::ReasoningBack::Details => "details",
        chat::ReasoningBack::ContentParts => "content_parts",
        chat::ReasoningBack::TextAndOpaque => "text_and_opaque",
        chat::ReasoningBack::ThinkTags => "think_tags",
    }
}

fn choices(forms: &[chat::ChoiceForm]) -> Vec<&'static str> {
    forms
        .iter()
        .map(|form| match form {
            chat::ChoiceForm::Auto => "auto",
            chat::ChoiceForm::None => "none",
            chat::ChoiceForm::Required => "required",
            chat::ChoiceForm::Any => "any",
            chat::ChoiceForm::Named => "named",
        })
        .collect()
}
