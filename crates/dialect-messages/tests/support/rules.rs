//! What Anthropic demands of a request: section 5 of the protocol's notes (the tool loop), and the rules on texts, thinking,
//! tools and marks around it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::collections::HashSet;

use serde_json::Value;

/// What depends on the profile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// System messages may stand in the middle.
    pub(crate) inline: bool,
    /// Thinking needs no signature.
    pub(crate) unsigned: bool,
    /// A demanded call may go with thinking.
    pub(crate) forced_choice: bool,
}

fn list<'v>(value: &'v Value, what: &str) -> &'v [Value] {
    let elements = value.as_array();
    elements.unwrap_or_else(|| panic!("{what} is {value}"))
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    let word = value[key].as_str();
    word.unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn is_legal(name: &str, length_max: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=length_max).contains(&name.len()) && name.bytes().all(legal)
}

/// Panics with the rule that a body breaks.
pub(crate) fn check(body: &Value, rules: Rules) {
    let max_tokens = body["max_tokens"].as_u64().expect("max_tokens is required");
    assert!(!word(body, "model").is_empty());
    let messages = list(&body["messages"], "messages");
    check_messages(messages, rules);
    if let Some(system) = body.get("system") {
        let system = list(system, "system");
        assert!(!system.is_empty());
        system.iter().for_each(check_text);
    }
    check_tools(body, messages);
    check_thinking(body, messages, max_tokens, rules);
    check_marks(body);
    if let Some(stops) = body.get("stop_sequences") {
        for stop in list(stops, "stop_sequences") {
            assert!(!stop.as_str().unwrap().trim().is_empty());
        }
    }
    if let Some(temperature) = body.get("temperature") {
        assert!((0.0..=1.0).contains(&temperature.as_f64().unwrap()));
        assert!(body.get("top_p").is_none());
    }
}

fn check_messages(messages: &[Value], rules: Rules) {
    assert!(!messages.is_empty(), "no messages");
    assert_eq!(word(&messages[0], "role"), "user", "the first message");
    let mut ids: HashSet<&str> = HashSet::new();
    let mut awaited: Vec<&str> = Vec::new();
    let mut before = "";
    for message in messages {
        let role = word(message, "role");
        assert_ne!(role, before, "two messages of one role");
        before = role;
        let blocks = list(&message["content"], "content");
        assert!(!blocks.is_empty(), "an empty message");
        match role {
            "user" => check_user(blocks, &std::mem::take(&mut awaited)),
            "assistant" => {
                assert!(awaited.is_empty(), "no results of {awaited:?}");
                awaited = check_assistant(blocks, &mut ids, rules);
            }
            "system" => {
                assert!(rules.inline && awaited.is_empty(), "a system message");
                blocks.iter().for_each(check_text);
            }
            other => panic!("role {other}"),
        }
    }
    assert!(awaited.is_empty(), "no results of {awaited:?}");
    let last = messages.last().unwrap();
    let end = list(&last["content"], "content").last().unwrap();
    if word(last, "role") == "assistant" {
        let text = word(end, "text");
        assert_eq!(text.trim_end(), text, "white space at the end");
    }
}

fn check_user(blocks: &[Value], awaited: &[&str]) {
    let is_result = |block: &&Value| block["type"] == "tool_result";
    let answered: Vec<&str> = blocks
        .iter()
        .take_while(is_result)
        .map(|block| word(block, "tool_use_id"))
        .collect();
    assert_eq!(answered, awaited, "results");
    for block in blocks {
        match word(block, "type") {
            "tool_result" => check_result(block),
            "text" => check_text(block),
            "image" | "document" => check_source(block),
            other => panic!("the user says {other}"),
        }
    }
    let late = blocks.iter().skip(answered.len()).filter(is_result).count();
    assert_eq!(late, 0, "a result behind something else");
}

fn check_result(block: &Value) {
    let is_error = block.get("is_error").is_some_and(|flag| flag == true);
    match block.get("content") {
        None => {}
        Some(Value::String(text)) => assert!(!text.trim().is_empty(), "an empty result"),
        Some(content) => {
            for inner in list(content, "content") {
                match word(inner, "type") {
                    "text" => check_text(inner),
                    "image" | "document" if !is_error => check_source(inner),
                    other => panic!("a result with {other}"),
                }
            }
        }
    }
}

fn check_text(block: &Value) {
    assert_eq!(word(block, "type"), "text");
    assert!(!word(block, "text").trim().is_empty(), "an empty text");
}

fn check_source(block: &Value) {
    let source = &block["source"];
    match word(source, "type") {
        "base64" => {
            let media_type = word(source, "media_type");
            let of_image = ["image/png", "image/jpeg", "image/gif", "image/webp"];
            match word(block, "type") {
                "image" => assert!(of_image.contains(&media_type), "{media_type}"),
                _ => assert_eq!(media_type, "application/pdf"),
            }
            assert!(!word(source, "data").is_empty());
        }
        "url" => assert!(word(source, "url").starts_with("http")),
        "text" => assert!(!word(source, "data").trim().is_empty()),
        "file" => assert!(!word(source, "file_id").is_empty()),
        other => panic!("source {other}"),
    }
}

/// The ids of the calls.
fn check_assistant<'v>(
    blocks: &'v [Value],
    ids: &mut HashSet<&'v str>,
    rules: Rules,
) -> Vec<&'v str> {
    let mut calls = Vec::new();
    for block in blocks {
        match word(block, "type") {
            "text" => check_text(block),
            "thinking" => {
                word(block, "thinking");
                assert!(
                    rules.unsigned || !word(block, "signature").is_empty(),
                    "unsigned"
                );
            }
            "redacted_thinking" => assert!(!word(block, "data").is_empty()),
            "tool_use" => {
                let id = word(block, "id");
                assert!(is_legal(id, 64), "{id}");
                assert!(ids.insert(id), "the id `{id}` comes twice");
                assert!(is_legal(word(block, "name"), 64), "{block}");
                assert!(block["input"].is_object(), "{block}");
                calls.push(id);
            }
            other => panic!("the model says {other}"),
        }
    }
    let end = word(blocks.last().unwrap(), "type");
    assert!(!end.contains("thinking"), "a message that ends with {end}");
    calls
}

fn check_tools(body: &Value, messages: &[Value]) {
    let blocks = messages
        .iter()
        .flat_map(|message| list(&message["content"], "content"));
    let calls = blocks.filter(|block| block["type"] == "tool_use").count();
    let Some(tools) = body.get("tools") else {
        assert_eq!(calls, 0, "calls without tools");
        assert!(body.get("tool_choice").is_none(), "a choice without tools");
        return;
    };
    let mut names = HashSet::new();
    for tool in list(tools, "tools") {
        let name = word(tool, "name");
        assert!(is_legal(name, 64), "{name}");
        assert!(names.insert(name), "the tool `{name}` comes twice");
        if tool.get("type").is_none() {
            let schema = &tool["input_schema"];
            assert_eq!(word(schema, "type"), "object");
            for union in ["oneOf", "anyOf", "allOf"] {
                assert!(schema.get(union).is_none(), "{union} at the root");
            }
        }
    }
    assert!(!names.is_empty(), "an empty list of tools");
    if let Some(choice) = body.get("tool_choice") {
        match word(choice, "type") {
            "auto" | "any" => {}
            "none" => assert!(choice.get("disable_parallel_tool_use").is_none()),
            "tool" => assert!(names.contains(word(choice, "name")), "{choice}"),
            other => panic!("choice {other}"),
        }
    }
}

fn check_thinking(body: &Value, messages: &[Value], max_tokens: u64, rules: Rules) {
    let Some(thinking) = body.get("thinking") else {
        return;
    };
    match word(thinking, "type") {
        "disabled" => return,
        "adaptive" => {}
        "enabled" => {
            let budget = thinking["budget_tokens"].as_u64().unwrap();
            assert!(
                (1_024..max_tokens).contains(&budget),
                "{budget} of {max_tokens}"
            );
            check_turn_begins_with_thinking(messages);
        }
        other => panic!("thinking {other}"),
    }
    if let Some(choice) = body.get("tool_choice").filter(|_| !rules.forced_choice) {
        assert!(["auto", "none"].contains(&word(choice, "type")), "{choice}");
    }
    assert!(body.get("temperature").is_none() && body.get("top_k").is_none());
    let top_p = body.get("top_p").and_then(Value::as_f64);
    assert!(top_p.is_none_or(|top_p| top_p >= 0.95));
    assert_ne!(
        word(messages.last().unwrap(), "role"),
        "assistant",
        "a prefill"
    );
}

/// In an open tool loop the model's turn, from what the user said last, begins with thinking.
fn check_turn_begins_with_thinking(messages: &[Value]) {
    let spoken: Vec<&Value> = messages
        .iter()
        .filter(|message| message["role"] != "system")
        .collect();
    let results_only = |message: &Value| {
        let mut blocks = list(&message["content"], "content").iter();
        blocks.all(|block| block["type"] == "tool_result")
    };
    let (last, earlier) = spoken.split_last().unwrap();
    if last["content"][0]["type"] != "tool_result" {
        return;
    }
    let said = earlier
        .iter()
        .rposition(|message| message["role"] == "user" && !results_only(message));
    let first = &earlier[said.map_or(0, |at| at + 1)]["content"][0];
    assert!(
        word(first, "type").contains("thinking"),
        "the turn begins with {first}"
    );
}

fn check_marks(body: &Value) {
    fn count(value: &Value) -> usize {
        match value {
            Value::Object(members) => {
                let own = usize::from(members.contains_key("cache_control"));
                if own > 0 {
                    let kind = members
                        .get("type")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    assert!(!kind.contains("thinking"), "a mark on {kind}");
                }
                own + members.values().map(count).sum::<usize>()
            }
            Value::Array(elements) => elements.iter().map(count).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }
    assert!(count(body) <= 4, "too many marks");
}
