//! What a profile cannot carry, in words for people.

use polywire_dialect_chat as chat;
use polywire_dialect_command_code as command_code;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;

use crate::Profile;

/// The words for what is weaker, in the order in which they are shown, and what each means.
pub(crate) const LOSSES: [(&str, &str); 14] = [
    (
        "reasoning not kept",
        "the model's thinking cannot go back with the next turn",
    ),
    ("no images", "pictures are left out"),
    ("no files", "files that are not plain text are left out"),
    (
        "schema in the prompt",
        "the schema of an answer is asked for in words",
    ),
    (
        "JSON without schema",
        "the answer is JSON, and its schema is asked for in words",
    ),
    (
        "schema in the prompt with tools",
        "the schema of an answer goes into words when the request has tools",
    ),
    (
        "no strict tools",
        "the arguments of calls are not held to their schema",
    ),
    (
        "no demanded call",
        "the model cannot be told to call a tool",
    ),
    (
        "no demanded call while thinking",
        "the model can be told to call a tool only when it does not think",
    ),
    (
        "no named call",
        "the model cannot be told which tool to call",
    ),
    (
        "no parallel control",
        "parallel calls cannot be switched off",
    ),
    (
        "tools as functions",
        "free-text tools such as `apply_patch` are offered as functions with one string",
    ),
    (
        "no temperature",
        "`temperature` and `top_p` are left out, because the models refuse them",
    ),
    (
        "no output limit",
        "`max_output_tokens` is left out, so that an answer may be longer than asked for",
    ),
];

/// Which of them a provider with this profile has.
pub(crate) fn losses(profile: &Profile) -> Vec<&'static str> {
    let has: Vec<(&str, bool)> = match profile {
        Profile::Chat(profile) => of_chat(profile),
        Profile::Messages(profile) => of_messages(profile),
        Profile::Responses(profile) => of_responses(profile),
        Profile::CommandCode(profile) => of_command_code(profile),
    };
    for (word, _) in &has {
        assert!(
            LOSSES.iter().any(|(known, _)| known == word),
            "`{word}` is not explained"
        );
    }
    LOSSES
        .iter()
        .map(|(word, _)| *word)
        .filter(|word| has.contains(&(word, true)))
        .collect()
}

fn of_chat(profile: &chat::Profile) -> Vec<(&'static str, bool)> {
    use chat::{ChoiceForm, ReasoningBack, StructuredOutput};
    let choice = &profile.tool_choice;
    let demands = choice.contains(&ChoiceForm::Required) || choice.contains(&ChoiceForm::Any);
    let output = profile.structured_output;
    vec![
        (
            "reasoning not kept",
            profile.reasoning_back == ReasoningBack::None,
        ),
        ("no images", !profile.images),
        ("no files", !profile.files),
        ("schema in the prompt", output == StructuredOutput::Prompt),
        (
            "JSON without schema",
            output == StructuredOutput::JsonObject,
        ),
        (
            "schema in the prompt with tools",
            output != StructuredOutput::Prompt && !profile.structured_output_with_tools,
        ),
        ("no strict tools", !profile.strict_tools),
        ("no demanded call", !demands),
        (
            "no demanded call while thinking",
            demands && !profile.forced_choice_with_thinking,
        ),
        ("no named call", !choice.contains(&ChoiceForm::Named)),
        ("no parallel control", !profile.parallel_tool_calls),
        ("tools as functions", !profile.freeform_tools),
        ("no temperature", !profile.sampling),
    ]
}

fn of_messages(profile: &messages::Profile) -> Vec<(&'static str, bool)> {
    vec![
        ("no images", !profile.images),
        ("no files", !profile.documents),
        (
            "schema in the prompt",
            profile.structured_output == messages::StructuredOutput::Prompt,
        ),
        ("no strict tools", !profile.strict_tools),
        (
            "no demanded call while thinking",
            !profile.forced_choice_with_thinking,
        ),
        ("no parallel control", !profile.parallel_control),
        ("tools as functions", true),
        ("no temperature", !profile.sampling),
    ]
}

fn of_responses(profile: &responses::Profile) -> Vec<(&'static str, bool)> {
    use responses::{ChoiceForm, StructuredOutput};
    let choice = &profile.tool_choice;
    vec![
        (
            "reasoning not kept",
            !profile.encrypted_reasoning && !profile.reasoning_content_back,
        ),
        ("no images", !profile.images),
        ("no files", !profile.files),
        (
            "schema in the prompt",
            profile.structured_output == StructuredOutput::Prompt,
        ),
        ("no strict tools", !profile.strict_tools),
        ("no demanded call", !choice.contains(&ChoiceForm::Required)),
        ("no named call", !choice.contains(&ChoiceForm::Named)),
        ("no parallel control", !profile.parallel_tool_calls),
        ("tools as functions", !profile.freeform_tools),
        ("no temperature", !profile.sampling),
        ("no output limit", !takes_limit(profile)),
    ]
}

fn takes_limit(profile: &responses::Profile) -> bool {
    let limit = "max_output_tokens";
    profile.fields.is_empty() || profile.fields.iter().any(|field| field == limit)
}

/// All but the images is the protocol's own: it has no field for any of it.
fn of_command_code(profile: &command_code::Profile) -> Vec<(&'static str, bool)> {
    vec![
        ("no images", !profile.images),
        ("no files", true),
        ("schema in the prompt", true),
        ("no strict tools", true),
        ("no parallel control", true),
        ("tools as functions", true),
    ]
}
