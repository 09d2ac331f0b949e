//! What holds for every stream, sensible or not.
//!
//! The collector of `support` checks the order of events as they come: one part open at a time, no empty part or piece, valid
//! JSON strings, unique call ids, and exactly one terminal event.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{Fault, FaultClass, StreamEnd};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use support::Seen;

/// The data of all frames of all fixtures: what a mad provider might send in any order.
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

/// A piece of a call, with all the liberties that providers take.
fn call_piece() -> impl Strategy<Value = Value> {
    let index = prop_oneof![Just(Value::Null), (0..3i64).prop_map(Value::from)];
    let id = prop::sample::select(vec![
        Value::Null,
        json!(""),
        json!("a"),
        json!("b"),
        json!("x y"),
    ]);
    let name = prop::sample::select(vec![
        Value::Null,
        json!(""),
        json!("get"),
        json!("edit"),
        json!("multi_tool_use.parallel"),
    ]);
    let arguments = prop::sample::select(vec![
        Value::Null,
        json!(""),
        json!("{"),
        json!("\"n\":1"),
        json!("}"),
        json!("{}"),
        json!("null"),
        json!("nu"),
        json!({"o": 1}),
        json!("{\"input\":\"x"),
        json!("\"}"),
        json!("\n"),
        json!("{\"tool_uses\":[{\"recipient_name\":\"get\",\"parameters\":{}}]}"),
    ]);
    (index, id, name, arguments).prop_map(|(index, id, name, arguments)| {
        json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}})
    })
}

/// A piece of an entry of reasoning details.
fn detail_piece() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec![
        Value::Null,
        json!(""),
        json!("a"),
        json!("ab"),
        json!("b\n"),
    ]);
    let signature = prop::sample::select(vec![Value::Null, Value::Null, json!("s")]);
    (0..2i64, text, signature).prop_map(|(index, text, signature)| {
        json!({"type": "reasoning.text", "index": index, "text": text, "signature": signature})
    })
}

/// A piece of a freeform call that comes as what it is.
fn custom_piece() -> impl Strategy<Value = Value> {
    let index = prop_oneof![Just(Value::Null), (0..3i64).prop_map(Value::from)];
    let name = prop::sample::select(vec![Value::Null, json!("edit"), json!("get")]);
    let input = prop::sample::select(vec![
        Value::Null,
        json!(""),
        json!("{}"),
        json!("rm a\n"),
        json!("null"),
    ]);
    (index, name, input).prop_map(|(index, name, input)| {
        json!({"index": index, "type": "custom", "custom": {"name": name, "input": input}})
    })
}

fn chunk() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec![
        "",
        "a",
        "<think>",
        "</think>",
        "<",
        " ",
        "é\n\"",
        "\u{1f600}",
    ]);
    let delta = prop_oneof![
        text.clone().prop_map(|text| json!({"content": text})),
        text.clone().prop_map(|text| json!({"reasoning": text})),
        text.prop_map(|text| json!({"refusal": text})),
        prop::collection::vec(call_piece(), 0..3).prop_map(|calls| json!({"tool_calls": calls})),
        call_piece().prop_map(|call| json!({"function_call": call["function"]})),
        Just(json!({"reasoning_details": [{"data": "x"}]})),
        detail_piece().prop_map(|detail| json!({"reasoning_details": [detail]})),
        custom_piece().prop_map(|call| json!({"tool_calls": [call]})),
        Just(json!({"content": "", "annotations": [{"url": "https://example.org"}]})),
        Just(
            json!({"tool_calls": [{"index": 0, "function": {"name": "get"}, "extra_content": {"google": {"thought_signature": "s"}}}]})
        ),
    ];
    let finish = prop_oneof![
        12 => Just(Value::Null),
        1 => prop::sample::select(vec![json!("stop"), json!("tool_calls"), json!("length"), json!("error")]),
    ];
    let logprobs = prop_oneof![
        6 => Just(Value::Null),
        1 => Just(json!({"content": [{"token": "a", "logprob": -1}]})),
    ];
    (delta, finish, logprobs).prop_map(|(delta, finish, logprobs)| {
        json!({"choices": [{"delta": delta, "finish_reason": finish, "logprobs": logprobs}]})
    })
}

fn stream(chunks: &[Value], done: bool) -> String {
    let mut text: String = chunks.iter().fold(String::new(), |text, chunk| {
        text + "data: " + &chunk.to_string() + "\n\n"
    });
    if done {
        text.push_str("data: [DONE]\n\n");
    }
    text
}

proptest! {
    #[test]
    fn shuffled_and_damaged_streams(
        picks in prop::collection::vec(any::<Index>(), 0..12),
        damages in prop::collection::vec((any::<Index>(), any::<u8>(), 0..3u8), 0..4),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
        broken in any::<bool>(),
    ) {
        let frames = fixture_frames();
        let mut bytes: Vec<u8> = picks.iter().flat_map(|pick| pick.get(&frames).bytes()).collect();
        for (at, byte, kind) in damages {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
        }
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let seen = support::read_until(&chunks, end(broken));
        prop_assert_eq!(seen, support::read_until(&[&bytes], end(broken)));
    }

    #[test]
    fn random_chunks(chunks in prop::collection::vec(chunk(), 0..16), done in any::<bool>(), knowing in any::<bool>()) {
        let bench = if knowing { support::KNOWING } else { support::BENCH };
        let seen = bench.read(&[stream(&chunks, done).as_bytes()]);
        let finished = chunks.iter().any(|chunk| chunk["choices"][0]["finish_reason"].is_string());
        if !done && !finished {
            prop_assert!(matches!(seen.last(), Some(Seen::Fault(_))), "a cut stream is no success: {seen:?}");
        }
    }

    #[test]
    fn every_visible_word_arrives_once(words in prop::collection::vec("[a-zé\"\\\\\n ]{1,6}", 1..12)) {
        let chunks: Vec<Value> = words.iter().map(|word| json!({"choices": [{"delta": {"content": word}}]})).collect();
        let seen = support::read(&[stream(&chunks, true).as_bytes()]);
        let text: String = seen.iter().filter_map(|seen| match seen {
            Seen::Delta("text", text) => Some(text.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(text, words.concat());
    }

    #[test]
    fn interleaved_calls_keep_their_arguments(
        calls in prop::collection::vec(prop::collection::vec("[a-z\"\\\\ ]{0,5}", 1..5), 1..4),
        order in prop::collection::vec(any::<Index>(), 0..24),
    ) {
        // Each call's arguments are one JSON object, cut into pieces; the pieces of different calls come in any order.
        let arguments: Vec<String> = calls.iter().map(|words| json!({"words": words}).to_string()).collect();
        let mut pieces: Vec<Vec<String>> = arguments.iter().map(|text| {
            let letters: Vec<char> = text.chars().collect();
            letters.chunks(4).map(|piece| piece.iter().collect()).collect()
        }).collect();
        let mut chunks: Vec<Value> = (0..calls.len()).map(|index| json!({"choices": [{"delta": {"tool_calls":
            [{"index": index, "id": format!("c{index}"), "function": {"name": "get", "arguments": ""}}]}}]})).collect();
        let rest: Vec<usize> = pieces.iter().enumerate().flat_map(|(call, pieces)| vec![call; pieces.len()]).collect();
        let order = order.iter().map(|pick| pick.index(calls.len())).chain(rest);
        for call in order {
            if pieces[call].is_empty() {
                continue;
            }
            let piece = pieces[call].remove(0);
            chunks.push(json!({"choices": [{"delta": {"tool_calls": [{"index": call, "function": {"arguments": piece}}]}}]}));
        }
        chunks.push(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}));
        let seen = support::read(&[stream(&chunks, true).as_bytes()]);
        let found: Vec<&String> = seen.iter().filter_map(|seen| match seen {
            Seen::Delta("call", text) => Some(text),
            _ => None,
        }).collect();
        prop_assert_eq!(found, arguments.iter().collect::<Vec<_>>());
        prop_assert_eq!(seen.iter().filter(|seen| **seen == Seen::CallEnd).count(), calls.len());
    }
}
