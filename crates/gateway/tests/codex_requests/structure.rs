//! What holds between the parts of a body, which no schema can say.

use std::collections::HashSet;

use polywire_dialect_chat::{CallIds, Profile};
use serde_json::Value;

/// Checks a body.
pub(crate) fn check(place: &str, body: &Value, profile: &Profile) {
    let messages = body["messages"].as_array().unwrap();
    one_first_instruction(place, messages, profile);
    every_call_has_its_result_right_behind(place, messages);
    arguments_are_objects(place, messages);
    call_ids_have_the_form(place, messages, profile);
    tools_are_unique(place, body);
    assert!(
        body.get("tools").is_some() || body.get("tool_choice").is_none(),
        "{place}: a choice among no tools"
    );
    for text in texts(messages) {
        assert!(!text.is_empty(), "{place}: an empty text");
    }
}

fn calls(message: &Value) -> &[Value] {
    message["tool_calls"].as_array().map_or(&[], Vec::as_slice)
}

fn one_first_instruction(place: &str, messages: &[Value], profile: &Profile) {
    use polywire_dialect_chat::LateInstructions;
    let instructs =
        |message: &&Value| message["role"] == "system" || message["role"] == "developer";
    if profile.late_instructions != LateInstructions::Inline {
        let later = messages.iter().skip(1).filter(instructs).count();
        assert_eq!(later, 0, "{place}: instructions that do not come first");
    }
}

/// Calls are answered in their order, each once, with nothing between; and nothing else is answered.
fn every_call_has_its_result_right_behind(place: &str, messages: &[Value]) {
    let mut seen = HashSet::new();
    let mut awaited: Vec<&str> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            assert!(
                !awaited.is_empty(),
                "{place}: a result of no call: {message}"
            );
            assert_eq!(message["tool_call_id"], awaited.remove(0), "{place}");
        } else {
            assert!(awaited.is_empty(), "{place}: {awaited:?} before {message}");
        }
        for call in calls(message) {
            let id = call["id"].as_str().unwrap();
            assert!(seen.insert(id), "{place}: two calls with the id `{id}`");
            awaited.push(id);
        }
    }
    assert!(awaited.is_empty(), "{place}: {awaited:?} at the end");
}

fn arguments_are_objects(place: &str, messages: &[Value]) {
    for call in messages.iter().flat_map(calls) {
        let arguments = call["function"]["arguments"].as_str().unwrap();
        let arguments: Result<Value, _> = serde_json::from_str(arguments);
        assert!(
            arguments.is_ok_and(|value| value.is_object()),
            "{place}: {call}"
        );
    }
}

fn call_ids_have_the_form(place: &str, messages: &[Value], profile: &Profile) {
    if profile.call_ids != CallIds::Alphanumeric9 {
        return;
    }
    for call in messages.iter().flat_map(calls) {
        let id = call["id"].as_str().unwrap();
        assert_eq!(id.len(), 9, "{place}: {id}");
        assert!(
            id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{place}: {id}"
        );
    }
}

fn tools_are_unique(place: &str, body: &Value) {
    let mut seen = HashSet::new();
    for tool in body["tools"].as_array().into_iter().flatten() {
        let name = tool["function"]["name"].as_str().unwrap();
        assert!(seen.insert(name), "{place}: two tools named `{name}`");
    }
}

/// Every text that a model reads in the messages.
fn texts(messages: &[Value]) -> impl Iterator<Item = &str> {
    messages.iter().flat_map(|message| {
        let parts = message["content"].as_array().into_iter().flatten();
        let texts = parts.filter_map(|part| part["text"].as_str());
        texts.chain(message["content"].as_str())
    })
}
