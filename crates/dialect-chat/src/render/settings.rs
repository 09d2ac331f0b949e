//! Everything of a body that is neither messages nor tools.

use polywire_conversation::{Json, Loss, OutputFormat, Request, Sampling, Text};

use super::choice::Chosen;
use super::{Losses, extra, schema, thinking};
use crate::profile::{OutputLimitField, Profile, StructuredOutput};
use polywire_wire::{Object, write_array};

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

/// A schema as the model is told it. Whoever reads it is no validator, so it stays as the client wrote it.
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
    thinking::write(request, profile, body, losses);
    write_format(format, profile, body, losses);
    write_extensions(request, profile, body, losses);
    extra::write(request, profile, body, losses);
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
    let sampling = &request.sampling;
    let numbers = [
        ("temperature", &sampling.temperature, profile.sampling),
        ("top_p", &sampling.top_p, profile.sampling),
        (
            "frequency_penalty",
            &sampling.frequency_penalty,
            profile.penalties,
        ),
        (
            "presence_penalty",
            &sampling.presence_penalty,
            profile.penalties,
        ),
        ("seed", &sampling.seed, profile.seed),
    ];
    for (field, value, known) in numbers {
        match value {
            Some(value) if known => body.json(field, value),
            Some(_) => losses.add(left_out(field)),
            None => {}
        }
    }
    match sampling.top_k {
        Some(count) if profile.top_k => body.raw("top_k", &count.to_string()),
        Some(_) => losses.add(left_out("top_k")),
        None => {}
    }
    write_logprobs(sampling, profile, body, losses);
    write_stop(&request.stop, profile, body, losses);
}

fn write_logprobs(
    sampling: &Sampling<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    if !sampling.logprobs && sampling.top_logprobs.is_none() {
        return;
    }
    if !profile.logprobs {
        losses.add(left_out(match sampling.top_logprobs {
            Some(_) => "top_logprobs",
            None => "logprobs",
        }));
        return;
    }
    body.flag("logprobs", true);
    if let Some(count) = sampling.top_logprobs {
        body.raw("top_logprobs", &count.to_string());
    }
}

/// Writes as many stop texts as the provider takes. Whoever reads the answer has to look for the others.
fn write_stop(stop: &[Text<'_>], profile: &Profile, body: &mut Object<'_>, losses: &mut Losses) {
    let sent = &stop[..stop.len().min(profile.stop_max)];
    if !sent.is_empty() {
        write_array(sent, body.member("stop"), Text::write_string);
    }
    if sent.len() < stop.len() {
        losses.add(Loss::note(
            "stop",
            format!(
                "{} of {} were left out: the provider takes {}; the answer is cut there on its way instead",
                stop.len() - sent.len(),
                stop.len(),
                profile.stop_max
            ),
        ));
    }
}

fn write_format(
    format: &Format<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
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
            let lowered = schema::lower(schema, "text.format", profile, losses);
            json_schema.raw("schema", &lowered.json);
            match strict {
                Some(true) if !lowered.strict_possible => losses.add(Loss::degraded(
                    "text.format",
                    "`strict` was left out: the provider does not hold answers to such a schema",
                )),
                Some(strict) => json_schema.flag("strict", *strict),
                None => {}
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
    match &request.user {
        Some(user) if profile.user => body.text("user", user),
        Some(_) => losses.add(Loss::note(
            "user",
            "left out: it names a person, and the profile does not ask for it",
        )),
        None => {}
    }
    match &request.metadata {
        Some(metadata) if profile.metadata => body.json("metadata", metadata),
        Some(_) => losses.add(left_out("metadata")),
        None => {}
    }
}

pub(super) fn left_out(field: &'static str) -> Loss {
    Loss::note(field, "left out: the provider has no such setting")
}
