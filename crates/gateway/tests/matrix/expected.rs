//! What a client must have got, by the expected result of a fixture.

use polywire_catalog::Kind;
use polywire_conversation::FaultClass;
use polywire_gateway::ClientDialect;
use serde_json::{Value, json};

use super::{Asked, Fixture, Got};
use crate::support::clients::{Called, Counts, Input, Reading, Told, list, number, string};

/// Classes of failure, by the word for each.
/// Looks at what a client got.
pub(crate) fn check(fixture: &Fixture, asked: Asked, got: &Got) {
    let name = format!("{} {asked:?}", fixture.name);
    let expected = &fixture.expected;
    match (got, &expected["error"]) {
        (Got::Answer(reading), Value::Null) => {
            assert_eq!(reading.error, None, "{name}");
            check_answer(&name, fixture, asked, reading);
        }
        (Got::Answer(reading), error) => {
            assert!(
                asked.stream,
                "{name}: a failure that looks like an answer: {reading:#?}"
            );
            let told = reading.error.as_ref();
            let told = told.unwrap_or_else(|| panic!("{name}: no failure: {reading:#?}"));
            check_told(&name, asked, true, told, error);
            check_texts(&name, expected, asked, reading);
            assert_eq!(reading.calls, [], "{name}: calls of an answer that failed");
        }
        (
            Got::Error {
                fault,
                status,
                told,
            },
            error,
        ) => {
            assert!(error.is_object(), "{name}: failed: {fault:#?}");
            assert_eq!(
                fault.class.name(),
                string(&error["class"]),
                "{name}: {fault:?}"
            );
            check_status(&name, asked.dialect, fault.class, fault.status, *status);
            check_told(&name, asked, false, told, error);
        }
    }
}

fn check_answer(name: &str, fixture: &Fixture, asked: Asked, reading: &Reading) {
    let expected = &fixture.expected;
    check_texts(name, expected, asked, reading);
    let finish = finish(fixture, asked);
    // A search for tools is told beside the calls, and is a call for clients whose protocol has no such item.
    let searches = list(&expected["server_tools"]).any(|tool| tool == "tool_search_call");
    if !(searches && reading.finish == Some("tool_calls")) {
        assert_eq!(reading.finish, Some(finish.as_str()), "{name}: finish");
        check_calls(name, fixture, asked, reading);
    }
    if expected["finish_reason"] != "pause" {
        check_usage(name, &expected["usage"], reading.usage);
    }
    if expected["opaque_reasoning"] == true && finish != "content_filter" {
        assert!(
            !reading.sealed.is_empty(),
            "{name}: no state for the next turn: {reading:#?}"
        );
    }
    for sealed in &reading.sealed {
        assert!(
            sealed.starts_with("pw1."),
            "{name}: state without an envelope: {sealed}"
        );
    }
}

/// The reason to end that this client is told.
fn finish(fixture: &Fixture, asked: Asked) -> String {
    let expected = string(&fixture.expected["finish_reason"]);
    let refused = fixture.expected["refusal"].is_string();
    match (expected.as_str(), asked.dialect) {
        // The protocol has a reason for it; the others tell by the part.
        ("stop", ClientDialect::Messages) if refused => "content_filter".to_owned(),
        // Who speaks the provider's protocol goes on by itself; for the others the gateway does.
        ("pause", ClientDialect::Messages) if fixture.kind == Kind::Messages => expected,
        ("pause", _) => "stop".to_owned(),
        _ => expected,
    }
}

fn check_texts(name: &str, expected: &Value, asked: Asked, reading: &Reading) {
    let refusal = string(&expected["refusal"]);
    let mut text = string(&expected["text"]);
    // Here a refusal is text like any other, with a reason to stop of its own.
    let as_text = asked.dialect == ClientDialect::Messages;
    if as_text {
        text.push_str(&refusal);
    }
    let refusal = if as_text { String::new() } else { refusal };
    let trim = expected["compare"] == "trim";
    let pauses = expected["finish_reason"] == "pause";
    for (key, found, wanted) in [
        ("text", &reading.text, text),
        (
            "reasoning",
            &reading.reasoning,
            string(&expected["reasoning"]),
        ),
        ("refusal", &reading.refusal, refusal),
    ] {
        if trim {
            assert_eq!(found.trim(), wanted.trim(), "{name}: {key}");
        } else if pauses && key == "text" && reading.finish == Some("stop") {
            assert_eq!(*found, wanted + "Done.", "{name}: {key}");
        } else {
            assert_eq!(*found, wanted, "{name}: {key}");
        }
    }
}

fn check_calls(name: &str, fixture: &Fixture, asked: Asked, reading: &Reading) {
    let expected: Vec<&Value> = list(&fixture.expected["tool_calls"]).collect();
    let (cut, whole): (Vec<&Value>, Vec<&Value>) =
        expected.iter().partition(|call| call["incomplete"] == true);
    let names = |calls: &[&Value]| -> Vec<String> {
        calls.iter().map(|call| string(&call["name"])).collect()
    };
    if reading.finish != Some("tool_calls") {
        // Whatever is shown is not to be carried out, and there is nothing else to show.
        let found = reading.calls.iter().map(|call| &call.name);
        let all = names(&expected);
        for called in found.chain(&reading.calls_cut) {
            assert!(all.contains(called), "{name}: `{called}` was never called");
        }
        assert!(reading.calls.len() <= whole.len(), "{name}: {reading:#?}");
        return;
    }
    assert_eq!(
        names(&cut),
        reading.calls_cut,
        "{name}: calls that were cut"
    );
    let found: Vec<String> = reading.calls.iter().map(|call| call.name.clone()).collect();
    assert_eq!(found, names(&whole), "{name}: calls");
    for (call, wanted) in reading.calls.iter().zip(whole) {
        check_call(name, asked, call, wanted);
    }
}

fn check_call(name: &str, asked: Asked, call: &Called, wanted: &Value) {
    assert!(!call.id.is_empty(), "{name}: a call without an id");
    if let Some(id) = wanted["id"].as_str() {
        assert_eq!(call.id, id, "{name}: id");
    }
    let raw = string(&wanted["arguments_raw"]);
    let is_messages = asked.dialect == ClientDialect::Messages;
    let input = if wanted["custom"] == true {
        if is_messages {
            Input::Json(json!({"input": raw}))
        } else {
            Input::Text(raw)
        }
    } else if wanted["invalid_arguments"] == true {
        if is_messages && call.input != Input::Text(raw.clone()) {
            Input::Json(json!({"invalid_arguments": raw}))
        } else {
            Input::Text(raw)
        }
    } else {
        Input::Json(wanted["arguments"].clone())
    };
    assert_eq!(call.input, input, "{name}: input of `{}`", call.name);
}

fn check_usage(name: &str, expected: &Value, found: Option<Counts>) {
    let found = found.unwrap_or_else(|| panic!("{name}: no usage"));
    match expected {
        // Nobody has said what it is.
        Value::String(_) => {}
        // The provider sent none: it is estimated.
        Value::Null => assert!(found.input > 0, "{name}: {found:?}"),
        expected @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            let wanted = Counts {
                input: number(&expected["input"]),
                cached: number(&expected["cached"]),
                cache_write: number(&expected["cache_write"]),
                output: number(&expected["output"]),
                reasoning: number(&expected["reasoning"]),
            };
            assert_eq!(found, wanted, "{name}: usage");
        }
    }
}

fn check_status(name: &str, dialect: ClientDialect, class: FaultClass, provider: u16, found: u16) {
    let is_messages = dialect == ClientDialect::Messages;
    let wanted = match class {
        FaultClass::RateLimit => 429,
        FaultClass::Overloaded if is_messages => 529,
        FaultClass::Overloaded => 503,
        FaultClass::Quota if is_messages || provider == 402 => 402,
        FaultClass::Quota => 429,
        FaultClass::TooLarge => 413,
        FaultClass::NotFound => 404,
        FaultClass::ContextLength | FaultClass::InvalidRequest | FaultClass::ContentFilter => 400,
        FaultClass::Timeout => 504,
        // A key that the provider refuses is not the caller's.
        FaultClass::Auth
        | FaultClass::BadToolCall
        | FaultClass::Server
        | FaultClass::NetworkCut
        | FaultClass::Protocol => 502,
    };
    assert_eq!(found, wanted, "{name}: status");
}

fn check_told(name: &str, asked: Asked, in_stream: bool, told: &Told, expected: &Value) {
    let word = string(&expected["class"]);
    let class = FaultClass::ALL
        .into_iter()
        .find(|class| class.name() == word)
        .unwrap();
    let kinds = match asked.dialect {
        ClientDialect::Responses if in_stream => vec![failed_code(class)],
        ClientDialect::Responses | ClientDialect::Chat => vec![openai_type(class)],
        ClientDialect::Messages => messages_types(class),
    };
    assert!(
        kinds.contains(&told.kind.as_str()),
        "{name}: {told:?}, expected {kinds:?}"
    );
    assert!(!told.message.is_empty(), "{name}: no words");
    if let Some(message) = expected["message"].as_str() {
        assert!(told.message.contains(message), "{name}: {told:?}");
    }
    if asked.dialect == ClientDialect::Messages && class == FaultClass::ContextLength {
        let message = told.message.to_lowercase();
        assert!(message.contains("prompt is too long"), "{name}: {message}");
    }
}

/// `error.code` of a failed response.
fn failed_code(class: FaultClass) -> &'static str {
    match class {
        FaultClass::RateLimit => "rate_limit_exceeded",
        FaultClass::Overloaded => "server_is_overloaded",
        FaultClass::Quota => "insufficient_quota",
        FaultClass::ContextLength => "context_length_exceeded",
        FaultClass::TooLarge
        | FaultClass::NotFound
        | FaultClass::InvalidRequest
        | FaultClass::ContentFilter => "invalid_prompt",
        FaultClass::Auth
        | FaultClass::BadToolCall
        | FaultClass::Server
        | FaultClass::NetworkCut
        | FaultClass::Timeout
        | FaultClass::Protocol => "server_error",
    }
}

/// `error.type` of OpenAI's error object.
fn openai_type(class: FaultClass) -> &'static str {
    match class {
        FaultClass::RateLimit => "rate_limit_error",
        FaultClass::Quota => "insufficient_quota",
        FaultClass::Auth => "authentication_error",
        FaultClass::ContextLength
        | FaultClass::TooLarge
        | FaultClass::NotFound
        | FaultClass::InvalidRequest
        | FaultClass::ContentFilter => "invalid_request_error",
        FaultClass::Overloaded
        | FaultClass::BadToolCall
        | FaultClass::Server
        | FaultClass::NetworkCut
        | FaultClass::Timeout
        | FaultClass::Protocol => "server_error",
    }
}

/// `error.type` of Anthropic's error object; a refused key has two, by what is wrong with it.
fn messages_types(class: FaultClass) -> Vec<&'static str> {
    match class {
        FaultClass::RateLimit => vec!["rate_limit_error"],
        FaultClass::Overloaded => vec!["overloaded_error"],
        FaultClass::Quota => vec!["billing_error"],
        FaultClass::Auth => vec!["authentication_error", "permission_error"],
        FaultClass::TooLarge => vec!["request_too_large"],
        FaultClass::NotFound => vec!["not_found_error"],
        FaultClass::Timeout => vec!["timeout_error"],
        FaultClass::ContextLength | FaultClass::InvalidRequest | FaultClass::ContentFilter => {
            vec!["invalid_request_error"]
        }
        FaultClass::BadToolCall
        | FaultClass::Server
        | FaultClass::NetworkCut
        | FaultClass::Protocol => vec!["api_error"],
    }
}
