//! Request bodies to neutral requests.
//!
//! The body is read once into wire structs that borrow from it (`body`, `items`), with every text left as it is written; the
//! structs are then turned into the neutral model, type by type. Only when something is wrong is it read again, to name the
//! place of the mistake.

mod body;
mod depth;
mod field;
mod hosted;
mod items;
mod parts;
mod settings;
mod tools;

use polywire_conversation::{
    Fault, FaultClass, Item, Json, Loss, Message, Part, Request, Role, Sampling,
};

use crate::echo::Repeated;
use crate::limits::NESTING_MAX;
use crate::{Client, Echo};
use body::{Body, Input};
use field::{At, Field, field, read};

/// A request, and what the answer repeats of it.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The request; borrows from the body.
    pub request: Request<'a>,
    /// What the response object repeats of the request.
    pub echo: Echo,
}

/// Reads the body of `POST /v1/responses`.
///
/// Texts are not decoded and not copied. Fields that cannot be carried are listed in [`Request::losses`]; items, parts and
/// tools of unknown types are kept as such. Members that are given twice are refused.
///
/// # Errors
/// A fault of class `invalid_request` that names the field at fault: the body is not a JSON object in UTF-8, nests deeper than
/// [`NESTING_MAX`](crate::NESTING_MAX), has a value of a wrong type, lacks a required one, or asks for something that would
/// need stored responses.
pub fn parse(body: &[u8], client: Client) -> Result<Parsed<'_>, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(&error))?;
    if let Some(place) = depth::too_deep_at(text) {
        return Err(too_deep(place));
    }
    let body: Body<'_> = read(text, &At::Body)?;
    refuse_stored(&body)?;
    let mut losses: Vec<Loss> = body.unknown_fields().collect();
    note_unused(&body, &mut losses)?;
    let tool_choice = settings::tool_choice(top(body.tool_choice, "tool_choice"))?;
    let reasoning = settings::reasoning(top(body.reasoning, "reasoning"), &mut losses)?;
    let (format, verbosity) = settings::text(top(body.text, "text"))?;
    let mut request = Request {
        model: top(body.model, "model").required_name()?,
        stream: top(body.stream, "stream").flag()?.unwrap_or(false),
        instructions: top(body.instructions, "instructions").text()?,
        items: Vec::new(),
        tools: tools::tools(top(body.tools, "tools"))?,
        tool_choice,
        parallel_tool_calls: top(body.parallel_tool_calls, "parallel_tool_calls").flag()?,
        output_tokens_max: output_tokens_max(top(body.max_output_tokens, "max_output_tokens"))?,
        sampling: Sampling {
            temperature: top(body.temperature, "temperature").number()?,
            top_p: top(body.top_p, "top_p").number()?,
            top_logprobs: top(body.top_logprobs, "top_logprobs").count()?,
        },
        reasoning,
        format,
        verbosity,
        cache_key: top(body.prompt_cache_key, "prompt_cache_key").text()?,
        service_tier: top(body.service_tier, "service_tier").name()?,
        losses: Vec::new(),
    };
    let echo = match client {
        Client::Codex => Echo::default(),
        Client::Sdk => echo(&body, &request)?,
    };
    request.items = conversation(body.input, text, &mut losses)?;
    request.losses = losses;
    Ok(Parsed { request, echo })
}

/// A field of the request itself.
fn top<'a>(raw: Option<&'a serde_json::value::RawValue>, key: &'static str) -> Field<'a, 'static> {
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

#[cold]
fn too_deep(place: usize) -> Fault {
    Fault::new(
        FaultClass::InvalidRequest,
        format!("the request body nests deeper than {NESTING_MAX} levels at byte {place}"),
    )
}

fn conversation<'a>(
    input: Option<Input<'a>>,
    text: &'a str,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Item<'a>>, Fault> {
    match input {
        Some(Input::Items(wires)) => items::items(&wires, text, losses),
        Some(Input::Text(said)) => Ok(vec![Item::Message(Message {
            role: Role::User,
            parts: vec![Part::Text(said)],
            phase: None,
        })]),
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
fn refuse_stored(body: &Body<'_>) -> Result<(), Fault> {
    let history =
        "is not available: responses are not stored here. Send the whole conversation as `input`";
    for (raw, key, problem) in [
        (body.previous_response_id, "previous_response_id", history),
        (body.conversation, "conversation", history),
        (
            body.prompt,
            "prompt",
            "is not available: prompt templates are not stored here. Send the text as `instructions` or `input`",
        ),
    ] {
        let field = top(raw, key);
        if field.is_set() {
            return Err(field.at().fault(problem));
        }
    }
    let background = top(body.background, "background");
    if background.flag()? == Some(true) {
        return Err(background.at().fault(
            "is not available: responses are not stored here, so nobody could ask for the answer later",
        ));
    }
    Ok(())
}

/// Notes what the request asks for and nothing carries.
fn note_unused(body: &Body<'_>, losses: &mut Vec<Loss>) -> Result<(), Fault> {
    let fields = [
        (
            top(body.max_tool_calls, "max_tool_calls"),
            "left out: it counts calls that the provider carries out, and there are none",
        ),
        (
            top(body.presence_penalty, "presence_penalty"),
            "left out: it is not carried",
        ),
        (
            top(body.frequency_penalty, "frequency_penalty"),
            "left out: it is not carried",
        ),
        (
            top(body.context_management, "context_management"),
            "left out: the conversation is not compacted here",
        ),
        (
            top(body.moderation, "moderation"),
            "left out: only OpenAI moderates on request",
        ),
    ];
    for (field, why) in fields {
        if field.is_set() {
            losses.push(Loss::note(field.at().to_string(), why));
        }
    }
    if top(body.store, "store").flag()? == Some(true) {
        losses.push(Loss::note("store", "the response is not stored"));
    }
    if top(body.truncation, "truncation").name()?.as_deref() == Some("auto") {
        losses.push(Loss::degraded(
            "truncation",
            "left out: a conversation that is too long is refused, not shortened",
        ));
    }
    Ok(())
}

/// Checks and collects what the response object repeats.
fn echo(body: &Body<'_>, request: &Request<'_>) -> Result<Echo, Fault> {
    Ok(Echo::new(
        request,
        &Repeated {
            metadata: top(body.metadata, "metadata").object_as_written()?,
            user: top(body.user, "user").text()?,
            safety_identifier: top(body.safety_identifier, "safety_identifier").text()?,
            max_tool_calls: top(body.max_tool_calls, "max_tool_calls").count()?,
            presence_penalty: top(body.presence_penalty, "presence_penalty").number()?,
            frequency_penalty: top(body.frequency_penalty, "frequency_penalty").number()?,
            tool_choice: body.tool_choice.map(|raw| Json::new(raw.get())),
            tools: top(body.tools, "tools").elements()?,
        },
    ))
}
