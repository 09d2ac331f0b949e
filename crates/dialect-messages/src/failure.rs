//! What failed, in the words of the Messages protocol.
//!
//! One row per class of failure: the status and body before a stream begins, the `error` event after.

use std::borrow::Cow;

use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_wire::{Object, write_array, write_string};

use crate::parse::THREAD_UNSUPPORTED;

/// The body of an error answer: `{"type":"error","error":{"type","message"},"request_id"}`. The error has `details` where clients
/// act on them.
pub fn render_error(fault: &Fault, request_id: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(fault.message.len() + 128);
    write_error(fault, request_id, &mut body);
    body
}

/// Writes the object that error bodies and `error` events share.
pub(crate) fn write_error(fault: &Fault, request_id: &str, out: &mut Vec<u8>) {
    let mut body = Object::open(out);
    body.string("type", "error");
    let mut error = Object::open(body.member("error"));
    error.string("type", error_type(fault));
    error.string("message", &message(fault));
    if let Some(code) = detailed_code(fault) {
        let mut details = Object::open(error.member("details"));
        details.string("error_code", code);
        if code == THREAD_UNSUPPORTED {
            write_array(["thread"], details.member("unsupported"), write_string);
        }
        details.close();
    }
    error.close();
    if request_id.is_empty() {
        body.raw("request_id", "null");
    } else {
        body.string("request_id", request_id);
    }
    body.close();
}

/// The provider's code, where it is a word that says more than `error.type`. Numbers mean nothing without the provider's name.
fn detailed_code(fault: &Fault) -> Option<&str> {
    let is_word = |code: &str| {
        code.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let code = fault.code.as_deref()?;
    (!code.is_empty() && is_word(code) && !code.ends_with("_error")).then_some(code)
}

/// The HTTP status of an error answer.
///
/// A rejected key of ours is a 502: the caller's own login is fine, and a 401 would make clients ask for it again. An empty purse is
/// a 402, because clients repeat a request after a 429; the limit of a plan is a 429. The SDKs repeat it after 408, 409, 429 and from 500 on, unless the answer's
/// header `x-should-retry` says [otherwise](should_retry).
pub fn http_status(fault: &Fault) -> u16 {
    match fault.class {
        FaultClass::RateLimit => 429,
        FaultClass::Overloaded => 529,
        FaultClass::Quota if is_of_a_plan(fault) => 429,
        FaultClass::Quota => 402,
        FaultClass::ContextLength | FaultClass::InvalidRequest | FaultClass::ContentFilter => 400,
        FaultClass::TooLarge => 413,
        FaultClass::Auth if fault.origin == Origin::Client => match fault.status {
            403 => 403,
            _ => 401,
        },
        FaultClass::Auth => 502,
        FaultClass::NotFound => 404,
        FaultClass::Timeout => 504,
        FaultClass::Server if fault.origin == Origin::Ours => 500,
        FaultClass::Server
        | FaultClass::BadToolCall
        | FaultClass::NetworkCut
        | FaultClass::Protocol => 502,
    }
}

/// Whether a limit is that of a plan rather than of a purse: this protocol speaks of those as of other limits, and of money only where
/// a payment helps at once.
fn is_of_a_plan(fault: &Fault) -> bool {
    let code = fault.code.as_deref();
    fault.resets_at.is_some()
        || matches!(fault.retry, Retry::After(Some(_)))
        || matches!(code, Some("usage_limit_reached" | "usage_not_included"))
}

/// What the answer's header `x-should-retry` has to say: whether the same request can succeed if the client sends it again.
pub fn should_retry(fault: &Fault) -> bool {
    // The window of a plan is longer than anybody waits.
    fault.class != FaultClass::Quota && matches!(fault.retry, Retry::After(_))
}

/// `error.type`.
pub fn error_type(fault: &Fault) -> &'static str {
    match fault.class {
        FaultClass::RateLimit => "rate_limit_error",
        FaultClass::Overloaded => "overloaded_error",
        FaultClass::Quota if is_of_a_plan(fault) => "rate_limit_error",
        FaultClass::Quota => "billing_error",
        FaultClass::ContextLength | FaultClass::InvalidRequest | FaultClass::ContentFilter => {
            "invalid_request_error"
        }
        FaultClass::TooLarge => "request_too_large",
        FaultClass::Auth if fault.status == 403 => "permission_error",
        FaultClass::Auth => "authentication_error",
        FaultClass::NotFound => "not_found_error",
        FaultClass::Timeout => "timeout_error",
        FaultClass::Server
        | FaultClass::BadToolCall
        | FaultClass::NetworkCut
        | FaultClass::Protocol => "api_error",
    }
}

/// The words by which clients, Claude Code among them, know that they have to shorten the conversation.
const TOO_LONG: &str = "prompt is too long";

fn message(fault: &Fault) -> Cow<'_, str> {
    if fault.class != FaultClass::ContextLength
        || fault.message.to_ascii_lowercase().contains(TOO_LONG)
    {
        return Cow::Borrowed(&fault.message);
    }
    Cow::Owned(format!("{TOO_LONG}: {}", fault.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_failures() {
        let rows: Vec<String> = FaultClass::ALL
            .iter()
            .map(|&class| {
                let fault = Fault::new(class, "m");
                let body = String::from_utf8(render_error(&fault, "req_1")).unwrap();
                format!(
                    "{:16} {} retry {:5} {body}",
                    class.name(),
                    http_status(&fault),
                    should_retry(&fault),
                )
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn rows_that_depend_on_more_than_the_class() {
        let of = |class, status, origin| {
            let mut fault = Fault::new(class, "x").with_status(status);
            fault.origin = origin;
            (http_status(&fault), error_type(&fault))
        };
        for (class, status, origin, expected) in [
            (
                FaultClass::Auth,
                401,
                Origin::Credentials,
                (502, "authentication_error"),
            ),
            (
                FaultClass::Auth,
                401,
                Origin::Client,
                (401, "authentication_error"),
            ),
            (
                FaultClass::Auth,
                403,
                Origin::Client,
                (403, "permission_error"),
            ),
            (
                FaultClass::Quota,
                429,
                Origin::Credentials,
                (402, "billing_error"),
            ),
            (FaultClass::Server, 500, Origin::Ours, (500, "api_error")),
            (
                FaultClass::Server,
                500,
                Origin::Provider,
                (502, "api_error"),
            ),
            (
                FaultClass::Overloaded,
                503,
                Origin::Provider,
                (529, "overloaded_error"),
            ),
        ] {
            assert_eq!(
                of(class, status, origin),
                expected,
                "{class:?} {status} {origin:?}"
            );
        }
    }

    #[test]
    fn codes_that_say_more_than_the_type_are_told() {
        let details = |code: &str| {
            let fault = Fault::new(FaultClass::Quota, "m").with_code(code);
            let body: serde_json::Value =
                serde_json::from_slice(&render_error(&fault, "r")).unwrap();
            body["error"].get("details").cloned()
        };
        assert_eq!(
            details("insufficient_quota"),
            Some(serde_json::json!({"error_code": "insufficient_quota"}))
        );
        for code in ["1113", "billing_error", "", "Two words"] {
            assert_eq!(details(code), None, "{code}");
        }
    }

    #[test]
    fn too_long_is_said_once_and_in_the_words_that_clients_look_for() {
        let said = |text: &str| message(&Fault::new(FaultClass::ContextLength, text)).into_owned();
        assert_eq!(
            said("house: 9 tokens of 8"),
            "prompt is too long: house: 9 tokens of 8"
        );
        assert_eq!(
            said("Prompt is too long: 9 tokens > 8 maximum"),
            "Prompt is too long: 9 tokens > 8 maximum"
        );
    }

    #[test]
    fn threads_are_refused_as_the_sdk_expects_it() {
        let fault = crate::parse(br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"thread":{"type":"continue","id":"t"}}"#)
            .unwrap_err();
        assert_eq!(http_status(&fault), 400);
        let body: serde_json::Value = serde_json::from_slice(&render_error(&fault, "")).unwrap();
        assert_eq!(
            body["error"]["details"],
            serde_json::json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]})
        );
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert_eq!(body["request_id"], serde_json::Value::Null);
    }
}
