//! Top-level fields that a provider does not take, and what it means to leave each out.

use polywire_conversation::Loss;

/// The loss of a field with this value, as it was written; nothing when it says what is so without it.
pub(crate) fn loss(name: &str, value: &str) -> Option<Loss> {
    let says_nothing = match name {
        // What describes the stream, or the WebSocket form of a request.
        "stream_options" | "type" | "generate" => true,
        "background" => value == "false",
        "truncation" => value == "\"disabled\"",
        _ => false,
    };
    if says_nothing || value == "null" {
        return None;
    }
    let name = name.to_owned();
    Some(match &*name {
        "max_output_tokens" | "max_completion_tokens" => Loss::degraded(
            name,
            "left out: the provider takes no limit, so that the answer may be longer",
        ),
        "truncation" | "context_management" => Loss::degraded(
            name,
            "left out: the provider shortens no conversation; one that is too long fails",
        ),
        "max_tool_calls" => Loss::degraded(name, "left out: the provider cannot count calls"),
        "moderation" => Loss::degraded(name, "left out: the provider has no such setting"),
        _ => Loss::note(name, "left out: the provider does not take it"),
    })
}
