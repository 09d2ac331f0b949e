//! Every recorded or composed answer of the shared provider fixtures, against its expected reading.

use std::path::Path;

use polywire_conversation::{Fault, Form};
use polywire_wire::read_error;
use serde_json::Value;

use crate::collect::{Bench, Seen, frames, shared_fixtures};

/// How many bytes may be read to try the cuts of one stream. A stream of up to 3,500 bytes can be cut at every position for
/// that; longer ones are cut at positions evenly spread, fewer the longer they are.
const CUT_BYTES_MAX: usize = 12_250_000;

/// Names of fixtures whose arguments came as an object, so that there is no text to compare to the letter.
const AS_OBJECT: [&str; 3] = [
    "arguments_as_object",
    "anthropic/nonstream",
    "whole_input_in_start",
];

/// What an answer comes to.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the members of the expected results")]
pub struct Reading {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub calls: Vec<ReadCall>,
    pub opaque: bool,
    pub usage: Option<polywire_conversation::Usage>,
    pub finish: Option<&'static str>,
    pub fault: Option<Fault>,
    pub late_error: bool,
}

/// A call of an answer.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the members of the expected results")]
pub struct ReadCall {
    pub id: String,
    pub name: String,
    pub arguments: String,
    pub cut: bool,
    pub invalid: bool,
    /// A search for tools, which the client carries out. The expected readings have it beside the calls, in `server_tools`.
    pub search: bool,
}

/// What the events of an answer come to.
pub fn reading(seen: &[Seen]) -> Reading {
    let mut reading = Reading::default();
    let mut invalid = false;
    for seen in seen {
        match seen {
            Seen::Delta("text", text) => reading.text.push_str(text),
            Seen::Delta("reasoning", text) => reading.reasoning.push_str(text),
            Seen::Delta("refusal", text) => reading.refusal.push_str(text),
            Seen::Delta(_, text) => reading.calls.last_mut().unwrap().arguments.push_str(text),
            Seen::Opaque(_) => reading.opaque = true,
            Seen::Call { id, name, form, .. } => reading.calls.push(ReadCall {
                id: id.clone(),
                name: name.clone(),
                search: *form == Form::Search,
                ..ReadCall::default()
            }),
            Seen::CallEnd => {
                reading.calls.last_mut().unwrap().invalid = std::mem::take(&mut invalid);
            }
            Seen::CallCut => reading.calls.last_mut().unwrap().cut = true,
            Seen::Usage(usage) => reading.usage = Some(*usage),
            Seen::Loss(loss) if loss.contains("not a JSON object") => invalid = true,
            Seen::Loss(loss) => reading.late_error |= loss.contains("after the end of the answer"),
            Seen::Finish(reason) => reading.finish = Some(reason),
            Seen::Fault(fault) => reading.fault = Some(fault.clone()),
            Seen::Start { .. }
            | Seen::Open(_)
            | Seen::Close(_)
            | Seen::Citation(_)
            | Seen::Logprobs(_)
            | Seen::WebSearch(_)
            | Seen::StoppedAt(_) => {}
        }
    }
    reading
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// Compares a reading with the expected one, as a fixture tells it.
pub fn check_reading(name: &str, read: &Reading, expected: &Value) {
    let trim = expected["compare"] == "trim";
    for (key, found) in [
        ("text", &read.text),
        ("reasoning", &read.reasoning),
        ("refusal", &read.refusal),
    ] {
        let wanted = text_of(expected, key);
        if trim {
            assert_eq!(found.trim(), wanted.trim(), "{name}: {key}");
        } else {
            assert_eq!(found, wanted, "{name}: {key}");
        }
    }
    let searches = told_beside_calls(expected);
    let (searched, calls): (Vec<&ReadCall>, Vec<&ReadCall>) =
        read.calls.iter().partition(|call| searches && call.search);
    check_calls(
        name,
        &calls,
        &expected["tool_calls"],
        !AS_OBJECT.iter().any(|word| name.contains(word)),
    );
    let finish = if read.fault.is_some() {
        "error"
    } else if !searched.is_empty() && calls.is_empty() && read.finish == Some("tool_calls") {
        "stop"
    } else {
        read.finish.unwrap_or_default()
    };
    assert_eq!(finish, text_of(expected, "finish_reason"), "{name}: finish");
    let counts = |usage: &Value, key: &str| usage[key].as_u64();
    match (&read.usage, &expected["usage"]) {
        (None, Value::Null) => {}
        (Some(found), wanted) => {
            let found = [
                found.input,
                found.cached,
                found.cache_write,
                found.output,
                found.reasoning,
            ];
            let wanted = ["input", "cached", "cache_write", "output", "reasoning"]
                .map(|key| counts(wanted, key));
            assert_eq!(found, wanted, "{name}: usage");
        }
        (None, wanted) => panic!("{name}: no usage, expected {wanted}"),
    }
    assert_eq!(
        read.opaque,
        expected["opaque_reasoning"] == true,
        "{name}: opaque reasoning"
    );
    assert_eq!(
        read.late_error,
        !expected["late_error"].is_null(),
        "{name}: late error"
    );
    match (&read.fault, &expected["error"]) {
        (None, Value::Null) => assert_eq!(expected["complete"], true, "{name}: complete"),
        (Some(fault), error @ Value::Object(_)) => check_fault(name, fault, error),
        (found, wanted) => panic!("{name}: fault {found:?}, expected {wanted}"),
    }
}

/// Whether the expected reading has searches for tools beside the calls rather than among them.
fn told_beside_calls(expected: &Value) -> bool {
    let tools = expected["server_tools"].as_array();
    tools.is_some_and(|tools| tools.iter().any(|tool| tool == "tool_search_call"))
}

/// `verbatim` says that arguments must be the provider's to the letter, which they cannot be when it sent an object.
fn check_calls(name: &str, found: &[&ReadCall], expected: &Value, verbatim: bool) {
    let expected = expected.as_array().unwrap();
    assert_eq!(
        found.len(),
        expected.len(),
        "{name}: number of calls: {found:?}"
    );
    for (call, wanted) in found.iter().zip(expected) {
        match wanted["id"].as_str() {
            Some(id) => assert_eq!(call.id, id, "{name}: call id"),
            None => assert!(call.id.starts_with("call_"), "{name}: made id {}", call.id),
        }
        assert_eq!(call.name, text_of(wanted, "name"), "{name}: call name");
        assert_eq!(call.cut, wanted["incomplete"] == true, "{name}: cut call");
        assert_eq!(
            call.invalid,
            wanted["invalid_arguments"] == true,
            "{name}: invalid arguments"
        );
        match &wanted["arguments_raw"] {
            // Nothing, or the word `null`, is read as `{}`.
            Value::String(raw)
                if call.cut || (verbatim && !matches!(raw.as_str(), "" | "null")) =>
            {
                assert_eq!(call.arguments, *raw, "{name}: arguments");
            }
            _ => {
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
                assert_eq!(arguments, wanted["arguments"], "{name}: arguments");
            }
        }
    }
}

fn check_fault(name: &str, fault: &Fault, expected: &Value) {
    assert_eq!(
        fault.class.name(),
        text_of(expected, "class"),
        "{name}: class of {fault:?}"
    );
    if let Some(status) = expected["status"].as_u64() {
        assert_eq!(u64::from(fault.status), status, "{name}: status");
    }
    if let Some(code) = expected["code"].as_str() {
        assert_eq!(fault.code.as_deref(), Some(code), "{name}: code");
    }
    if let Some(message) = expected["message"].as_str() {
        assert!(
            fault.message.contains(message),
            "{name}: message {:?}",
            fault.message
        );
    }
}

/// Cuts a stream at every position. The frames must be the same each time, which is all that the reader sees; so the events
/// are compared for some cuts only, and byte by byte.
fn check_cuts(bench: Bench, name: &str, bytes: &[u8], whole: &[Seen]) {
    let expected = frames(&[bytes]);
    let step = (bytes.len() * bytes.len()).div_ceil(CUT_BYTES_MAX).max(1);
    for (count, at) in (0..=bytes.len()).step_by(step).enumerate() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(frames(&[head, tail]), expected, "{name}: cut at {at}");
        if count % 211 == 0 {
            assert_eq!(bench.read(&[head, tail]), whole, "{name}: cut at {at}");
        }
    }
    let singles: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(bench.read(&singles), whole, "{name}: byte by byte");
}

fn check_fixture(bench: Bench, place: &Path, fixture: &Value) -> bool {
    let (Some(file), Some(expected)) = (fixture["file"].as_str(), fixture["expected"].as_str())
    else {
        return false;
    };
    let bytes = std::fs::read(place.join(file)).unwrap();
    let expected: Value =
        serde_json::from_slice(&std::fs::read(place.join(expected)).unwrap()).unwrap();
    match text_of(fixture, "kind") {
        "stream" => {
            let seen = bench.read(&[&bytes]);
            check_reading(file, &reading(&seen), &expected);
            check_cuts(bench, file, &bytes, &seen);
        }
        "json" => check_reading(file, &reading(&bench.read_whole(&bytes)), &expected),
        "error" => {
            let status = u16::try_from(fixture["status"].as_u64().unwrap()).unwrap();
            let fault = read_error(status, None, &bytes);
            check_fault(file, &fault, &expected["error"]);
        }
        other => panic!("{file}: kind `{other}`"),
    }
    true
}

impl Bench {
    /// Reads every recording of `dialect` and compares it with its expected reading; `least` is how many there must be. Without the
    /// recordings it says so and is content.
    pub fn check_recordings(self, dialect: &str, least: usize) {
        let Some(place) = shared_fixtures() else {
            return;
        };
        let index: Value =
            serde_json::from_slice(&std::fs::read(place.join("index.json")).unwrap()).unwrap();
        let fixtures = index["fixtures"].as_array().unwrap().iter();
        let checked = fixtures
            .filter(|fixture| fixture["dialect"] == dialect)
            .filter(|fixture| check_fixture(self, &place, fixture))
            .count();
        assert!(checked >= least, "only {checked} fixtures");
    }
}
