//! What holds for the body of every request, however mangled its history.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

use std::collections::HashSet;

use polywire_conversation::{
    Call, CallInput, File, FileContent, Function, Image, Instruction, Item, Json, Message,
    ModelFacts, Opaque, OpaqueKind, Part, Reasoning, Request, Role, Text, Tool, ToolResult,
    VisibleReasoning,
};
use polywire_dialect_chat::{Profile, render};
use proptest::prelude::*;
use serde_json::{Value, json};

fn part() -> impl Strategy<Value = Part<'static>> {
    prop_oneof![
        4 => "[a-zé\"\n]{0,4}".prop_map(|text| Part::Text(Text::plain(text))),
        1 => prop::sample::select(vec![r"\ud83d", r"a\n\u00e9", ""]).prop_map(|body| Part::Text(Text::escaped(body))),
        1 => Just(Part::Image(Image { url: Text::plain("data:image/png;base64,AA"), detail: None })),
        1 => Just(Part::Refusal(Text::plain(""))),
        1 => Just(Part::File(File { name: None, media_type: None, content: FileContent::Stored(Text::plain("file_1")) })),
    ]
}

fn parts() -> impl Strategy<Value = Vec<Part<'static>>> {
    prop::collection::vec(part(), 0..3)
}

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "call_1", "", "with space", "functions.x:0"])
        .prop_map(str::to_owned)
}

fn call() -> impl Strategy<Value = Item<'static>> {
    let name = prop::sample::select(vec![
        "get",
        "edit",
        "größe/2",
        "an_extremely_long_tool_name_that_no_provider_takes_as_it_is_because_of_its_length",
    ]);
    let namespace = prop::sample::select(vec![None, Some("mcp__x"), Some("mcp.y")]);
    let input = prop_oneof![
        prop::sample::select(vec![
            "",
            "{}",
            "{\"a\":1}",
            "{",
            "null",
            "[]",
            "text \"quoted\"\n"
        ])
        .prop_map(|arguments| CallInput::Arguments(Text::plain(arguments))),
        Just(CallInput::Arguments(Text::escaped(r#"{\"a\":\"\\n\"}"#))),
        "[a-z\"\\\\\n]{0,5}".prop_map(|text| CallInput::Freeform(Text::plain(text))),
        Just(CallInput::Search(Json::new("{\"query\":\"x\"}"))),
    ];
    (id(), name, namespace, input).prop_map(|(id, name, namespace, input)| {
        Item::Call(Call {
            id: id.into(),
            name: name.into(),
            namespace: namespace.map(Into::into),
            input,
        })
    })
}

fn reasoning() -> impl Strategy<Value = Item<'static>> {
    let state = prop::sample::select(vec![
        (
            OpaqueKind::Detail,
            r#"{"type":"reasoning.text","text":"a","index":0}"#,
        ),
        (
            OpaqueKind::Detail,
            r#"{"type":"reasoning.text","signature":"s","index":0}"#,
        ),
        (OpaqueKind::Detail, "no JSON"),
        (OpaqueKind::Signature, "sig\"n"),
        (OpaqueKind::Encrypted, "opaque"),
        (OpaqueKind::CallSignature, "call"),
        (OpaqueKind::Redacted, "redacted"),
    ]);
    let state = state.prop_map(|(kind, state)| Opaque {
        kind,
        state: Text::plain(state),
    });
    ("[a-z]{0,3}", prop::collection::vec(state, 0..3)).prop_map(|(text, state)| {
        Item::Reasoning(Reasoning {
            visible: VisibleReasoning::Full(vec![Text::plain(text)]),
            sealed: Some(Text::plain("sealed")),
            state,
        })
    })
}

fn item() -> impl Strategy<Value = Item<'static>> {
    let role = prop::sample::select(vec![
        Role::User,
        Role::Assistant,
        Role::Instructor(Instruction::Developer),
        Role::Instructor(Instruction::System),
    ]);
    prop_oneof![
        4 => (role, parts()).prop_map(|(role, parts)| Item::Message(Message { role, parts, phase: None })),
        2 => reasoning(),
        4 => call(),
        4 => (id(), parts()).prop_map(|(id, parts)| Item::Result(ToolResult { call_id: id.into(), parts, tools_loaded: Vec::new(), is_error: false })),
        1 => Just(Item::Compaction { sealed: None, summary: None }),
        1 => Just(Item::HostedCall { tag: "web_search_call".into(), summary: Text::EMPTY }),
        1 => Just(Item::Unknown { tag: "odd".into(), raw: Json::new("{}") }),
    ]
}

fn profiles() -> impl Strategy<Value = Profile> {
    prop::sample::select(vec![
        json!({}),
        json!({"late_instructions": "inline", "merge_user_messages": true, "images": false}),
        json!({"merge_user_messages": true}),
        json!({"late_instructions": "hoist", "text_parts_as_string": false, "assistant_content_with_calls": "empty"}),
        json!({"call_ids": "alphanumeric9", "reasoning_back": "reasoning", "reasoning_back_required": true}),
        json!({"reasoning_back": "details", "reasoning_back_required": true, "files": true}),
        json!({"reasoning_back": "content_parts", "freeform_tools": true}),
        json!({"reasoning_back": "text_and_opaque", "reasoning_back_required": true}),
        json!({"reasoning_back": "think_tags", "call_signature": "placeholder", "assistant_content_with_calls": "empty"}),
    ])
    .prop_map(|changes| serde_json::from_value(changes).unwrap())
}

fn tool(name: &str) -> Tool<'static> {
    Tool::Function(Function {
        name: name.to_owned().into(),
        description: None,
        parameters: None,
        strict: None,
        deferred: false,
    })
}

fn messages(request: &Request<'_>, profile: &Profile) -> Vec<Value> {
    let rendered = render(request, &ModelFacts::named("m"), profile).unwrap();
    // Half characters are passed on; a strict parser refuses them, so they are made whole for the look.
    let body = String::from_utf8(rendered.body)
        .unwrap()
        .replace(r"\ud83d", "?");
    assert!(!body.contains("\"sealed\""), "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["messages"].as_array().unwrap().clone()
}

fn assert_is_said(content: &Value) {
    match content {
        Value::String(text) => assert!(!text.is_empty(), "empty content"),
        Value::Array(parts) => {
            assert!(!parts.is_empty());
            for part in parts {
                assert!(part["text"] != "", "empty text part");
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            panic!("content {content}")
        }
    }
}

fn assert_legal(messages: &[Value], system_anywhere: bool) {
    let legal = |name: &str| {
        (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
    };
    let mut ids = HashSet::new();
    let mut awaited: Vec<String> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap();
        if role != "tool" {
            assert!(
                awaited.is_empty(),
                "{role} before the results of {awaited:?}"
            );
        }
        match role {
            "system" => {
                assert!(
                    place == 0 || system_anywhere,
                    "a system message in the middle"
                );
                assert_is_said(&message["content"]);
            }
            "user" => assert_is_said(&message["content"]),
            "tool" => {
                assert_is_said(&message["content"]);
                assert!(!awaited.is_empty(), "a result without a call");
                assert_eq!(
                    message["tool_call_id"],
                    awaited.remove(0).as_str(),
                    "results in order"
                );
            }
            "assistant" if message["reasoning_details"] == json!([]) => {
                panic!("an empty list: {message}")
            }
            "assistant" => match message.get("tool_calls") {
                None => assert_is_said(&message["content"]),
                Some(calls) => {
                    for call in calls.as_array().unwrap() {
                        let id = call["id"].as_str().unwrap().to_owned();
                        assert!(legal(&id), "{id}");
                        assert!(ids.insert(id.clone()), "the id `{id}` comes twice");
                        awaited.push(id);
                        if call["type"] == "custom" {
                            assert!(call["custom"]["input"].is_string(), "{call}");
                            assert!(legal(call["custom"]["name"].as_str().unwrap()), "{call}");
                            continue;
                        }
                        let name = call["function"]["name"].as_str().unwrap();
                        assert!(legal(name) && !name.contains(['.', ':']), "{name}");
                        let arguments: Value =
                            serde_json::from_str(call["function"]["arguments"].as_str().unwrap())
                                .unwrap();
                        assert!(arguments.is_object(), "{arguments}");
                    }
                }
            },
            other => panic!("role {other}"),
        }
    }
    assert!(awaited.is_empty(), "no results of {awaited:?}");
}

/// A turn that is in order: somebody asks, the model calls, the tools answer, the model says something.
fn orderly_turn() -> impl Strategy<Value = Vec<Item<'static>>> {
    (
        parts(),
        prop::option::of(reasoning()),
        prop::collection::vec(call(), 0..3),
        parts(),
        "[a-z]{1,4}",
    )
        .prop_map(|(asked, thought, calls, output, answer)| {
            let message = |role, parts| {
                Item::Message(Message {
                    role,
                    parts,
                    phase: None,
                })
            };
            let results: Vec<Item<'static>> = calls
                .iter()
                .filter_map(|call| match call {
                    Item::Call(call) => Some(Item::Result(ToolResult {
                        call_id: call.id.clone(),
                        parts: output.clone(),
                        tools_loaded: Vec::new(),
                        is_error: false,
                    })),
                    Item::Message(_)
                    | Item::Reasoning(_)
                    | Item::Result(_)
                    | Item::ToolsAdded(_)
                    | Item::HostedCall { .. }
                    | Item::Compaction { .. }
                    | Item::Unknown { .. } => None,
                })
                .collect();
            let mut items = vec![message(Role::User, asked)];
            items.extend(thought);
            items.extend(calls);
            items.extend(results);
            items.push(message(
                Role::Assistant,
                vec![Part::Text(Text::plain(answer))],
            ));
            items.push(message(Role::User, vec![Part::Text(Text::plain("go on"))]));
            items
        })
}

fn request(items: Vec<Item<'static>>) -> Request<'static> {
    Request {
        items,
        tools: vec![tool("get"), tool("edit")],
        ..Request::default()
    }
}

proptest! {
    #[test]
    fn any_history_becomes_legal_messages(items in prop::collection::vec(item(), 0..14), profile in profiles()) {
        let inline = profile.late_instructions == polywire_dialect_chat::LateInstructions::Inline;
        let messages = messages(&request(items), &profile);
        assert_legal(&messages, inline);
        let user_twice = messages.windows(2).any(|pair| pair.iter().all(|message| message["role"] == "user"));
        prop_assert!(!(profile.merge_user_messages && user_twice), "{messages:?}");
    }

    /// What is at stake is the provider's prompt cache.
    #[test]
    fn a_longer_conversation_begins_with_the_bytes_of_the_shorter(
        turns in prop::collection::vec(orderly_turn(), 1..4),
        longer in orderly_turn(),
        profile in profiles().prop_filter("what comes later joins what was there", |profile| {
            !profile.merge_user_messages && profile.late_instructions != polywire_dialect_chat::LateInstructions::Hoist
        }),
    ) {
        let body = |turns: &[Vec<Item<'static>>]| {
            render(&request(turns.concat()), &ModelFacts::named("m"), &profile).unwrap().body
        };
        let short = body(&turns);
        // The tools come behind the messages.
        let messages_end = short.windows(9).rposition(|bytes| bytes == b"],\"tools\"").unwrap();
        let mut all = turns.clone();
        all.push(longer);
        prop_assert!(body(&all).starts_with(&short[..messages_end]));
    }
}
