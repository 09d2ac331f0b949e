//! The wire structs of an answer.
//!
//! Tolerant: a member of an unexpected type counts as absent and an unknown one is skipped, because one odd member must not cost
//! the text that came beside it. Strings stay as they were written, so that text goes from the provider's JSON into the
//! client's without being decoded.

use polywire_conversation::Text;
use polywire_wire::{One, WireObject, wire_object};
use serde_json::value::RawValue;

wire_object!(
    /// One event of the stream, or a whole message.
    Envelope {
        kind: "type",
        message: "message",
        index: "index",
        content_block: "content_block",
        delta: "delta",
        usage: "usage",
        error: "error",
        id: "id",
        model: "model",
        content: "content",
        stop_reason: "stop_reason",
        stop_sequence: "stop_sequence",
        stop_details: "stop_details",
    }
);

wire_object!(
    /// A content block, whole or as it begins.
    Block {
        kind: "type",
        text: "text",
        citations: "citations",
        thinking: "thinking",
        signature: "signature",
        data: "data",
        id: "id",
        name: "name",
        input: "input",
        tool_use_id: "tool_use_id",
        content: "content",
    }
);

wire_object!(
    /// What a block grows by, or how the message ends.
    Delta {
        kind: "type",
        text: "text",
        partial_json: "partial_json",
        thinking: "thinking",
        signature: "signature",
        citation: "citation",
        stop_reason: "stop_reason",
        stop_sequence: "stop_sequence",
        stop_details: "stop_details",
    }
);

wire_object!(
    /// Why the provider stopped the model.
    StopDetails {
        category: "category",
        explanation: "explanation",
    }
);

wire_object!(
    /// A source of some text.
    WireCitation {
        url: "url",
        source: "source",
        title: "title",
        document_title: "document_title",
        cited_text: "cited_text",
    }
);

wire_object!(
    /// A page that a search found, or the reason why it found none.
    Found {
        url: "url",
        title: "title",
        error_code: "error_code",
    }
);

wire_object!(
    /// What a search was asked.
    SearchInput { query: "query", }
);

wire_object!(
    /// Token counts, under the protocol's own names and under those of `OpenAI`.
    WireUsage {
        input: "input_tokens",
        cache_read: "cache_read_input_tokens",
        cache_write: "cache_creation_input_tokens",
        output: "output_tokens",
        output_details: "output_tokens_details",
        prompt: "prompt_tokens",
        completion: "completion_tokens",
        prompt_details: "prompt_tokens_details",
    }
);

wire_object!(
    /// Counts of a part of the output or of the input.
    WireDetails {
        thinking: "thinking_tokens",
        cached: "cached_tokens",
    }
);

/// A member as it was written; `null` counts as absent.
pub(crate) type Raw<'a> = Option<&'a RawValue>;

/// Reads a JSON object.
pub(crate) fn read<'a, T: WireObject<'a>>(json: &'a str) -> Option<T> {
    let One(object) = serde_json::from_str(json).ok()?;
    Some(object)
}

/// An object inside another; anything else is an empty one.
pub(crate) fn inner<'a, T: WireObject<'a>>(raw: Raw<'a>) -> T {
    raw.and_then(|raw| read(raw.get())).unwrap_or_default()
}

/// The elements of an array; anything else has none.
pub(crate) fn elements(raw: Raw<'_>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// A string that is not empty, escaped as it was.
pub(crate) fn text(raw: Raw<'_>) -> Option<Text<'_>> {
    let body = raw?.get().strip_prefix('"')?.strip_suffix('"')?;
    (!body.is_empty()).then(|| Text::escaped(body))
}

/// A string that is not empty, decoded.
pub(crate) fn string(raw: Raw<'_>) -> Option<String> {
    text(raw).map(|text| text.to_plain().into_owned())
}

/// A word that is compared with known ones. Those hold no escape, so that one with an escape is simply another word.
pub(crate) fn word(raw: Raw<'_>) -> &str {
    let body = raw.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'));
    body.unwrap_or_default()
}

/// The error code of an object that stands where a list of results is expected.
pub(crate) fn first_error(raw: Raw<'_>) -> Option<Text<'_>> {
    let found: Found<'_> = inner(raw);
    text(found.error_code)
}

/// A whole number.
pub(crate) fn count(raw: Raw<'_>) -> Option<u64> {
    raw?.get().parse().ok()
}

/// Whether there is an object or array with anything in it.
pub(crate) fn has_members(raw: Raw<'_>) -> bool {
    raw.is_some_and(|raw| {
        let inside = raw.get().strip_prefix(['{', '[']);
        inside.is_some_and(|inside| !inside.trim_start().starts_with(['}', ']']))
    })
}
