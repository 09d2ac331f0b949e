//! What holds for every stream and every history, sensible or not.
//!
//! The collector checks the order of events as they come: one part open at a time, no empty piece, valid JSON strings, unique call
//! ids, and exactly one terminal event.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{
    Call, CallInput, Item, Message, ModelFacts, Part, Reasoning, Request, Role, Text, ToolResult,
    VisibleReasoning,
};
use polywire_dialect_command_code::{Context, Profile, render};
use polywire_stream_suite::Seen;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

fn line() -> impl Strategy<Value = String> {
    let id = select(vec![
        json!("a"),
        json!("b"),
        json!("x y"),
        json!(""),
        json!(null),
    ]);
    let name = select(vec![
        json!("get"),
        json!("edit"),
        json!("web_search"),
        json!("odd"),
        json!(null),
    ]);
    let input = select(vec![
        json!({"n": 1}),
        json!({"query": "q"}),
        json!("{\"n\":1}"),
        json!("{\"n\":"),
        json!("words"),
        json!(""),
        json!(null),
        json!([1]),
    ]);
    let call = (
        select(vec!["tool-call", "tool-result", "tool-input-start", "tool-input-delta", "tool-call-delta"]),
        id,
        name,
        input,
        select(vec![json!(true), json!(false), json!(null)]),
    )
        .prop_map(|(kind, id, name, input, hosted)| {
            json!({"type": kind, "toolCallId": id, "toolName": name, "input": input, "output": input, "providerExecuted": hosted})
                .to_string()
        });
    let text = (
        select(vec!["text-delta", "reasoning-delta"]),
        select(vec![
            "a",
            "",
            "é\\n",
            "\\ud83d",
            "\\ude00",
            "<tool_call>{}</tool_call>",
        ]),
    )
        .prop_map(|(kind, text)| format!(r#"{{"type":"{kind}","text":"{text}"}}"#));
    let end = select(vec![
        r#"{"type":"finish","finishReason":"stop","totalUsage":{"inputTokens":1}}"#,
        r#"{"type":"finish","finishReason":"length"}"#,
        r#"{"type":"finish","finishReason":"error"}"#,
        r#"{"type":"finish-step","usage":{"inputTokens":1,"outputTokens":18446744073709551615}}"#,
        r#"{"type":"abort"}"#,
        r#"{"type":"error","error":"no"}"#,
        r#"{"type":"error","error":{"statusCode":70000}}"#,
        "data: [DONE]",
        "{\"type\":",
        "{}",
        "[]",
        "7",
        "\"type\"",
    ]);
    prop_oneof![4 => call, 4 => text, 1 => end.prop_map(str::to_owned)]
}

proptest! {
    #[test]
    fn any_lines_are_an_answer_or_a_failure(
        lines in prop::collection::vec(line(), 0..12),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let text = lines.join("\n");
        let bytes = text.as_bytes();
        let seen = support::read(&[bytes]);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(&support::read(&chunks), &seen);
        if !lines.iter().any(|line| line.contains("\"finish\"") || line.contains("abort")) {
            prop_assert!(matches!(seen.last(), Some(Seen::Fault(_))), "{seen:?}");
        }
        // Calls come from `tool-call` lines that are the client's to carry out, and from nothing else.
        let calls = seen.iter().filter(|seen| matches!(seen, Seen::CallEnd)).count();
        let own = |line: &&String| line.contains("\"tool-call\"") && !line.contains("\"providerExecuted\":true");
        prop_assert!(calls <= lines.iter().filter(own).count());
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        support::read(&[&bytes]);
        support::BENCH.read_whole(&bytes);
    }

    /// Every call is answered by one message right behind it, and no message is empty.
    #[test]
    fn any_history_is_one_that_the_provider_takes(shorts in prop::collection::vec("[uartc=][12]", 0..14)) {
        let items: Vec<Item<'_>> = shorts.iter().map(|short| item(short)).collect();
        let request = Request { items, ..Request::default() };
        let context = Context { date: "2026-06-01", session_id: "" };
        let rendered = render(&request, &ModelFacts::named("m"), &Profile::default(), &context).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        let mut waiting: Vec<String> = Vec::new();
        for message in body["params"]["messages"].as_array().unwrap() {
            let parts = message["content"].as_array().unwrap();
            prop_assert!(!parts.is_empty());
            if message["role"] == "tool" {
                prop_assert_eq!(parts.len(), 1);
                prop_assert_eq!(&waiting.remove(0), parts[0]["toolCallId"].as_str().unwrap());
                prop_assert_eq!(&parts[0]["toolName"], "get");
                continue;
            }
            prop_assert!(waiting.is_empty(), "{waiting:?}");
            let calls = parts.iter().filter(|part| part["type"] == "tool-call");
            waiting = calls.map(|call| call["toolCallId"].as_str().unwrap().to_owned()).collect();
            for part in parts {
                prop_assert!(part.get("text").is_none_or(|text| text != ""), "{message}");
            }
        }
        prop_assert!(waiting.is_empty(), "{waiting:?}");
        prop_assert!(body["params"]["system"].as_str().is_some_and(|system| !system.is_empty()));
    }
}

fn item(short: &str) -> Item<'_> {
    let (kind, id) = short.split_at(1);
    let message = |role| {
        Item::Message(Message {
            role,
            parts: vec![Part::Text(Text::plain(id))],
            phase: None,
        })
    };
    match kind {
        "u" => message(Role::User),
        "a" => message(Role::Assistant),
        "t" => message(Role::Instructor(polywire_conversation::Instruction::System)),
        "r" => Item::Reasoning(Reasoning {
            visible: VisibleReasoning::Full(vec![Text::plain(id)]),
            ..Reasoning::default()
        }),
        "c" => Item::Call(Call {
            id: id.into(),
            name: "get".into(),
            namespace: None,
            input: CallInput::Arguments(Text::plain("{}")),
        }),
        _ => Item::Result(ToolResult {
            call_id: id.into(),
            parts: vec![Part::Text(Text::plain("out"))],
            tools_loaded: Vec::new(),
            is_error: false,
        }),
    }
}
