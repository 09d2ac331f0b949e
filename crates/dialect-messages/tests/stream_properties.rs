//! What holds for every stream, sensible or not.
//!
//! The collector of `support` checks the order of events as they come: one part open at a time, no empty part or piece, valid
//! JSON strings, unique call ids, and exactly one terminal event.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{Fault, FaultClass, StreamEnd};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use support::Seen;

/// The frames of all fixtures: what a mad provider might send in any order.
fn fixture_frames() -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(support::own_fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .collect();
    files.sort();
    let mut frames = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        frames.extend(text.split_inclusive("\n\n").map(str::to_owned));
    }
    frames
}

fn end(broken: bool) -> StreamEnd {
    if broken {
        StreamEnd::Broken(Fault::new(FaultClass::NetworkCut, "it broke"))
    } else {
        StreamEnd::Closed
    }
}

fn index() -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 9 => (0..4u64).prop_map(Value::from)]
}

fn block() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "text", "text": ""}),
        json!({"type": "text", "text": "at once", "citations": []}),
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        json!({"type": "thinking", "thinking": "at once", "signature": "s"}),
        json!({"type": "redacted_thinking", "data": "d"}),
        json!({"type": "tool_use", "id": "a", "name": "get", "input": {}}),
        json!({"type": "tool_use", "id": "a", "name": "edit", "input": {}}),
        json!({"type": "tool_use", "id": "", "name": "get", "input": {"n": 1}}),
        json!({"type": "tool_use", "id": "b", "name": "", "input": {}}),
        json!({"type": "server_tool_use", "id": "w", "name": "web_search", "input": {}}),
        json!({"type": "web_search_tool_result", "tool_use_id": "w", "content": [{"url": "https://a.example", "title": "A"}]}),
        json!({"type": "hologram"}),
        json!(7),
    ])
}

fn delta() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec!["", "a", " ", "é\n\"", "\u{1f600}"]);
    let input = prop::sample::select(vec![
        "",
        "{",
        "\"n\":1",
        "}",
        "{}",
        "null",
        "nu",
        "{\"input\":\"x",
        "\"}",
        "\n",
        "n=1",
    ]);
    prop_oneof![
        1 => text.clone().prop_map(|text| json!({"type": "text_delta", "text": text})),
        1 => text.prop_map(|text| json!({"type": "thinking_delta", "thinking": text})),
        3 => input.prop_map(|json| json!({"type": "input_json_delta", "partial_json": json})),
        1 => Just(json!({"type": "signature_delta", "signature": "s"})),
        1 => Just(json!({"type": "citations_delta", "citation": {"url": "https://a.example", "title": "A"}})),
        1 => Just(json!({"type": "odd_delta"})),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let usage = prop::sample::select(vec![
        Value::Null,
        json!({"input_tokens": 3, "output_tokens": 1}),
        json!({"input_tokens": u64::MAX, "cache_read_input_tokens": u64::MAX, "output_tokens": 0}),
        json!({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 5}}),
    ]);
    let reason = prop::sample::select(vec![
        Value::Null,
        json!("end_turn"),
        json!("tool_use"),
        json!("max_tokens"),
        json!("refusal"),
        json!("pause_turn"),
        json!("stop_sequence"),
        json!("error"),
    ]);
    let id = prop::sample::select(vec![json!("m"), Value::Null]);
    prop_oneof![
        1 => (id, usage.clone()).prop_map(|(id, usage)| json!({"type": "message_start", "message": {"id": id, "model": "x", "usage": usage}})),
        6 => (index(), block()).prop_map(|(index, block)| json!({"type": "content_block_start", "index": index, "content_block": block})),
        12 => (index(), delta()).prop_map(|(index, delta)| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        4 => index().prop_map(|index| json!({"type": "content_block_stop", "index": index})),
        1 => (reason, usage).prop_map(|(reason, usage)| json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": "END"}, "usage": usage})),
        1 => Just(json!({"type": "ping"})),
    ]
}

fn stream(events: &[Value], stop: bool) -> Vec<u8> {
    let mut text = String::new();
    for event in events {
        text.push_str("data: ");
        text.push_str(&event.to_string());
        text.push_str("\n\n");
    }
    if stop {
        text.push_str("data: {\"type\":\"message_stop\"}\n\n");
    }
    text.into_bytes()
}

/// Everything of one kind that was handed out, in order.
fn said(seen: &[Seen], part: &str) -> String {
    let pieces = seen.iter().filter_map(|seen| match seen {
        Seen::Delta(kind, text) if *kind == part => Some(text.as_str()),
        _ => None,
    });
    pieces.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn frames_in_any_order_keep_the_order_of_events(
        picks in prop::collection::vec(any::<Index>(), 0..40),
        broken in any::<bool>(),
        cut in any::<Index>(),
    ) {
        let frames = fixture_frames();
        let text: String = picks.iter().map(|pick| frames[pick.index(frames.len())].as_str()).collect();
        let bytes = text.as_bytes();
        let seen = support::read_until(&[bytes], end(broken));
        let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(support::read_until(&[head, tail], end(broken)), seen);
    }

    #[test]
    fn events_of_any_shape_keep_the_order_of_events(
        events in prop::collection::vec(event(), 0..30),
        stop in any::<bool>(),
        broken in any::<bool>(),
    ) {
        let bytes = stream(&events, stop);
        let seen = support::read_until(&[&bytes], end(broken));
        let finished = matches!(seen.last(), Some(Seen::Finish(_)));
        let explained = events.iter().any(|event| event["delta"]["stop_reason"].is_string());
        prop_assert!(!finished || stop || explained, "a cut stream is no success: {seen:?}");
        let half = seen.windows(2).any(|pair| matches!(pair, [Seen::Delta("call", text), Seen::CallEnd] if text.starts_with("{\"n\":1") && !text.ends_with('}')));
        prop_assert!(!half, "{seen:?}");
    }

    /// Whatever comes between, text of blocks that begin and end properly is all handed out.
    #[test]
    fn no_text_is_lost_or_reordered(texts in prop::collection::vec(("[a-z]{1,5}", "[a-z]{1,5}"), 1..6), interleaved in any::<bool>()) {
        let mut events = Vec::new();
        let index = |at: usize| at * 2;
        let start = |at: usize| json!({"type": "content_block_start", "index": index(at), "content_block": {"type": "text", "text": ""}});
        let delta = |at: usize, text: &str| json!({"type": "content_block_delta", "index": index(at), "delta": {"type": "text_delta", "text": text}});
        let stop = |at: usize| json!({"type": "content_block_stop", "index": index(at)});
        if interleaved {
            events.extend((0..texts.len()).map(start));
            events.extend(texts.iter().enumerate().map(|(at, (one, _))| delta(at, one)));
            events.extend(texts.iter().enumerate().rev().map(|(at, (_, two))| delta(at, two)));
            events.extend((0..texts.len()).rev().map(stop));
        } else {
            for (at, (one, two)) in texts.iter().enumerate() {
                events.extend([start(at), delta(at, one), delta(at, two), stop(at)]);
            }
        }
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}));
        let seen = support::read(&[&stream(&events, true)]);
        let expected: Vec<&str> = texts.iter().flat_map(|(one, two)| [one.as_str(), two.as_str()]).collect();
        let expected = expected.concat();
        prop_assert_eq!(said(&seen, "text"), expected);
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        support::read(&[b"data: ", &bytes, b"\n\n"]);
        support::read_whole(&bytes);
    }
}
