//! Which switches of a provider's profile a check speaks of, and what else they could say.
//!
//! Only switches are here whose other value shows in an answer: a request that is refused with one and answered with the other, or an
//! answer that has the form or has not. The rest of a profile cannot be found out by asking.

use polywire_catalog::Kind;
use polywire_dialect_chat as chat;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;
use serde::Serialize;
use toml::{Table, Value};

use crate::check::CheckId;

/// A switch of a profile and one of its values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Switch {
    /// Its key under `[providers.NAME.profile]`.
    pub key: &'static str,
    /// The value.
    pub value: Value,
}

/// What a check showed of a switch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The check.
    pub check: CheckId,
    /// The switch.
    #[serde(flatten)]
    pub switch: Switch,
    /// Whether the check speaks for this value or against it.
    pub speaks: Speaks,
    /// Whether the value is the one in force.
    pub in_force: bool,
}

/// For or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaks {
    /// It works with this value.
    For,
    /// It does not work with this value, and works with another.
    Against,
}

/// How a check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The provider refused the request.
    Refused,
    /// It answered, but not as it was asked.
    Ignored,
}

/// A profile, as its dialect reads it.
enum Profile {
    Chat(Box<chat::Profile>),
    Messages(Box<messages::Profile>),
    Responses(Box<responses::Profile>),
    /// Nothing can be switched.
    Other,
}

impl Profile {
    fn read(kind: Kind, table: &Table) -> Self {
        let table = table.clone();
        let read = match kind {
            Kind::Chat => table.try_into().map(|read| Profile::Chat(Box::new(read))),
            Kind::Messages => table
                .try_into()
                .map(|read| Profile::Messages(Box::new(read))),
            Kind::Responses | Kind::ChatGpt | Kind::CodexExec | Kind::CodexAppServer => table
                .try_into()
                .map(|read| Profile::Responses(Box::new(read))),
            Kind::CommandCode | Kind::Demo => Ok(Profile::Other),
        };
        // A profile that cannot be read has failed before: the gateway reads it the same way.
        read.unwrap_or(Profile::Other)
    }
}

/// Whether tools of the client are taken at all.
pub(crate) fn takes_tools(kind: Kind, table: &Table) -> bool {
    match Profile::read(kind, table) {
        Profile::Responses(profile) => profile.tools,
        Profile::Chat(_) | Profile::Messages(_) | Profile::Other => true,
    }
}

/// Whether pictures are taken at all.
pub(crate) fn takes_images(kind: Kind, table: &Table) -> bool {
    match Profile::read(kind, table) {
        Profile::Chat(profile) => profile.images,
        Profile::Messages(profile) => profile.images,
        Profile::Responses(profile) => profile.images,
        Profile::Other => true,
    }
}

/// How the form of an answer is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormBy {
    /// The provider is given the schema, and nobody looks at the answer.
    Provider,
    /// The schema is told in words, and polywire looks at the answer.
    Words,
}

/// Who sees to the form of an answer.
pub(crate) fn form_by(kind: Kind, table: &Table) -> FormBy {
    let by_provider = match Profile::read(kind, table) {
        Profile::Chat(profile) => profile.structured_output == chat::StructuredOutput::JsonSchema,
        Profile::Messages(profile) => {
            profile.structured_output == messages::StructuredOutput::OutputConfig
        }
        Profile::Responses(profile) => {
            profile.structured_output != responses::StructuredOutput::Prompt
        }
        Profile::Other => true,
    };
    if by_provider {
        FormBy::Provider
    } else {
        FormBy::Words
    }
}

/// What the profile says now of what a check tries.
pub(crate) fn in_force(check: CheckId, kind: Kind, table: &Table) -> Vec<Switch> {
    match Profile::read(kind, table) {
        Profile::Chat(profile) => chat_in_force(check, &profile),
        Profile::Messages(profile) => messages_in_force(check, &profile),
        Profile::Responses(profile) => responses_in_force(check, &profile),
        Profile::Other => Vec::new(),
    }
}

/// What else the profile could say, the least change first.
pub(crate) fn alternatives(
    check: CheckId,
    failure: Failure,
    kind: Kind,
    table: &Table,
) -> Vec<Switch> {
    match Profile::read(kind, table) {
        Profile::Chat(profile) => chat_alternatives(check, failure, &profile),
        Profile::Messages(profile) => messages_alternatives(check, failure, &profile),
        Profile::Responses(profile) => responses_alternatives(check, failure, &profile),
        Profile::Other => Vec::new(),
    }
}

fn switch(key: &'static str, value: impl Into<Value>) -> Switch {
    Switch {
        key,
        value: value.into(),
    }
}

/// A switch that is on and could be off.
fn off(key: &'static str, is_on: bool) -> Option<Switch> {
    is_on.then(|| switch(key, false))
}

/// A switch that is off and could be on.
fn on(key: &'static str, is_on: bool) -> Option<Switch> {
    (!is_on).then(|| switch(key, true))
}

fn chat_in_force(check: CheckId, profile: &chat::Profile) -> Vec<Switch> {
    match check {
        CheckId::Answer => vec![
            switch(
                "output_limit_field",
                limit_field(profile.output_limit_field),
            ),
            switch("system_role", chat_role(profile.system_role)),
        ],
        CheckId::Usage => vec![switch("usage_in_stream", profile.usage_in_stream)],
        CheckId::ParallelCalls => vec![switch("parallel_tool_calls", profile.parallel_tool_calls)],
        CheckId::DemandedCall => vec![switch("tool_choice", chat_choices(&profile.tool_choice))],
        CheckId::StructuredOutput => {
            vec![switch(
                "structured_output",
                chat_form(profile.structured_output),
            )]
        }
        CheckId::LateInstructions => {
            vec![switch(
                "late_instructions",
                chat_late(profile.late_instructions),
            )]
        }
        CheckId::ReasoningReplay => {
            vec![switch("reasoning_back", chat_back(profile.reasoning_back))]
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

fn chat_alternatives(check: CheckId, failure: Failure, profile: &chat::Profile) -> Vec<Switch> {
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
                    Some(switch("system_role", chat_role(chat::SystemRole::System)))
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
                other.push(switch(
                    "tool_choice",
                    chat_choices(&[Auto, None, Any, Named]),
                ));
                other.push(switch("tool_choice", chat_choices(&[Auto, None])));
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
                .map(|form| switch("structured_output", chat_form(*form)))
                .collect()
        }
        CheckId::LateInstructions => match profile.late_instructions {
            chat::LateInstructions::Note => Vec::new(),
            chat::LateInstructions::Inline | chat::LateInstructions::Hoist => vec![switch(
                "late_instructions",
                chat_late(chat::LateInstructions::Note),
            )],
        },
        CheckId::ReasoningReplay if refused => {
            use chat::ReasoningBack::{None, Reasoning, ReasoningContent};
            [ReasoningContent, Reasoning, None]
                .into_iter()
                .filter(|form| *form != profile.reasoning_back)
                .map(|form| switch("reasoning_back", chat_back(form)))
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

const fn chat_role(role: chat::SystemRole) -> &'static str {
    match role {
        chat::SystemRole::System => "system",
        chat::SystemRole::Developer => "developer",
    }
}

const fn chat_form(form: chat::StructuredOutput) -> &'static str {
    match form {
        chat::StructuredOutput::JsonSchema => "json_schema",
        chat::StructuredOutput::JsonObject => "json_object",
        chat::StructuredOutput::Prompt => "prompt",
    }
}

const fn chat_late(late: chat::LateInstructions) -> &'static str {
    match late {
        chat::LateInstructions::Note => "note",
        chat::LateInstructions::Inline => "inline",
        chat::LateInstructions::Hoist => "hoist",
    }
}

const fn chat_back(back: chat::ReasoningBack) -> &'static str {
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

fn chat_choices(forms: &[chat::ChoiceForm]) -> Vec<&'static str> {
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

fn messages_in_force(check: CheckId, profile: &messages::Profile) -> Vec<Switch> {
    match check {
        CheckId::ParallelCalls => vec![switch("parallel_control", profile.parallel_control)],
        CheckId::StructuredOutput => {
            vec![switch(
                "structured_output",
                messages_form(profile.structured_output),
            )]
        }
        CheckId::LateInstructions => {
            vec![switch(
                "late_instructions",
                messages_late(profile.late_instructions),
            )]
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

fn messages_alternatives(
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
                messages_form(messages::StructuredOutput::Prompt),
            )),
            messages::StructuredOutput::Prompt => None,
        },
        CheckId::LateInstructions => match profile.late_instructions {
            messages::LateInstructions::Inline => Some(switch(
                "late_instructions",
                messages_late(messages::LateInstructions::Note),
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

const fn messages_form(form: messages::StructuredOutput) -> &'static str {
    match form {
        messages::StructuredOutput::OutputConfig => "output_config",
        messages::StructuredOutput::Prompt => "prompt",
    }
}

const fn messages_late(late: messages::LateInstructions) -> &'static str {
    match late {
        messages::LateInstructions::Note => "note",
        messages::LateInstructions::Inline => "inline",
    }
}

fn responses_in_force(check: CheckId, profile: &responses::Profile) -> Vec<Switch> {
    match check {
        CheckId::Answer => vec![switch("instructions_field", profile.instructions_field)],
        CheckId::ParallelCalls => vec![switch("parallel_tool_calls", profile.parallel_tool_calls)],
        CheckId::DemandedCall => {
            vec![switch(
                "tool_choice",
                responses_choices(&profile.tool_choice),
            )]
        }
        CheckId::StructuredOutput => vec![switch(
            "structured_output",
            responses_form(profile.structured_output),
        )],
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

fn responses_alternatives(
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
            let only = switch("tool_choice", responses_choices(&[Auto, None]));
            knows.then_some(only).into_iter().collect()
        }
        CheckId::StructuredOutput => match profile.structured_output {
            responses::StructuredOutput::Prompt => Vec::new(),
            responses::StructuredOutput::JsonSchema | responses::StructuredOutput::SchemaOnly => {
                let form = responses_form(responses::StructuredOutput::Prompt);
                vec![switch("structured_output", form)]
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

const fn responses_form(form: responses::StructuredOutput) -> &'static str {
    match form {
        responses::StructuredOutput::JsonSchema => "json_schema",
        responses::StructuredOutput::SchemaOnly => "schema_only",
        responses::StructuredOutput::Prompt => "prompt",
    }
}

fn responses_choices(forms: &[responses::ChoiceForm]) -> Vec<&'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is proposed must be taken by the gateway: each value is read back by its dialect, and changes the profile.
    #[test]
    fn alternatives_are_values_of_their_profiles() {
        let mut proposed = 0;
        for kind in [Kind::Chat, Kind::Messages, Kind::Responses] {
            for check in CheckId::ALL {
                for failure in [Failure::Refused, Failure::Ignored] {
                    for other in alternatives(*check, failure, kind, &Table::new()) {
                        let mut table = Table::new();
                        table.insert(other.key.to_owned(), other.value.clone());
                        assert!(
                            !matches!(Profile::read(kind, &table), Profile::Other),
                            "{other:?}"
                        );
                        assert!(
                            !in_force(*check, kind, &Table::new()).contains(&other),
                            "{other:?}"
                        );
                        proposed += 1;
                    }
                }
            }
        }
        assert!(proposed > 10, "{proposed}");
    }

    /// The names of values are those of the settings file.
    #[test]
    fn values_in_force_can_be_written() {
        for kind in [Kind::Chat, Kind::Messages, Kind::Responses] {
            for check in CheckId::ALL {
                for now in in_force(*check, kind, &Table::new()) {
                    let mut table = Table::new();
                    table.insert(now.key.to_owned(), now.value.clone());
                    assert_eq!(
                        in_force(*check, kind, &table),
                        in_force(*check, kind, &Table::new())
                    );
                }
            }
        }
    }
}
