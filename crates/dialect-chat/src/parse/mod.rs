//! Request bodies to neutral requests.
//!
//! The body is read once into wire structs that borrow from it (`body`, `messages`), with every text left as it is written; the
//! structs are then turned into the neutral model, member by member. Only when something is wrong is it read again, to name the
//! place of the mistake.

mod body;
mod messages;
mod parts;
mod reasoning;
mod settings;
mod tools;

use std::borrow::Cow;

use polywire_conversation::{
    Dialect, Fault, FaultClass, Item, Json, Loss, Reasoning, Request, Text, ToolChoice,
};
use serde_json::value::RawValue;

use body::{Body, WireSettings};
use polywire_wire::{At, Field, field, read};
use reasoning::ReasoningSettings;

/// A request, and what it says about the form of the answer.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent wish of the client, and goes into the writer's options under the same name"
)]
pub struct Parsed<'a> {
    /// The request; borrows from the body.
    pub request: Request<'a>,
    /// Whether a stream ends with a chunk that holds the usage (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Whether the request offers `functions`, the form before there were tools, so that a call has to come back as
    /// `function_call`.
    pub legacy_functions: bool,
    /// Whether the client shows that it knows `reasoning_details`: it sends some back, or asks for reasoning with the `reasoning`
    /// object, which came into use together with them.
    pub reasoning_details: bool,
    /// Whether the client wants to see no reasoning (`reasoning.exclude`, `include_reasoning: false`).
    pub hide_reasoning: bool,
}

/// Reads the body of `POST /v1/chat/completions`.
///
/// Texts are not decoded and not copied. Top-level fields of unknown names are kept in [`Request::extra`], parts and tools of
/// unknown types as such; what cannot be carried is listed in [`Request::losses`]. Members that are given twice are refused.
/// Members of messages, parts and tools that the protocol does not have are ignored.
///
/// # Errors
/// A fault of class `invalid_request` that names the field at fault: the body is not a JSON object in UTF-8, has a value of a
/// wrong type or one that nests deeper than [`NESTING_MAX`](polywire_wire::NESTING_MAX), lacks a required one, or asks for
/// something that there is not: several answers, or an answer in sound.
///
/// ```
/// # fn main() -> Result<(), polywire_conversation::Fault> {
/// let body = br#"{"model":"house/small","messages":[{"role":"user","content":"Good morning"}]}"#;
/// let parsed = polywire_dialect_chat::parse(body)?;
/// assert_eq!(parsed.request.model, "house/small");
/// assert_eq!(parsed.request.items.len(), 1);
/// # Ok(())
/// # }
/// ```
pub fn parse(body: &[u8]) -> Result<Parsed<'_>, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(&error))?;
    let Body {
        messages,
        settings: wire,
        unknown,
    } = read(text, &At::Body)?;
    let mut losses = Vec::new();
    let reasoning = reasoning::settings(&wire, &mut losses)?;
    let mut request = read_settings(&wire, &reasoning, &mut losses)?;
    let legacy_functions = read_tools(&wire, &mut request)?;
    request.items = messages::items(messages, &mut losses)?;
    request.extra.extend(
        unknown
            .into_iter()
            .map(|(key, raw)| (key, Json::new(raw.get()))),
    );
    request.losses = losses;
    Ok(Parsed {
        include_usage: include_usage(top(wire.stream_options, "stream_options"))?,
        legacy_functions,
        reasoning_details: reasoning.asked_by_object || holds_sealed(&request),
        hide_reasoning: reasoning.hidden,
        request,
    })
}

/// Everything of a request but its messages and its tools.
fn read_settings<'a>(
    wire: &WireSettings<'a>,
    reasoning: &ReasoningSettings<'a>,
    losses: &mut Vec<Loss>,
) -> Result<Request<'a>, Fault> {
    settings::refuse_what_there_is_not(wire, losses)?;
    Ok(Request {
        dialect: Dialect::Chat,
        model: top(wire.model, "model").required_name()?,
        stream: top(wire.stream, "stream").flag()?.unwrap_or(false),
        output_tokens_max: settings::output_tokens_max(wire, losses)?,
        stop: settings::stop(top(wire.stop, "stop"))?,
        sampling: settings::sampling(wire)?,
        reasoning: reasoning.request.clone(),
        format: settings::response_format(top(wire.response_format, "response_format"))?,
        verbosity: top(wire.verbosity, "verbosity").name()?,
        cache_key: top(wire.prompt_cache_key, "prompt_cache_key").text()?,
        service_tier: top(wire.service_tier, "service_tier").name()?,
        user: user(wire, losses)?,
        metadata: top(wire.metadata, "metadata").object_as_written()?,
        extra: stored(top(wire.store, "store"))?,
        ..Request::default()
    })
}

/// Reads the tools in both forms, and the choice of one. Whether a call has to come back in the old form.
fn read_tools<'a>(wire: &WireSettings<'a>, request: &mut Request<'a>) -> Result<bool, Fault> {
    request.tools = tools::tools(top(wire.tools, "tools"))?;
    request.tools.extend(tools::web_search(top(
        wire.web_search_options,
        "web_search_options",
    ))?);
    request.tool_choice = tools::tool_choice(top(wire.tool_choice, "tool_choice"))?;
    request.parallel_tool_calls = top(wire.parallel_tool_calls, "parallel_tool_calls").flag()?;

    let functions = tools::functions(top(wire.functions, "functions"))?;
    let chosen = tools::function_choice(top(wire.function_call, "function_call"))?;
    if functions.is_empty() {
        return Ok(false);
    }
    let legacy = request.tools.is_empty();
    request.tools.extend(functions);
    if request.tool_choice == ToolChoice::Unset {
        request.tool_choice = chosen;
    }
    if legacy {
        // The old form has room for one call in an answer.
        request.parallel_tool_calls = Some(false);
    }
    Ok(legacy)
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

polywire_wire::wire_object! {
    WireStreamOptions {
        include_usage: "include_usage",
    }
}

fn include_usage(options: Field<'_, '_>) -> Result<bool, Fault> {
    let Some(wire) = options.object::<WireStreamOptions<'_>>()? else {
        return Ok(false);
    };
    let wanted = field(wire.include_usage, options.at(), "include_usage").flag()?;
    Ok(wanted.unwrap_or(false))
}

/// `safety_identifier`, or `user`, which it replaces.
fn user<'a>(wire: &WireSettings<'a>, losses: &mut Vec<Loss>) -> Result<Option<Text<'a>>, Fault> {
    let newer = top(wire.safety_identifier, "safety_identifier").text()?;
    let older = top(wire.user, "user").text()?;
    if newer.is_some() && older.is_some() && newer != older {
        losses.push(Loss::note(
            "user",
            "left out: `safety_identifier` stands in its place",
        ));
    }
    Ok(newer.or(older))
}

/// `store`, for providers of the same protocol. Not to store is what everybody else does anyway.
fn stored<'a>(store: Field<'a, '_>) -> Result<Vec<(Cow<'a, str>, Json<'a>)>, Fault> {
    Ok(match store.flag()? {
        Some(true) => vec![("store".into(), Json::new("true"))],
        Some(false) | None => Vec::new(),
    })
}

fn holds_sealed(request: &Request<'_>) -> bool {
    request.items.iter().any(|item| {
        matches!(
            item,
            Item::Reasoning(Reasoning {
                sealed: Some(_),
                ..
            })
        )
    })
}
