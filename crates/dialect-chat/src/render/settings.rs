//! Everything of a body that is neither messages nor tools.

use polywire_conversation::{Json, Loss, OutputFormat, Request, Text};

use super::Losses;
use super::choice::Chosen;
use crate::profile::{OutputLimitField, Profile, ReasoningForm, StructuredOutput};
use polywire_conversation::effort;
use polywire_wire::Object;

/// The form of the answer, as it is asked for.
pub(super) struct Format<'r> {
    response_format: Option<ResponseFormat<'r>>,
    /// What the model is told about it in words.
    pub(super) instruction: Option<Text<'r>>,
}

enum ResponseFormat<'r> {
    JsonObject,
    JsonSchema {
        name: &'r str,
        description: Option<&'r Text<'r>>,
        schema: &'r Json<'r>,
        strict: Option<bool>,
    },
}

/// Settles how the form of the answer is asked for: in the request, in words, or both.
pub(super) fn format<'r>(
    wanted: &'r OutputFormat<'r>,
    with_tools: bool,
    profile: &Profile,
    losses: &mut Losses,
) -> Format<'r> {
    let support = if with_tools && !profile.structured_output_with_tools {
        StructuredOutput::Prompt
    } else {
        profile.structured_output
    };
    let (response_format, instruction) = match (wanted, support) {
        (OutputFormat::Text, _) => (None, None),
        (OutputFormat::JsonObject, StructuredOutput::JsonObject | StructuredOutput::JsonSchema) => {
            (Some(ResponseFormat::JsonObject), None)
        }
        (OutputFormat::JsonObject, StructuredOutput::Prompt) => (
            None,
            Some(
                "Answer with one JSON object and nothing else: no text around it, no code fence."
                    .to_owned(),
            ),
        ),
        (
            OutputFormat::JsonSchema {
                name,
                description,
                schema,
                strict,
            },
            StructuredOutput::JsonSchema,
        ) => {
            let response_format = ResponseFormat::JsonSchema {
                name,
                description: description.as_ref(),
                schema,
                strict: *strict,
            };
            (Some(response_format), None)
        }
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::JsonObject) => (
            Some(ResponseFormat::JsonObject),
            Some(schema_in_words(schema)),
        ),
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::Prompt) => {
            (None, Some(schema_in_words(schema)))
        }
    };
    if instruction.is_some() {
        losses.add(Loss::degraded(
            "text.format",
            "the form of the answer is told to the model in words, because the provider cannot enforce it here",
        ));
    }
    Format {
        response_format,
        instruction: instruction.map(Text::plain),
    }
}

fn schema_in_words(schema: &Json<'_>) -> String {
    format!(
        "Answer with one JSON value and nothing else: no text around it, no code fence. It must match this JSON Schema:\n\
         ```json\n{}\n```",
        schema.as_str()
    )
}

/// Writes the settings, each in the form that the provider knows or as a loss.
pub(super) fn write(
    request: &Request<'_>,
    chosen: &Chosen<'_>,
    format: &Format<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    body.flag("stream", true);
    if profile.usage_in_stream {
        body.raw("stream_options", r#"{"include_usage":true}"#);
    }
    write_parallel(request, chosen, profile, body, losses);
    write_limit_and_sampling(request, profile, body, losses);
    write_reasoning(request, profile, body, losses);
    write_format(format, body);
    write_extensions(request, profile, body, losses);
    write_extra(profile, body, losses);
}

fn write_parallel(
    request: &Request<'_>,
    chosen: &Chosen<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    match request.parallel_tool_calls {
        Some(_) | None if chosen.tools.is_empty() => {}
        Some(parallel) if profile.parallel_tool_calls => body.flag("parallel_tool_calls", parallel),
        Some(false) => losses.add(Loss::degraded(
            "parallel_tool_calls",
            "the provider cannot be kept from calling several tools at once",
        )),
        Some(true) | None => {}
    }
}

fn write_limit_and_sampling(
    request: &Request<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    if let Some(limit) = request.output_tokens_max {
        let field = match profile.output_limit_field {
            OutputLimitField::MaxTokens => "max_tokens",
            OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
        };
        body.raw(field, &limit.to_string());
    }
    let sampling = [
        ("temperature", &request.sampling.temperature),
        ("top_p", &request.sampling.top_p),
    ];
    for (field, value) in sampling {
        match value {
            Some(value) if profile.sampling => body.json(field, value),
            Some(_) => losses.add(left_out(field)),
            None => {}
        }
    }
    match request.sampling.top_logprobs {
        Some(count) if profile.logprobs => {
            body.flag("logprobs", true);
            body.raw("top_logprobs", &count.to_string());
        }
        Some(_) => losses.add(left_out("top_logprobs")),
        None => {}
    }
}

fn write_reasoning(
    request: &Request<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let Some(wanted) = request.reasoning.effort.as_deref() else {
        return;
    };
    let thinks = !effort::is_off(wanted);
    let effort = allowed_effort(wanted, profile, losses);
    match profile.reasoning_request {
        ReasoningForm::None => {
            losses.add(left_out("reasoning.effort"));
            return;
        }
        ReasoningForm::ReasoningEffort => {}
        ReasoningForm::ReasoningObject => {
            let out = body.member("reasoning");
            let mut reasoning = Object::open(out);
            match effort {
                Some(effort) => reasoning.string("effort", effort),
                None => reasoning.flag("enabled", thinks),
            }
            reasoning.close();
            return;
        }
        ReasoningForm::ThinkingToggle => write_thinking(thinks, profile, body),
        ReasoningForm::EnableThinking => body.flag("enable_thinking", thinks),
        ReasoningForm::ChatTemplate => body.raw(
            "chat_template_kwargs",
            if thinks {
                r#"{"thinking":true,"enable_thinking":true}"#
            } else {
                r#"{"thinking":false,"enable_thinking":false}"#
            },
        ),
    }
    if let Some(effort) = effort {
        body.string("reasoning_effort", effort);
    }
}

fn write_thinking(thinks: bool, profile: &Profile, body: &mut Object<'_>) {
    let mut thinking = Object::open(body.member("thinking"));
    thinking.string("type", if thinks { "enabled" } else { "disabled" });
    if thinks {
        for (key, value) in profile
            .thinking_extra
            .iter()
            .filter(|(key, _)| *key != "type")
        {
            thinking.raw(key, &value.to_string());
        }
    }
    thinking.close();
}

/// The effort to ask for by name, if any.
fn allowed_effort<'a>(
    wanted: &'a str,
    profile: &'a Profile,
    losses: &mut Losses,
) -> Option<&'a str> {
    let listed: Vec<&str> = profile.efforts.iter().map(String::as_str).collect();
    let allowed: &[&str] = match profile.reasoning_request {
        ReasoningForm::None => return None,
        ReasoningForm::ReasoningEffort | ReasoningForm::ReasoningObject if listed.is_empty() => {
            &["low", "medium", "high"]
        }
        ReasoningForm::ReasoningEffort => &listed,
        // "Off" is spelled in another field there.
        ReasoningForm::ReasoningObject
        | ReasoningForm::ThinkingToggle
        | ReasoningForm::EnableThinking
        | ReasoningForm::ChatTemplate => {
            if effort::is_off(wanted) || listed.is_empty() {
                return None;
            }
            &listed
        }
    };
    let chosen = effort::nearest(wanted, allowed);
    match chosen {
        Some(chosen) if chosen == wanted => {}
        Some(chosen) => losses.add(Loss::note(
            "reasoning.effort",
            format!("`{chosen}` instead of `{wanted}`, which the provider does not know"),
        )),
        None => losses.add(Loss::note(
            "reasoning.effort",
            format!("`{wanted}` was left out: no effort that the provider knows comes near it"),
        )),
    }
    chosen
}

fn write_format(format: &Format<'_>, body: &mut Object<'_>) {
    match &format.response_format {
        None => {}
        Some(ResponseFormat::JsonObject) => {
            body.raw("response_format", r#"{"type":"json_object"}"#);
        }
        Some(ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        }) => {
            let mut response_format = Object::open(body.member("response_format"));
            response_format.string("type", "json_schema");
            let mut json_schema = Object::open(response_format.member("json_schema"));
            json_schema.string("name", name);
            if let Some(description) = description {
                json_schema.text("description", description);
            }
            json_schema.json("schema", schema);
            if let Some(strict) = strict {
                json_schema.flag("strict", *strict);
            }
            json_schema.close();
            response_format.close();
        }
    }
}

fn write_extensions(
    request: &Request<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    match (&request.cache_key, &profile.cache_key_field) {
        (Some(key), Some(field)) => body.text(field, key),
        (Some(_), None) => losses.add(left_out("prompt_cache_key")),
        (None, _) => {}
    }
    match &request.service_tier {
        Some(tier) if profile.service_tier => body.string("service_tier", tier),
        Some(_) => losses.add(left_out("service_tier")),
        None => {}
    }
    match &request.verbosity {
        Some(verbosity) if profile.verbosity => body.string("verbosity", verbosity),
        Some(_) => losses.add(left_out("text.verbosity")),
        None => {}
    }
}

/// Fields of the body that the renderer decides about; a key that comes twice would be read one way here and another way there.
const OWN_FIELDS: [&str; 14] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "logprobs",
    "top_logprobs",
    "response_format",
];

/// The same, for a provider whose thinking is steered by the request.
const OWN_REASONING_FIELDS: [&str; 5] = [
    "reasoning",
    "reasoning_effort",
    "thinking",
    "enable_thinking",
    "chat_template_kwargs",
];

fn write_extra(profile: &Profile, body: &mut Object<'_>, losses: &mut Losses) {
    for (key, value) in &profile.extra_body {
        let steers_thinking = profile.reasoning_request != ReasoningForm::None;
        let own = OWN_FIELDS.contains(&key.as_str())
            || (steers_thinking && OWN_REASONING_FIELDS.contains(&key.as_str()))
            || profile.cache_key_field.as_ref() == Some(key)
            || (key == "service_tier" && profile.service_tier)
            || (key == "verbosity" && profile.verbosity);
        if own {
            losses.add(Loss::note(
                format!("extra_body.{key}"),
                "left out: the field is decided from the request",
            ));
        } else {
            body.raw(key, &value.to_string());
        }
    }
}

fn left_out(field: &'static str) -> Loss {
    Loss::note(field, "left out: the provider has no such setting")
}
