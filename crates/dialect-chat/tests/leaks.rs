//! Answers with markup of the model in their text, as whoever knows of it reads them and as everybody else does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_collect,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_dialect_chat::{ChatReader, LOOK_AHEAD_BYTES_MAX, Leak};
use polywire_stream_suite::Bench;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use support::Seen;

/// All that is read beside `</think>` without its opening tag, which would take every text with that tag in it.
const MOST: [Leak; 8] = [
    Leak::ThinkTags,
    Leak::ThoughtTags,
    Leak::KimiThink,
    Leak::Harmony,
    Leak::ToolCallJson,
    Leak::ToolCallXml,
    Leak::ToolCallSection,
    Leak::Invoke,
];

const WITH_MOST: Bench = Bench {
    reader: || Box::new(ChatReader::new(support::ledger(), "seed").with_leaks(&MOST)),
};

const WITH_ORPHANS: Bench = Bench {
    reader: || {
        Box::new(ChatReader::new(support::ledger(), "seed").with_leaks(&[Leak::OrphanClose]))
    },
};

/// An answer whose text comes in these pieces.
fn answer(pieces: &[&str]) -> String {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        let chunk = json!({"choices": [{"delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let mut stream: String = pieces
        .iter()
        .map(|piece| chunk(json!({"content": piece}), None))
        .collect();
    stream.push_str(&chunk(json!({}), Some("stop")));
    stream.push_str("data: [DONE]\n\n");
    stream
}

fn read(bench: Bench, pieces: &[&str]) -> Vec<Seen> {
    bench.read(&[answer(pieces).as_bytes()])
}

fn said(seen: &[Seen], kind: &str) -> String {
    let pieces = seen.iter().filter_map(|seen| match seen {
        Seen::Delta(of, text) if *of == kind => Some(text.as_str()),
        _ => None,
    });
    pieces.collect()
}

/// Reads a text whole, cut in two at every place and letter by letter; all must come to the same.
fn read_however_cut(bench: Bench, text: &str) -> Vec<Seen> {
    let whole = read(bench, &[text]);
    for at in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
        let (head, tail) = text.split_at(at);
        assert_eq!(read(bench, &[head, tail]), whole, "cut at {at}: {text}");
    }
    let letters: Vec<String> = text.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert_eq!(read(bench, &letters), whole, "letter by letter: {text}");
    whole
}

#[test]
fn fixtures() {
    let place = support::own_fixtures().join("../chat-leaks");
    let mut files: Vec<_> = std::fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 12, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let bench = if name.starts_with("orphan") {
            WITH_ORPHANS
        } else {
            WITH_MOST
        };
        let seen = read_however_cut(bench, &text);
        insta::with_settings!({ description => format!("fixtures/chat-leaks/{name}.txt"), omit_expression => true }, {
            insta::assert_snapshot!(name.clone(), support::lines(&seen));
        });
        // Who does not know of it gets the text, but for reasoning that is always read.
        if !text.starts_with("<think>") {
            assert_eq!(
                said(&read(support::BENCH, &[&text]), "text"),
                text,
                "{name}"
            );
        }
    }
}

#[test]
fn markup_that_never_ends_is_text() {
    let long = "x".repeat(LOOK_AHEAD_BYTES_MAX + 100);
    for (start, bench) in [
        (
            "<tool_call>{\"name\":\"get\",\"arguments\":{\"a\":\"",
            WITH_MOST,
        ),
        ("<|channel|>", WITH_MOST),
        ("<minimax:tool_call>", WITH_MOST),
        ("", WITH_ORPHANS),
    ] {
        let text = format!("{start}{long}</think></tool_call><|message|></minimax:tool_call> end");
        let pieces: Vec<&str> = [&text[..50], &text[50..200_000], &text[200_000..]].to_vec();
        let seen = read(bench, &pieces);
        assert_eq!(said(&seen, "text"), text, "{start}");
        assert_eq!(read(bench, &[&text]), seen, "{start}");
    }
}

/// A call that the provider makes itself comes behind the text that still waits to be understood.
#[test]
fn what_waits_goes_out_before_a_call() {
    let call = json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "get", "arguments": "{}"}}]},
        "finish_reason": "tool_calls"}]});
    for (text, bench) in [
        ("<tool_call>{", WITH_MOST),
        ("No tag", WITH_ORPHANS),
        ("a <tool", WITH_MOST),
    ] {
        let chunk = json!({"choices": [{"delta": {"content": text}}]});
        let stream = format!("data: {chunk}\n\ndata: {call}\n\ndata: [DONE]\n\n");
        let seen = bench.read(&[stream.as_bytes()]);
        let place = |wanted: fn(&Seen) -> bool| seen.iter().position(wanted).unwrap();
        assert!(
            place(|seen| matches!(seen, Seen::Close("text")))
                < place(|seen| matches!(seen, Seen::Call { .. })),
            "{seen:?}"
        );
        assert_eq!(said(&seen, "text"), text);
    }
}

/// Pieces of markup, whole and broken, and what may stand between them.
fn scrap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<think>",
        "</think>",
        "<thought>",
        "</thought>",
        "◁think▷",
        "◁/think▷",
        "<tool_call>",
        "</tool_call>",
        "{\"name\":\"get\",\"arguments\":{}}",
        "{\"name\":\"get\",\"arguments\":{\"a\":\"",
        "\"}}",
        "get",
        "rm",
        "<arg_key>k</arg_key>",
        "<arg_value>v</arg_value>",
        "<function=get>",
        "</function>",
        "<parameter=k>",
        "</parameter>",
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
        "<|tool_call_begin|>",
        "<|tool_call_argument_begin|>",
        "<|tool_call_end|>",
        "<invoke name=\"get\">",
        "</invoke>",
        "<minimax:tool_call>",
        "</minimax:tool_call>",
        "<|channel|>",
        "analysis",
        "final",
        "commentary to=functions.get ",
        "<|message|>",
        "<|end|>",
        "<|call|>",
        "<|start|>",
        "{}",
        " ",
        "\n",
        "a",
        "é",
        "<",
        "|>",
    ])
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        scraps in prop::collection::vec(scrap(), 0..24),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
        orphans in any::<bool>(),
    ) {
        let text = scraps.concat();
        let bench = if orphans { WITH_ORPHANS } else { WITH_MOST };
        let letters: Vec<char> = text.chars().collect();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(letters.len() + 1)).collect();
        at.extend([0, letters.len()]);
        at.sort_unstable();
        let pieces: Vec<String> = at.windows(2).map(|pair| letters[pair[0]..pair[1]].iter().collect()).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        prop_assert_eq!(read(bench, &pieces), read(bench, &[&text]), "{:?}", pieces);
    }

    /// Whatever is no call stays, to the letter.
    #[test]
    fn text_that_makes_no_call_passes_whole(scraps in prop::collection::vec(scrap(), 0..24)) {
        const CALLS: [Leak; 4] = [Leak::ToolCallJson, Leak::ToolCallXml, Leak::ToolCallSection, Leak::Invoke];
        let bench = Bench {
            reader: || Box::new(ChatReader::new(support::ledger(), "seed").with_leaks(&CALLS)),
        };
        // A tag at the very start is reasoning for everybody.
        let text = format!("a{}", scraps.concat());
        let seen = read(bench, &[&text]);
        if !seen.iter().any(|seen| matches!(seen, Seen::Call { .. })) {
            prop_assert_eq!(said(&seen, "text"), text);
        }
    }
}
