//! Reasoning state on its way: out of an answer, through an envelope, and home with the next request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::envelope::{Content, Envelope, Minter};
use polywire_conversation::{
    Call, CallInput, Event, Item, ModelFacts, Opaque, ReadStream, Reasoning, Request, Role,
    StreamEnd, Text, VisibleReasoning,
};
use polywire_dialect_chat::{ChatReader, Profile, render};
use polywire_sse::Decoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::request::{call, items, outline, profile, result, said, text, user};

/// What a client keeps of an answer: its items, with the provider's state in an envelope.
#[derive(Default)]
struct Kept {
    items: Vec<Item<'static>>,
    words: String,
    state: Vec<Opaque<'static>>,
}

impl Kept {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::ReasoningDelta(piece) | Event::TextDelta(piece) | Event::CallDelta(piece) => {
                self.words.push_str(&piece.to_plain());
            }
            Event::ReasoningOpaque(Opaque { kind, state }) => {
                let state = state.into_owned();
                self.state.push(Opaque { kind, state });
            }
            Event::ReasoningEnd => {
                let words = std::mem::take(&mut self.words);
                let parts = (!words.is_empty()).then(|| Text::plain(words));
                let (sealed, state) = sealed_and_opened(std::mem::take(&mut self.state));
                self.items.push(Item::Reasoning(Reasoning {
                    visible: VisibleReasoning::Summary(parts.into_iter().collect()),
                    sealed: Some(sealed.into()),
                    state,
                }));
            }
            Event::TextEnd => {
                let words = std::mem::take(&mut self.words);
                let part = polywire_conversation::Part::Text(Text::plain(words));
                self.items.push(said(Role::Assistant, vec![part]));
            }
            Event::CallStart { id, tool } => self.items.push(Item::Call(Call {
                id: id.to_owned().into(),
                name: tool.name.to_owned().into(),
                namespace: None,
                input: CallInput::Arguments(Text::EMPTY),
            })),
            Event::CallEnd => {
                let words = std::mem::take(&mut self.words);
                if let Some(Item::Call(call)) = self.items.last_mut() {
                    call.input = CallInput::Arguments(Text::plain(words));
                }
            }
            Event::Fault(fault) => panic!("{fault:?}"),
            _ => {}
        }
    }
}

fn sealed_and_opened(state: Vec<Opaque<'static>>) -> (String, Vec<Opaque<'static>>) {
    let minter = Minter {
        provider: "house".to_owned(),
        account: "1".to_owned(),
        model: "model-1".to_owned(),
    };
    let content = Content::State(state);
    let sealed = Envelope { minter, content }.seal();
    match Envelope::open(&sealed).unwrap().content {
        Content::State(state) => (sealed, state),
        Content::Summary(_) => unreachable!("state was sealed"),
    }
}

/// The assistant message of the request that follows an answer.
fn sent_back(items: Vec<Item<'static>>, profile: &Profile) -> Value {
    let mut history = vec![user("Go.")];
    let results: Vec<Item<'static>> = items
        .iter()
        .filter_map(|item| match item {
            Item::Call(call) => Some(Item::Result(polywire_conversation::ToolResult {
                call_id: call.id.clone(),
                parts: vec![text("ok")],
                tools_loaded: Vec::new(),
                is_error: false,
            })),
            _ => None,
        })
        .collect();
    history.extend(items);
    history.extend(results);
    let request = Request {
        items: history,
        ..Request::default()
    };
    let rendered = render(&request, &ModelFacts::named("model-1"), profile).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    body["messages"][1].clone()
}

fn read_stream(bytes: &[u8], profile: &Profile) -> Vec<Item<'static>> {
    let mut kept = Kept::default();
    let mut reader = ChatReader::new(support::ledger(), "seed").with_profile(profile);
    let mut decoder = Decoder::new(1 << 20);
    let mut sink = |event: Event<'_>| kept.take(event);
    decoder
        .push(bytes, |frame| reader.push(frame, &mut sink))
        .unwrap();
    reader.finish(StreamEnd::Closed, &mut sink);
    kept.items
}

fn stream(deltas: &[Value]) -> String {
    let chunks = deltas
        .iter()
        .map(|delta| json!({"choices": [{"delta": delta}]}));
    let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    chunks
        .chain([end])
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect::<String>()
        + "data: [DONE]\n\n"
}

fn round_trip(deltas: &[Value], profile: &Profile) -> Value {
    sent_back(read_stream(stream(deltas).as_bytes(), profile), profile)
}

fn details() -> Profile {
    profile(json!({"reasoning_back": "details"}))
}

#[test]
fn streamed_details_go_home_whole() {
    let piece =
        |text: &str| json!({"type": "reasoning.text", "text": text, "format": "a-v1", "index": 0});
    let deltas = [
        json!({"reasoning": "I ", "reasoning_details": [piece("I ")]}),
        json!({"reasoning": "see.", "reasoning_details": [piece("see.")]}),
        json!({"reasoning_details": [{"type": "reasoning.text", "signature": "c2ln", "format": "a-v1", "index": 0}]}),
        json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "ZQ==", "id": "rs_1", "format": "a-v1", "index": 1}]}),
        json!({"content": "Look."}),
        json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "get", "arguments": "{}"}}]}),
    ];
    let entries = json!([
        {"type": "reasoning.text", "text": "I see.", "format": "a-v1", "index": 0, "signature": "c2ln"},
        {"type": "reasoning.encrypted", "data": "ZQ==", "id": "rs_1", "format": "a-v1", "index": 1},
    ]);
    let message = round_trip(&deltas, &details());
    assert_eq!(message["reasoning_details"], entries);
    assert_eq!(message["content"], "Look.");
    assert_eq!(message.get("reasoning"), None);
    // A reader that was not told keeps what only the provider can read; the words come from what is visible.
    let items = read_stream(stream(&deltas).as_bytes(), &Profile::default());
    let message = sent_back(items, &details());
    let entry = &message["reasoning_details"][0];
    assert_eq!(
        (&entry["text"], &entry["signature"]),
        (&json!("I see."), &json!("c2ln"))
    );
    assert_eq!(message["reasoning_details"][1], entries[1]);
}

#[test]
fn details_of_text_alone_and_cumulative_ones_go_home() {
    let piece = |text: &str| json!({"reasoning_details": [{"type": "reasoning.text", "id": "r-1", "format": "m-v1", "index": 0, "text": text}]});
    let whole = json!([{"type": "reasoning.text", "id": "r-1", "format": "m-v1", "index": 0, "text": "Look up the weather."}]);
    for pieces in [
        &["Look up", " the weather."][..],
        &[
            "Look up",
            "Look up the",
            "Look up the weather.",
            "Look up the weather.",
        ],
    ] {
        let deltas: Vec<Value> = pieces.iter().map(|text| piece(text)).collect();
        let items = read_stream(stream(&deltas).as_bytes(), &details());
        match &items[0] {
            Item::Reasoning(reasoning) => {
                assert_eq!(
                    reasoning.visible.parts(),
                    [Text::plain("Look up the weather.")]
                );
            }
            other => panic!("{other:?}"),
        }
        let unasked = read_stream(stream(&deltas).as_bytes(), &Profile::default());
        match &unasked[..] {
            [Item::Reasoning(reasoning)] => {
                assert_eq!(
                    reasoning.visible.parts(),
                    [Text::plain("Look up the weather.")]
                );
                assert_eq!(reasoning.state, []);
            }
            other => panic!("{other:?}"),
        }
        let mut deltas = deltas;
        deltas.push(json!({"content": "Sun."}));
        assert_eq!(
            round_trip(&deltas, &details())["reasoning_details"],
            whole,
            "{pieces:?}"
        );
    }
}

#[test]
fn signed_calls_and_texts_go_home() {
    let signed = |signature: &str| json!({"google": {"thought_signature": signature}});
    let call = |id: &str, extra: Value| json!({"tool_calls": [{"id": id, "index": 0, "function": {"name": "get", "arguments": "{}"}, "extra_content": extra}]});
    let deltas = [
        json!({"content": "Both.", "extra_content": signed("t")}),
        call("c1", signed("one")),
        call("c2", Value::Null),
        call("c3", signed("three")),
    ];
    let gemini = profile(json!({"call_signature": "placeholder"}));
    let message = round_trip(&deltas, &gemini);
    assert_eq!(message["extra_content"], signed("t"));
    let found: Vec<&Value> = message["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| &call["extra_content"])
        .collect();
    assert_eq!(found, [&signed("one"), &Value::Null, &signed("three")]);
    // Signatures of calls are the provider's own, so they go home without any switch; that over text does not.
    let message = round_trip(&deltas, &Profile::default());
    assert_eq!(message["tool_calls"][2]["extra_content"], signed("three"));
    assert_eq!(message.get("extra_content"), None);
}

#[test]
fn other_forms_go_home() {
    let copilot = profile(json!({"reasoning_back": "text_and_opaque"}));
    let deltas = [
        json!({"reasoning_text": "Hm"}),
        json!({"reasoning_text": ".", "reasoning_opaque": "b3Bh"}),
        json!({"content": "Yes."}),
    ];
    assert_eq!(
        round_trip(&deltas, &copilot),
        json!({"role": "assistant", "content": "Yes.", "reasoning_text": "Hm.", "reasoning_opaque": "b3Bh"})
    );
    let parts = profile(json!({"reasoning_back": "content_parts"}));
    let thinking =
        |words: &str| json!({"type": "thinking", "thinking": [{"type": "text", "text": words}]});
    let deltas = [
        json!({"content": [thinking("2+2")]}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "=4."}], "signature": "c2ln"}]}),
        json!({"content": [{"type": "text", "text": "Four."}]}),
    ];
    assert_eq!(
        round_trip(&deltas, &parts)["content"],
        json!([
            {"type": "thinking", "thinking": [{"type": "text", "text": "2+2=4."}], "signature": "c2ln"},
            {"type": "text", "text": "Four."},
        ])
    );
    let tags = profile(json!({"reasoning_back": "think_tags"}));
    for content in [
        "<think>\nParis?\n</think>\n\nParis.",
        "<think>\nHm.\n</think>\n\n",
    ] {
        let mut deltas = vec![json!({"content": content})];
        if content.ends_with("\n\n") {
            deltas.push(json!({"tool_calls": [{"id": "c", "function": {"name": "get", "arguments": "{}"}}]}));
        }
        assert_eq!(round_trip(&deltas, &tags)["content"], content);
    }
}

/// Reasoning of another provider, whose envelope stayed shut, under every way to give reasoning back.
#[test]
fn foreign_reasoning() {
    let thought = || {
        Item::Reasoning(Reasoning {
            visible: VisibleReasoning::Summary(vec![Text::plain("I should look.")]),
            sealed: Some(Text::plain("pw1.foreign")),
            state: Vec::new(),
        })
    };
    let request = items(vec![
        user("Go."),
        thought(),
        said(Role::Assistant, vec![text("Looking.")]),
        call("c1", "get", "{}"),
        call("c2", "get", "{}"),
        result("c1", vec![text("one")]),
        result("c2", vec![text("two")]),
        call("c3", "get", "{}"),
        result("c3", vec![text("three")]),
    ]);
    let mut table = String::new();
    for changes in [
        json!({}),
        json!({"reasoning_back": "reasoning_content"}),
        json!({"reasoning_back": "details"}),
        json!({"reasoning_back": "details", "reasoning_back_required": true}),
        json!({"reasoning_back": "content_parts"}),
        json!({"reasoning_back": "text_and_opaque"}),
        json!({"reasoning_back": "text_and_opaque", "reasoning_back_required": true}),
        json!({"reasoning_back": "think_tags"}),
        json!({"call_signature": "placeholder"}),
    ] {
        let all = outline(&request, &profile(changes.clone()), true);
        let kept = all
            .lines()
            .filter(|line| line.contains("\"assistant\"") || line.starts_with("loss"));
        table += &format!("{changes}\n  {}\n", kept.collect::<Vec<_>>().join("\n  "));
    }
    assert!(!table.contains("pw1."), "{table}");
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("foreign_reasoning", table);
    });
}

/// What a recorded stream brings of `reasoning_details`, merged as its provider wants it back: written down a second time,
/// on parsed values.
fn merged(stream: &str) -> Vec<Value> {
    let mut entries: Vec<Value> = Vec::new();
    let chunks = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    for chunk in chunks.filter_map(|data| serde_json::from_str::<Value>(data).ok()) {
        let pieces = chunk["choices"][0]["delta"]["reasoning_details"].as_array();
        for piece in pieces.into_iter().flatten() {
            let same = |entry: &&mut Value| {
                entry["index"] == piece["index"]
                    && entry["type"] == piece["type"]
                    && entry["data"].is_null()
            };
            match entries.iter_mut().find(same) {
                Some(entry) => {
                    for (key, value) in piece.as_object().unwrap() {
                        match (key.as_str(), &entry[key]) {
                            ("text" | "summary", Value::String(text)) => {
                                entry[key] = format!("{text}{}", value.as_str().unwrap()).into();
                            }
                            (_, Value::Null) => entry[key] = value.clone(),
                            _ => {}
                        }
                    }
                }
                None => entries.push(piece.clone()),
            }
        }
    }
    entries
}

#[test]
fn details_of_recordings_go_home() {
    let Some(place) = polywire_stream_suite::shared_fixtures() else {
        return;
    };
    let mut checked = 0;
    for name in [
        "openrouter/reasoning_details_tool.sse",
        "openrouter/encrypted_reasoning_tool.sse",
        "openrouter/glm_tool.sse",
        "minimax/reasoning_split_details.sse",
        "kilo/reasoning_details_text.sse",
        "vercel_gateway/gpt5_encrypted_tool.sse",
    ] {
        let Ok(bytes) = std::fs::read(place.join(name)) else {
            continue;
        };
        let message = sent_back(read_stream(&bytes, &details()), &details());
        let wanted = merged(&String::from_utf8_lossy(&bytes));
        assert_eq!(message["reasoning_details"], json!(wanted), "{name}");
        checked += 1;
    }
    assert!(checked > 4, "only {checked}");
}

fn entry() -> impl Strategy<Value = Value> {
    let words = "[a-zé\"\\\\\n]{1,12}";
    prop_oneof![
        (words, prop::option::of("[a-z]{1,6}")).prop_map(|(text, signature)| json!({
            "type": "reasoning.text", "text": text, "signature": signature, "format": "f"
        })),
        words.prop_map(|summary| json!({"summary": summary, "type": "reasoning.summary", "big": 12_345_678_901_234_567_u64})),
        "[A-Za-z0-9]{1,12}".prop_map(|data| json!({"type": "reasoning.encrypted", "data": data, "id": null})),
    ]
}

proptest! {
    /// Entries that came whole go home as they came: the same values, the same order, the same order of members.
    #[test]
    fn whole_entries_survive(entries in prop::collection::vec(entry(), 1..6), apart in any::<bool>()) {
        let numbered: Vec<Value> = entries.into_iter().enumerate().map(|(index, mut entry)| {
            entry["index"] = index.into();
            entry
        }).collect();
        let mut deltas = if apart {
            numbered.iter().map(|entry| json!({"reasoning_details": [entry]})).collect()
        } else {
            vec![json!({"reasoning_details": numbered})]
        };
        deltas.push(json!({"content": "x"}));
        let message = round_trip(&deltas, &details());
        prop_assert_eq!(message["reasoning_details"].to_string(), json!(numbered).to_string());
    }
}
