//! Request bodies to neutral requests.
//!
//! The body is read once into wire structs that borrow from it (`body`, `messages`), with every text left as it is written; the
//! structs are then turned into the neutral model, block by block. Only when something is wrong is it read again, to name the
//! place of the mistake.

mod blocks;
mod body;
mod hosted;
mod media;
mod messages;
mod notes;
mod settings;
mod tool_changes;
mod tools;
mod typed_tools;

use polywire_conversation::{Dialect, Fault, FaultClass, Request, Sampling, Text, Tool};
use polywire_wire::{At, Field, field, read};
use serde_json::value::RawValue;

use body::{Body, WireSettings};
use notes::Notes;
pub use settings::ThinkingDisplay;

pub(crate) use settings::THREAD_UNSUPPORTED;

/// A request, and what its answer has to know of it.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The request; borrows from the body.
    pub request: Request<'a>,
    /// How much of the model's thinking the client wants to see.
    pub thinking: ThinkingDisplay,
}

/// Reads the body of `POST /v1/messages`.
///
/// Texts are not decoded and not copied, but for pictures, whose media type and base64 become one `data:` URL. Fields that only a
/// provider of the same protocol can take are kept in [`Request::extra`]; blocks and tools of unknown types are kept as such.
/// Members that are given twice are refused.
///
/// # Errors
/// A fault of class `invalid_request` that names the field at fault: the body is not a JSON object in UTF-8, has a value of a
/// wrong type or one that nests deeper than [`NESTING_MAX`](polywire_wire::NESTING_MAX), lacks a required one, or asks for something
/// that would need stored conversations.
pub fn parse(body: &[u8]) -> Result<Parsed<'_>, Fault> {
    let mut parsed = read_body(body, Purpose::Answer)?;
    parsed.request.dialect = Dialect::Messages;
    Ok(parsed)
}

/// Reads the body of `POST /v1/messages/count_tokens`, which says nothing about the length of an answer.
///
/// # Errors
/// As [`parse`].
pub fn parse_count(body: &[u8]) -> Result<Request<'_>, Fault> {
    let parsed = read_body(body, Purpose::Count)?;
    Ok(Request {
        dialect: Dialect::Messages,
        ..parsed.request
    })
}

/// What a body is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Answer,
    Count,
}

fn read_body(body: &[u8], purpose: Purpose) -> Result<Parsed<'_>, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(&error))?;
    let mut body: Body<'_> = read(text, &At::Body)?;
    settings::refuse_thread(top(body.settings.thread, "thread"))?;
    let mut notes = Notes::default();
    let tools = tools::tools(
        &body.tools.take().unwrap_or_default(),
        &At::Body.key("tools"),
        &mut notes,
    )?;
    let extra = body.take_extra(&mut notes);
    let messages = At::Body.key("messages");
    let items = match &body.messages {
        Some(wires) if wires.0.is_empty() => {
            return Err(messages.fault("must hold at least one message"));
        }
        Some(wires) => messages::items(&wires.0, &tools, &mut notes)?,
        None => return Err(messages.fault("is required")),
    };
    let (settings, thinking) = read_settings(&body.settings, &tools, purpose, &mut notes)?;
    Ok(Parsed {
        request: Request {
            tools,
            items,
            extra,
            losses: notes.into_losses(),
            ..settings
        },
        thinking,
    })
}

/// Everything of a request but its conversation and its tools.
fn read_settings<'a>(
    wire: &WireSettings<'a>,
    tools: &[Tool<'a>],
    purpose: Purpose,
    notes: &mut Notes,
) -> Result<(Request<'a>, ThinkingDisplay), Fault> {
    let (tool_choice, parallel_tool_calls) =
        settings::tool_choice(top(wire.tool_choice, "tool_choice"), tools)?;
    let thought = settings::thinking(
        top(wire.thinking, "thinking"),
        top(wire.output_config, "output_config"),
        notes,
    )?;
    let request = Request {
        model: top(wire.model, "model").required_name()?,
        stream: top(wire.stream, "stream").flag()?.unwrap_or(false),
        instructions: messages::system(top(wire.system, "system"), notes)?,
        tool_choice,
        parallel_tool_calls,
        output_tokens_max: output_tokens_max(top(wire.max_tokens, "max_tokens"), purpose)?,
        stop: stop_sequences(top(wire.stop_sequences, "stop_sequences"))?,
        sampling: Sampling {
            temperature: top(wire.temperature, "temperature").number()?,
            top_p: top(wire.top_p, "top_p").number()?,
            top_k: top(wire.top_k, "top_k").count()?,
            ..Sampling::default()
        },
        reasoning: thought.request,
        format: settings::format(
            top(wire.output_config, "output_config"),
            top(wire.output_format, "output_format"),
        )?,
        service_tier: settings::service_tier(top(wire.service_tier, "service_tier"))?,
        user: settings::user(top(wire.metadata, "metadata"))?,
        metadata: settings::labels(wire.metadata),
        ..Request::default()
    };
    Ok((request, thought.display))
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

/// `max_tokens`, which the protocol requires of every request for an answer. Zero would warm the provider's cache and give no
/// answer, which no other protocol can say.
fn output_tokens_max(field: Field<'_, '_>, purpose: Purpose) -> Result<Option<u64>, Fault> {
    match (field.count()?, purpose) {
        (None, Purpose::Answer) => Err(field.at().fault("is required")),
        (Some(0), Purpose::Answer) => Err(field.at().fault(
            "must be at least 1: a request without an answer, which only warms a cache, is not carried here",
        )),
        (count, Purpose::Answer | Purpose::Count) => Ok(count),
    }
}

fn stop_sequences<'a>(list: Field<'a, '_>) -> Result<Vec<Text<'a>>, Fault> {
    let mut texts = Vec::new();
    for (index, raw) in list.elements()?.into_iter().enumerate() {
        let at = list.at().index(index);
        let text = polywire_wire::text(raw, &at)?;
        if text.to_plain().trim().is_empty() {
            return Err(at.fault("must hold more than white space"));
        }
        texts.push(text);
    }
    Ok(texts)
}
