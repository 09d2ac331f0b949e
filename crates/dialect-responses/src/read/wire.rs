//! What stands in a provider's events, as far as it is looked at.
//!
//! A member of an unexpected type counts as absent and an unknown one is skipped: one odd member must not cost what came beside
//! it.

use polywire_conversation::{Json, Text};
use polywire_wire::{One, WireObject, wire_object};
use serde_json::value::RawValue;

wire_object! {
    /// An event of any kind. One struct for all, so that an event is read in one pass.
    WireEvent {
        tag: "type",
        response: "response",
        output_index: "output_index",
        content_index: "content_index",
        summary_index: "summary_index",
        item: "item",
        part: "part",
        delta: "delta",
        text: "text",
        refusal: "refusal",
        arguments: "arguments",
        input: "input",
        logprobs: "logprobs",
        annotation: "annotation",
        error: "error",
        code: "code",
        message: "message",
        param: "param",
        detail: "detail",
    }
}

wire_object! {
    /// A response object.
    WireResponse {
        id: "id",
        model: "model",
        object: "object",
        status: "status",
        error: "error",
        incomplete_details: "incomplete_details",
        output: "output",
        usage: "usage",
        end_turn: "end_turn",
    }
}

wire_object! {
    WireIncomplete {
        reason: "reason",
    }
}

wire_object! {
    /// An output item of any kind.
    WireOutput {
        tag: "type",
        id: "id",
        status: "status",
        content: "content",
        summary: "summary",
        encrypted_content: "encrypted_content",
        call_id: "call_id",
        name: "name",
        namespace: "namespace",
        arguments: "arguments",
        input: "input",
        execution: "execution",
        action: "action",
        operation: "operation",
        error: "error",
        phase: "phase",
    }
}

wire_object! {
    /// A part of a message or of reasoning.
    WireContent {
        tag: "type",
        text: "text",
        refusal: "refusal",
        annotations: "annotations",
        logprobs: "logprobs",
    }
}

wire_object! {
    WireAnnotation {
        tag: "type",
        url: "url",
        title: "title",
        start_index: "start_index",
        end_index: "end_index",
    }
}

wire_object! {
    /// What a web search did, and what it found.
    WireAction {
        tag: "type",
        query: "query",
        queries: "queries",
        url: "url",
        sources: "sources",
    }
}

wire_object! {
    WireUsage {
        input: "input_tokens",
        input_details: "input_tokens_details",
        output: "output_tokens",
        output_details: "output_tokens_details",
    }
}

wire_object! {
    WireUsageDetails {
        cached: "cached_tokens",
        cache_write: "cache_write_tokens",
        reasoning: "reasoning_tokens",
    }
}

/// A member as it stands on the wire.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// A string, escaped as it was; an empty one counts.
pub(super) fn text(raw: Raw<'_>) -> Option<Text<'_>> {
    let body = raw?.get().strip_prefix('"')?.strip_suffix('"')?;
    Some(Text::escaped(body))
}

/// A string, decoded.
pub(super) fn string(raw: Raw<'_>) -> Option<String> {
    text(raw).map(|text| text.to_plain().into_owned())
}

/// A string that says something, decoded.
pub(super) fn word(raw: Raw<'_>) -> Option<String> {
    string(raw).filter(|word| !word.is_empty())
}

pub(super) fn count(raw: Raw<'_>) -> Option<u64> {
    raw?.get().parse().ok()
}

/// An object; anything else is none.
pub(super) fn object<'a, T: WireObject<'a>>(raw: Raw<'a>) -> Option<T> {
    let One(object) = serde_json::from_str(raw?.get()).ok()?;
    Some(object)
}

/// The elements of an array; anything else has none.
pub(super) fn elements(raw: Raw<'_>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// An array with anything in it, as it was written.
pub(super) fn filled_array(raw: Raw<'_>) -> Option<Json<'_>> {
    let json = raw?.get();
    (json.starts_with('[') && json.len() > 2).then(|| Json::new(json))
}

/// Arguments: text, or the JSON of an object that some servers send in its place.
pub(super) fn arguments(raw: Raw<'_>) -> Option<Text<'_>> {
    text(raw).or_else(|| raw.map(|raw| Text::plain(raw.get())))
}
