//! Everything of a body that is neither the conversation nor tools.

use polywire_conversation::{Dialect, Json, Loss, ModelFacts, OutputFormat, Request, Text};
use polywire_wire::{Object, write_array};

use super::Losses;
use super::block::write_text;
use super::thinking::Thinking;
use crate::profile::{Profile, StructuredOutput};

/// The form of the answer, as it is asked for.
pub(super) struct Format<'r> {
    /// The schema for `output_config.format`.
    schema: Option<&'r Json<'r>>,
    /// What the model is told about it in words.
    pub(super) instruction: Option<Text<'r>>,
}

/// Settles how the form of the answer is asked for: in the request or in words. There is no word for an object of any kind.
pub(super) fn format<'r>(
    wanted: &'r OutputFormat<'r>,
    profile: &Profile,
    losses: &mut Losses,
) -> Format<'r> {
    let (schema, instruction) = match (wanted, profile.structured_output) {
        (OutputFormat::Text, _) => (None, None),
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::OutputConfig) => {
            (Some(schema), None)
        }
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::Prompt) => (
            None,
            Some(format!(
                "Answer with one JSON value and nothing else: no text around it, no code fence. It must match this JSON Schema:\n\
                 ```json\n{}\n```",
                schema.as_str()
            )),
        ),
        (OutputFormat::JsonObject, _) => (
            None,
            Some(
                "Answer with one JSON object and nothing else: no text around it, no code fence."
                    .to_owned(),
            ),
        ),
    };
    if instruction.is_some() {
        losses.add(Loss::degraded(
            "text.format",
            "the form of the answer is told to the model in words, because the provider cannot enforce it here",
        ));
    }
    Format {
        schema,
        instruction: instruction.map(Text::plain),
    }
}

/// The limit of the answer, which the protocol insists on.
pub(super) fn max_tokens(
    request: &Request<'_>,
    model: &ModelFacts<'_>,
    profile: &Profile,
    losses: &mut Losses,
) -> u64 {
    let most = model.output_tokens_max;
    let wanted = request.output_tokens_max.or(most);
    let wanted = wanted.unwrap_or(profile.max_tokens_default);
    match most {
        Some(most) if wanted > most => {
            losses.add(Loss::note(
                "max_tokens",
                format!("{most} instead of {wanted}: the model's answers have no more"),
            ));
            most
        }
        Some(_) | None => wanted,
    }
}

/// Writes the settings, each in the form that the provider knows or as a loss.
pub(super) fn write(
    request: &Request<'_>,
    thinking: &Thinking<'_>,
    format: &Format<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    thinking.write(body);
    write_output_config(thinking, format, body);
    write_sampling(request, thinking, profile, body, losses);
    write_stop(request, body, losses);
    write_account(request, profile, body, losses);
    note_what_is_left_out(request, losses);
    write_extra(request, profile, body, losses);
}

fn write_output_config(thinking: &Thinking<'_>, format: &Format<'_>, body: &mut Object<'_>) {
    if thinking.effort.is_none() && format.schema.is_none() {
        return;
    }
    let mut config = Object::open(body.member("output_config"));
    if let Some(effort) = thinking.effort {
        config.string("effort", effort);
    }
    if let Some(schema) = format.schema {
        let mut format = Object::open(config.member("format"));
        format.string("type", "json_schema");
        format.json("schema", schema);
        format.close();
    }
    config.close();
}

/// Thinking takes no temperature but 1, no `top_k`, and no `top_p` below 0.95. Several models refuse temperature and `top_p`
/// together, so that only the first goes out when both are given.
fn write_sampling(
    request: &Request<'_>,
    thinking: &Thinking<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let sampling = &request.sampling;
    let mut temperature_sent = false;
    match &sampling.temperature {
        None => {}
        Some(_) if !profile.sampling => losses.add(no_setting("temperature")),
        // What thinking insists on is what is meant without the field.
        Some(value) if thinking.is_on && number(value) == Some(1.0) => {}
        Some(_) if thinking.is_on => losses.add(not_while_thinking("temperature")),
        Some(value) => {
            temperature_sent = true;
            if number(value).is_some_and(|value| value > 1.0) {
                losses.add(Loss::note(
                    "temperature",
                    format!(
                        "1 instead of {}: the provider takes no more",
                        value.as_str()
                    ),
                ));
                body.raw("temperature", "1");
            } else {
                body.json("temperature", value);
            }
        }
    }
    match &sampling.top_p {
        None => {}
        Some(_) if !profile.sampling => losses.add(no_setting("top_p")),
        Some(value) if thinking.is_on && number(value).is_none_or(|value| value < 0.95) => {
            losses.add(not_while_thinking("top_p"));
        }
        Some(_) if temperature_sent => losses.add(Loss::note(
            "top_p",
            "left out: providers refuse it together with `temperature`",
        )),
        Some(value) => body.json("top_p", value),
    }
    match sampling.top_k {
        None => {}
        Some(_) if !profile.top_k => losses.add(no_setting("top_k")),
        Some(_) if thinking.is_on => losses.add(not_while_thinking("top_k")),
        Some(count) => body.raw("top_k", &count.to_string()),
    }
}

fn number(value: &Json<'_>) -> Option<f64> {
    value.as_str().parse().ok()
}

fn write_stop(request: &Request<'_>, body: &mut Object<'_>, losses: &mut Losses) {
    let says_something = |text: &&Text<'_>| !text.to_plain().trim().is_empty();
    let stops: Vec<&Text<'_>> = request.stop.iter().filter(says_something).collect();
    if stops.len() < request.stop.len() {
        losses.add(Loss::degraded(
            "stop",
            "stop texts of white space only were left out: the provider refuses them",
        ));
    }
    if !stops.is_empty() {
        write_array(stops, body.member("stop_sequences"), write_text);
    }
}

fn write_account(
    request: &Request<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    match &request.user {
        None => {}
        Some(user) if profile.metadata_user => {
            let mut metadata = Object::open(body.member("metadata"));
            metadata.text("user_id", user);
            metadata.close();
        }
        Some(_) => losses.add(Loss::note("user", "left out: it is nobody else's business")),
    }
    match request.service_tier.as_deref() {
        None => {}
        Some(_) if !profile.service_tier => losses.add(no_setting("service_tier")),
        Some("auto") => body.string("service_tier", "auto"),
        Some("default" | "standard" | "standard_only") => {
            body.string("service_tier", "standard_only");
        }
        Some(_) => losses.add(no_setting("service_tier")),
    }
}

fn note_what_is_left_out(request: &Request<'_>, losses: &mut Losses) {
    let sampling = &request.sampling;
    // In this protocol the labels are the user's name and nothing else, which has been dealt with.
    let named = request.dialect == Dialect::Messages && request.user.is_some();
    let given = [
        ("metadata", request.metadata.is_some() && !named),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("text.verbosity", request.verbosity.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        (
            "logprobs",
            sampling.logprobs || sampling.top_logprobs.is_some(),
        ),
    ];
    for (field, given) in given {
        if given {
            losses.add(no_setting(field));
        }
    }
}

/// Fields of the body that the renderer decides about; a key that comes twice would be read one way here and another way there.
const OWN_FIELDS: [&str; 15] = [
    "model",
    "max_tokens",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "stream",
    "thinking",
    "output_config",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
];

/// Writes what the client's own protocol has and the neutral model has not, and then what the profile adds.
fn write_extra(
    request: &Request<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let mut written: Vec<&str> = Vec::new();
    for (key, value) in &request.extra {
        let key: &str = key;
        if request.dialect != Dialect::Messages {
            losses.add(Loss::note(
                key.to_owned(),
                "left out: the provider's protocol has no such field",
            ));
        } else if OWN_FIELDS.contains(&key) || written.contains(&key) {
            losses.add(Loss::note(
                key.to_owned(),
                "left out: the field is written already",
            ));
        } else {
            body.json(key, value);
            written.push(key);
        }
    }
    for (key, value) in &profile.extra_body {
        if OWN_FIELDS.contains(&key.as_str()) || written.contains(&key.as_str()) {
            losses.add(Loss::note(
                format!("extra_body.{key}"),
                "left out: the field is decided from the request",
            ));
        } else {
            body.raw(key, &value.to_string());
        }
    }
}

fn no_setting(field: &'static str) -> Loss {
    Loss::note(field, "left out: the provider has no such setting")
}

fn not_while_thinking(field: &'static str) -> Loss {
    Loss::note(field, "left out: it cannot be set while the model thinks")
}
