//! Request bodies to neutral requests.
//!
//! The body is read once into wire structs that borrow from it (`body`, `items`), with every text left as it is written; the
//! structs are then turned into the neutral model, type by type. Only when something is wrong is it read again, to name the
//! place of the mistake.

mod body;
mod hosted;
mod items;
mod parts;
mod settings;
mod tools;

use std::borrow::Cow;

use polywire_conversation::{
    Fault, FaultClass, Item, Json, Loss, Message, Part, Request, Role, Sampling,
};
use serde_json::value::RawValue;

use crate::echo::Repeated;
use crate::{Client, Echo};
use body::{Body, Input, WireSettings};
use polywire_wire::{At, Field, field, read};

/// A request, and what the answer repeats of it.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The request; borrows from the body.
    pub request: Request<'a>,
    /// What the response object repeats of the request.
    pub echo: Echo,
    /// The response that the conversation goes on from; the items of the request then come behind those of that response. Only
    /// [`parse_for_store`] lets it through.
    pub previous_response_id: Option<Cow<'a, str>>,
    /// Whether the response is to be kept; the protocol's default is that it is.
    pub store: bool,
}

/// Reads the body of `POST /v1/responses`.
///
/// Texts are not decoded and not copied. Fields that only a provider of this protocol may know are in [`Request::extra`], and what
/// nobody carries is in [`Request::losses`]; items, parts and tools of unknown types are kept as such. Members that are given twice are refused.
///
/// # Errors
/// A fault of class `invalid_request` that names the field at fault: the body is not a JSON object in UTF-8, has a value of a
/// wrong type or one that nests deeper than [`NESTING_MAX`](polywire_wire::NESTING_MAX), lacks a required one, or asks for something
/// that would need stored responses.
pub fn parse(body: &[u8], client: Client) -> Result<Parsed<'_>, Fault> {
    parse_as(body, client, false)
}

/// Reads the body of `POST /v1/responses` for whoever keeps responses: [`Parsed::previous_response_id`] is not refused, and whoever
/// calls this must look at it and at [`Parsed::store`].
///
/// # Errors
/// As [`parse`].
pub fn parse_for_store(body: &[u8], client: Client) -> Result<Parsed<'_>, Fault> {
    parse_as(body, client, true)
}

fn parse_as(body: &[u8], client: Client, stores: bool) -> Result<Parsed<'_>, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(&error))?;
    let mut body: Body<'_> = read(text, &At::Body)?;
    refuse_stored(&body.settings, stores)?;
    let previous = top(body.settings.previous_response_id, "previous_response_id").name()?;
    let store = top(body.settings.store, "store").flag()?;
    let mut losses: Vec<Loss> = body.too_many().into_iter().collect();
    if store == Some(true) && !stores {
        losses.push(Loss::note("store", "the response is not stored"));
    }
    let mut extra = of_this_protocol(&body.settings)?;
    extra.extend(body.take_unknown());
    let tools = body.tools.unwrap_or_default();
    let (items, compact) = conversation(body.input, text, &mut losses)?;
    let mut request = Request {
        tools: tools::tools(&tools, &At::Body.key("tools"))?,
        items,
        compact,
        extra,
        ..read_settings(&body.settings, &mut losses)?
    };
    request.losses = losses;
    tools::settle_default_namespace(&mut request);
    let echo = match client {
        Client::Codex => Echo::default(),
        Client::Sdk => echo(&body.settings, &request, tools)?,
    };
    Ok(Parsed {
        request,
        echo,
        previous_response_id: previous,
        store: store.unwrap_or(true),
    })
}

/// Everything of a request but its conversation and its tools.
fn read_settings<'a>(
    wire: &WireSettings<'a>,
    losses: &mut Vec<Loss>,
) -> Result<Request<'a>, Fault> {
    let (format, verbosity) = settings::text(top(wire.text, "text"))?;
    Ok(Request {
        model: top(wire.model, "model").required_name()?,
        stream: top(wire.stream, "stream").flag()?.unwrap_or(false),
        instructions: top(wire.instructions, "instructions").text()?,
        tool_choice: settings::tool_choice(top(wire.tool_choice, "tool_choice"))?,
        parallel_tool_calls: top(wire.parallel_tool_calls, "parallel_tool_calls").flag()?,
        output_tokens_max: output_tokens_max(top(wire.max_output_tokens, "max_output_tokens"))?,
        sampling: Sampling {
            temperature: top(wire.temperature, "temperature").number()?,
            top_p: top(wire.top_p, "top_p").number()?,
            logprobs: wire.top_logprobs.is_some() || includes_logprobs(wire),
            top_logprobs: top(wire.top_logprobs, "top_logprobs").count()?,
            frequency_penalty: top(wire.frequency_penalty, "frequency_penalty").number()?,
            presence_penalty: top(wire.presence_penalty, "presence_penalty").number()?,
            ..Sampling::default()
        },
        reasoning: settings::reasoning(top(wire.reasoning, "reasoning"), losses)?,
        format,
        verbosity,
        cache_key: top(wire.prompt_cache_key, "prompt_cache_key").text()?,
        service_tier: top(wire.service_tier, "service_tier").name()?,
        user: top(wire.user, "user").text()?,
        metadata: top(wire.metadata, "metadata").object_as_written()?,
        ..Request::default()
    })
}

/// Whether `include` names probabilities. Everything else that it can name is sent in any case, or cannot be had.
fn includes_logprobs(wire: &WireSettings<'_>) -> bool {
    wire.include
        .is_some_and(|include| include.get().contains("\"message.output_text.logprobs\""))
}

/// A field of the request itself.
fn top<'a>(raw: Option<&'a RawValue>, key: &'static str) -> Field<'a, 'static> {
    field(raw, &At::Body, key)
}

#[cold]
fn not_utf8(error: &std::str::Utf8Error) -> Fault {
    Fault::new(
        FaultClass::InvalidRequest,
        format!(
            "the request body is not UTF-8 from byte {} on",
            error.valid_up_to()
        ),
    )
}

/// The items of the conversation, and whether a summary of them is wanted.
fn conversation<'a>(
    input: Option<Input<'a>>,
    text: &'a str,
    losses: &mut Vec<Loss>,
) -> Result<(Vec<Item<'a>>, bool), Fault> {
    match input {
        Some(Input::Items(wires)) => {
            let (wires, compact) = items::split_trigger(&wires);
            Ok((items::items(wires, text, losses)?, compact))
        }
        Some(Input::Text(said)) => {
            let message = Item::Message(Message {
                role: Role::User,
                parts: vec![Part::Text(said)],
                phase: None,
            });
            Ok((vec![message], false))
        }
        None => Err(At::Body.key("input").fault("is required")),
    }
}

fn output_tokens_max(field: Field<'_, '_>) -> Result<Option<u64>, Fault> {
    match field.count()? {
        Some(0) => Err(field.at().fault("must be at least 1")),
        count => Ok(count),
    }
}

/// Refuses what would need state from earlier requests. Ignoring it would start a conversation from nothing, in silence.
fn refuse_stored(wire: &WireSettings<'_>, stores: bool) -> Result<(), Fault> {
    let history =
        "is not available: responses are not stored here. Send the whole conversation as `input`";
    for (raw, key, problem) in [
        (wire.previous_response_id, "previous_response_id", history),
        (wire.conversation, "conversation", history),
        (
            wire.prompt,
            "prompt",
            "is not available: prompt templates are not stored here. Send the text as `instructions` or `input`",
        ),
    ] {
        let field = top(raw, key);
        if field.is_set() && !(stores && key == "previous_response_id") {
            return Err(field.at().fault(problem));
        }
    }
    let background = top(wire.background, "background");
    if background.flag()? == Some(true) {
        return Err(background.at().fault(
            "is not available: responses are not stored here, so nobody could ask for the answer later",
        ));
    }
    Ok(())
}

/// The settings that only a provider of this protocol has, checked and as they were written.
fn of_this_protocol<'a>(wire: &WireSettings<'a>) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Fault> {
    top(wire.max_tool_calls, "max_tool_calls").count()?;
    top(wire.safety_identifier, "safety_identifier").text()?;
    let truncation = top(wire.truncation, "truncation").name()?;
    let shortens = truncation.is_some_and(|word| word != "disabled");
    let settings = [
        ("max_tool_calls", wire.max_tool_calls),
        ("safety_identifier", wire.safety_identifier),
        ("truncation", wire.truncation.filter(|_| shortens)),
        ("context_management", wire.context_management),
        ("moderation", wire.moderation),
    ];
    Ok(settings
        .into_iter()
        .filter_map(|(key, raw)| Some((Cow::Borrowed(key), Json::new(raw?.get()))))
        .collect())
}

/// Checks and collects what the response object repeats.
fn echo(
    wire: &WireSettings<'_>,
    request: &Request<'_>,
    tools: Vec<&RawValue>,
) -> Result<Echo, Fault> {
    Ok(Echo::new(
        request,
        &Repeated {
            metadata: top(wire.metadata, "metadata").object_as_written()?,
            user: top(wire.user, "user").text()?,
            safety_identifier: top(wire.safety_identifier, "safety_identifier").text()?,
            max_tool_calls: top(wire.max_tool_calls, "max_tool_calls").count()?,
            presence_penalty: top(wire.presence_penalty, "presence_penalty").number()?,
            frequency_penalty: top(wire.frequency_penalty, "frequency_penalty").number()?,
            tool_choice: wire.tool_choice.map(|raw| Json::new(raw.get())),
            tools,
        },
    ))
}
