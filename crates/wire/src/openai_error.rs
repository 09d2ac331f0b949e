//! Errors as OpenAI writes them: one object for all of its protocols.

use polywire_conversation::{Fault, FaultClass, Origin, Text};

/// What an error object calls the failure: its `type` and its `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'f> {
    /// `error.type`.
    pub kind: &'static str,
    /// `error.code`; null where nothing is known.
    pub code: Option<&'f str>,
}

impl<'f> Words<'f> {
    /// The words for a fault. A class without a code of its own passes the provider's. What a busy provider is called differs
    /// from protocol to protocol, so it is said by the caller.
    pub fn of(fault: &'f Fault, overloaded: &'static str) -> Self {
        let own = fault.code.as_deref();
        let (kind, code) = match fault.class {
            FaultClass::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded")),
            FaultClass::Overloaded => ("server_error", Some(overloaded)),
            FaultClass::Quota => ("insufficient_quota", Some("insufficient_quota")),
            FaultClass::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
            FaultClass::TooLarge | FaultClass::InvalidRequest => ("invalid_request_error", own),
            FaultClass::ContentFilter => ("invalid_request_error", own.or(Some("content_filter"))),
            FaultClass::Auth => ("authentication_error", own),
            FaultClass::NotFound => ("invalid_request_error", own.or(Some("model_not_found"))),
            FaultClass::BadToolCall
            | FaultClass::Server
            | FaultClass::NetworkCut
            | FaultClass::Timeout
            | FaultClass::Protocol => ("server_error", own),
        };
        Self { kind, code }
    }
}

/// Appends `{"message","type","param","code"}`: always all four keys, because clients look for each, null where nothing is known.
pub fn write_error(fault: &Fault, words: Words<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"message\":");
    Text::from(fault.message.as_str()).write_string(out);
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(words.kind.as_bytes());
    out.extend_from_slice(b"\",\"param\":");
    write_optional(fault.param.as_deref(), out);
    out.extend_from_slice(b",\"code\":");
    write_optional(words.code, out);
    out.push(b'}');
}

/// Appends a JSON string, or null.
pub fn write_optional(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => Text::from(text).write_string(out),
        None => out.extend_from_slice(b"null"),
    }
}

/// The HTTP status of an error answer.
///
/// A rejected key of ours is a 502: the caller's own login is fine, and a 401 would make clients ask for it again.
pub fn http_status(fault: &Fault) -> u16 {
    match fault.class {
        FaultClass::RateLimit => 429,
        FaultClass::Overloaded => 503,
        FaultClass::Quota if fault.status == 402 => 402,
        FaultClass::Quota => 429,
        FaultClass::ContextLength | FaultClass::InvalidRequest | FaultClass::ContentFilter => 400,
        FaultClass::TooLarge => 413,
        FaultClass::Auth if fault.origin == Origin::Client => match fault.status {
            403 => 403,
            _ => 401,
        },
        FaultClass::Auth => 502,
        FaultClass::NotFound => 404,
        FaultClass::Timeout => 504,
        // A program on this machine that cannot work: it may once somebody has seen to it.
        FaultClass::Server if fault.status == 503 => 503,
        FaultClass::Server if fault.origin == Origin::Ours => 500,
        FaultClass::Server
        | FaultClass::BadToolCall
        | FaultClass::NetworkCut
        | FaultClass::Protocol => 502,
    }
}
