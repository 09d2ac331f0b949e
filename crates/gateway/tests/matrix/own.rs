//! The fixtures of this repository: what they come to is the same for every client.

use std::path::Path;

use polywire_catalog::Kind;
use polywire_gateway::ClientDialect;
use serde_json::json;

use super::{Asked, Fixture, Got, Played};
use crate::support::clients::{Called, Input, Reading};

/// All of them.
pub(crate) fn fixtures(root: &Path) -> Vec<Fixture> {
    let folders = [
        ("chat", Kind::Chat),
        ("messages/streams", Kind::Messages),
        ("responses-streams", Kind::Responses),
        ("command-code/streams", Kind::CommandCode),
    ];
    let mut fixtures = Vec::new();
    for (folder, kind) in folders {
        let files = std::fs::read_dir(root.join(folder)).unwrap();
        fixtures.extend(files.map(|file| fixture(folder, kind, &file.unwrap().path())));
    }
    fixtures
}

fn fixture(folder: &str, kind: Kind, file: &Path) -> Fixture {
    let bytes = std::fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let pauses = text.contains("pause_turn") || text.contains(r#""end_turn": false"#);
    Fixture {
        name: format!("{folder}/{}", file.file_name().unwrap().to_string_lossy()),
        kind,
        status: 200,
        headers: Vec::new(),
        bytes,
        expected: if pauses {
            json!({"finish_reason": "pause"})
        } else {
            json!({})
        },
    }
}

/// Compares what each client got with what the one got that reads the stream of Responses.
pub(crate) fn check_agreement(played: &Played) {
    let mut seen = played.seen.iter();
    let (_, first) = seen.next().unwrap();
    for (asked, got) in seen {
        let name = format!("{} {asked:?}", played.fixture.name);
        match (first, got) {
            (Got::Error { fault, .. }, Got::Error { fault: other, .. }) => {
                assert_eq!(fault.class, other.class, "{name}");
            }
            (Got::Answer(first), Got::Error { told, .. }) => {
                assert!(!asked.stream, "{name}: {told:?}");
                assert!(first.error.is_some(), "{name}: fails here only: {told:?}");
            }
            (Got::Answer(first), Got::Answer(other)) => {
                check_same(&name, *asked, first, other);
            }
            (Got::Error { fault, .. }, Got::Answer(other)) => {
                panic!("{name}: succeeds here only: {fault:?}, {other:#?}");
            }
        }
    }
}

fn check_same(name: &str, asked: Asked, first: &Reading, other: &Reading) {
    let is_messages = asked.dialect == ClientDialect::Messages;
    let told = |reading: &Reading| reading.error.as_ref().map(|told| told.message.clone());
    assert_eq!(told(first), told(other), "{name}: failure");
    let text = if is_messages {
        first.text.clone() + &first.refusal
    } else {
        assert_eq!(first.refusal, other.refusal, "{name}: refusal");
        first.text.clone()
    };
    assert_eq!(other.text, text, "{name}: text");
    assert_eq!(other.reasoning, first.reasoning, "{name}: reasoning");
    let refused = is_messages && !first.refusal.is_empty();
    let finish = if refused {
        Some("content_filter")
    } else if is_messages && other.finish == Some("pause") && first.finish == Some("stop") {
        // No other protocol has a word for a pause that nobody has followed.
        Some("pause")
    } else {
        first.finish
    };
    assert_eq!(other.finish, finish, "{name}: finish");
    if finish == Some("tool_calls") {
        assert_eq!(other.calls.len(), first.calls.len(), "{name}: calls");
        for (call, wanted) in other.calls.iter().zip(&first.calls) {
            check_call(name, is_messages, call, wanted);
        }
    }
    if first.error.is_none() {
        assert_eq!(other.usage, first.usage, "{name}: usage");
    }
}

fn check_call(name: &str, is_messages: bool, call: &Called, wanted: &Called) {
    assert_eq!(call.name, wanted.name, "{name}");
    if !is_messages || is_usual(&wanted.id) {
        assert_eq!(call.id, wanted.id, "{name}");
    }
    let inputs = match &wanted.input {
        // Where every input is an object, what is none stands in one.
        Input::Text(text) if is_messages => ["input", "invalid_arguments"]
            .map(|key| Input::Json(json!({key: text})))
            .into(),
        Input::Json(value) if is_messages && !value.is_object() => {
            vec![Input::Json(json!({"invalid_arguments": value.to_string()}))]
        }
        input @ (Input::Json(_) | Input::Text(_)) => vec![input.clone()],
    };
    assert!(
        inputs.contains(&call.input) || call.input == wanted.input,
        "{name}: {:?}, expected {inputs:?}",
        call.input
    );
}

/// Whether the protocol takes an id as it is.
fn is_usual(id: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !id.is_empty() && id.bytes().all(letters)
}
