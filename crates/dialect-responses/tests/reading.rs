//! Streams of providers: bytes in, events out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use std::fmt::Write as _;
use std::sync::Arc;

use polywire_conversation::{Event, Fault, FaultClass, Form, Ledger, ReadStream, StreamEnd};
use polywire_dialect_responses::ResponsesReader;
use polywire_sse::{Decoder, Frame};
use polywire_stream_suite::{Collector, Seen, lines};
use proptest::prelude::*;
use support::bench::{BENCH, own_streams};

/// Snapshots what every fixture is read as: streams (`.sse`) whole and byte by byte, everything else as a whole body.
#[test]
fn fixtures() {
    let mut files: Vec<_> = std::fs::read_dir(own_streams())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 45, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let seen = if file.extension().is_some_and(|extension| extension == "sse") {
            let seen = BENCH.read(&[&bytes]);
            let singles: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(BENCH.read(&singles), seen, "{name}: byte by byte");
            seen
        } else {
            BENCH.read_whole(&bytes)
        };
        let stem = name.replace('.', "_");
        insta::with_settings!({ description => format!("fixtures/responses-streams/{name}"), omit_expression => true }, {
            insta::assert_snapshot!(stem, lines(&seen));
        });
    }
}

fn own(name: &str) -> Vec<u8> {
    std::fs::read(own_streams().join(name)).unwrap()
}

/// However a stream is cut, a call that was not whole is never complete, and the answer is never a success.
#[test]
fn a_cut_stream_is_a_fault() {
    for name in [
        "text.sse",
        "calls_interleaved.sse",
        "call_forms.sse",
        "only_items_done.sse",
        "reasoning_parts.sse",
    ] {
        let bytes = own(name);
        let whole = BENCH.read(&[&bytes]);
        let end = b"event: response.completed";
        let end = bytes
            .windows(end.len())
            .position(|part| part == end)
            .unwrap();
        for at in (0..end).step_by(7) {
            let seen = BENCH.read_until(&[&bytes[..at]], StreamEnd::Closed);
            match seen.last() {
                Some(Seen::Fault(fault)) => assert_eq!(fault.class, FaultClass::NetworkCut),
                other => panic!("{name} cut at {at}: {other:?}"),
            }
            let ends = |seen: &[Seen]| seen.iter().filter(|seen| **seen == Seen::CallEnd).count();
            assert!(ends(&seen) <= ends(&whole), "{name} cut at {at}");
        }
    }
}

#[test]
fn a_broken_stream_ends_with_what_broke_it() {
    let broken = StreamEnd::Broken(Fault::new(FaultClass::Timeout, "nothing came for 60 s"));
    let seen = BENCH.read_until(&[&own("closed_early.sse")], broken);
    match seen.last() {
        Some(Seen::Fault(fault)) => assert_eq!(fault.class, FaultClass::Timeout),
        other => panic!("{other:?}"),
    }
}

#[test]
fn readable_reasoning_is_state_where_it_has_to_go_back() {
    let mut reader =
        ResponsesReader::new(Arc::new(Ledger::default()), "seed").with_content_as_state(true);
    let mut collector = Collector::default();
    let mut decoder = Decoder::new(1 << 20);
    let mut sink = |event: Event<'_>| collector.take(event);
    decoder
        .push(&own("reasoning_both_forms.sse"), |frame: Frame<'_>| {
            reader.push(frame, &mut sink);
        })
        .unwrap();
    let states = collector
        .seen
        .iter()
        .filter(|seen| matches!(seen, Seen::Opaque(_)));
    assert_eq!(states.count(), 2);
}

#[test]
fn an_answer_of_too_much_fails_once() {
    let item = |index: usize| {
        format!(
            "data: {{\"type\":\"response.output_text.delta\",\"output_index\":{index},\"delta\":\"x\"}}\n\n"
        )
    };
    let items: String = (0..5_000).map(item).collect();
    let call = "data: {\"type\":\"response.output_item.added\",\"output_index\":9000,\"item\":{\"type\":\"function_call\",\"name\":\"get\",\"call_id\":\"c\"}}\n\n\
        data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":9000,\"delta\":\"{\"}\n\n";
    for stream in [items.clone(), format!("{call}{items}")] {
        let seen = BENCH.read(&[stream.as_bytes()]);
        match seen.last() {
            Some(Seen::Fault(fault)) => assert!(
                matches!(fault.class, FaultClass::Protocol | FaultClass::NetworkCut),
                "{fault:?}"
            ),
            other => panic!("{other:?}"),
        }
        assert!(!seen.contains(&Seen::CallEnd));
    }
    let piece = "x".repeat(1 << 20);
    let held = format!(
        "data: {{\"type\":\"response.output_text.delta\",\"output_index\":1,\"delta\":\"{piece}\"}}\n\n"
    );
    let stream = format!("{call}{}", held.repeat(17));
    match BENCH.read(&[stream.as_bytes()]).last() {
        Some(Seen::Fault(fault)) => assert_eq!(fault.class, FaultClass::Protocol),
        other => panic!("{other:?}"),
    }
}

/// A name is raised by its ledger also when two tools of two groups share it.
#[test]
fn groups_are_told_apart() {
    let mut ledger = Ledger::default();
    ledger.declare("add", Some("one"), Form::Function);
    ledger.declare("add", Some("two"), Form::Freeform);
    let mut reader = ResponsesReader::new(Arc::new(ledger), "seed");
    let item = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c","name":"add","namespace":"two","arguments":"{\"input\":\"x\"}"}}"#;
    let mut seen = Vec::new();
    let frame = Frame {
        event: b"",
        data: item.as_bytes(),
    };
    reader.push(frame, &mut |event: Event<'_>| {
        seen.push(format!("{event:?}"));
    });
    assert!(
        seen[1].contains("namespace: Some(\"two\"), form: Freeform, declared: true"),
        "{seen:?}"
    );
    assert!(seen[2].contains("\"x\""), "{seen:?}");
}

/// Events that mean something, as pieces that a provider might send in any order.
fn any_frame() -> impl Strategy<Value = String> {
    let index = 0u8..3;
    let kinds = prop::sample::select(vec![
        r#"{"type":"response.output_text.delta","output_index":I,"delta":"t"}"#,
        r#"{"type":"response.refusal.delta","output_index":I,"delta":"n"}"#,
        r#"{"type":"response.reasoning_text.delta","output_index":I,"delta":"r"}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":I,"summary_index":1,"delta":"s"}"#,
        r#"{"type":"response.output_item.added","output_index":I,"item":{"type":"function_call","name":"get","call_id":"c","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":I,"delta":"{\"a\":1}"}"#,
        r#"{"type":"response.custom_tool_call_input.delta","output_index":I,"delta":"x"}"#,
        r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"function_call","name":"get","call_id":"c","arguments":"{\"a\":1}"}}"#,
        r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"custom_tool_call","name":"edit","call_id":"d","input":"x"}}"#,
        r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"message","content":[{"type":"output_text","text":"tt","annotations":[{"type":"url_citation","url":"u"}]}]}}"#,
        r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"reasoning","summary":[],"encrypted_content":"e"}}"#,
        r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"web_search_call","action":{"query":"q"}}}"#,
        r#"{"type":"response.output_text.annotation.added","output_index":I,"annotation":{"type":"url_citation","url":"u"}}"#,
        r#"{"type":"response.output_text.done","output_index":I,"text":"ttt","logprobs":[{"token":"t"}]}"#,
    ]);
    (index, kinds).prop_map(|(index, kind)| kind.replace('I', &index.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The collector of the suite checks the order of events.
    #[test]
    fn any_frames_become_sound_events(
        frames in prop::collection::vec(any_frame(), 0..14),
        end in prop::sample::select(vec![
            r#"{"type":"response.completed","response":{"status":"completed"}}"#,
            r#"{"type":"response.completed","response":{"output":[{"type":"function_call","name":"get","call_id":"c","arguments":"{\"a\":1}"},{"type":"message","content":[{"type":"output_text","text":"end"}]}]}}"#,
            r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
            r#"{"type":"error","message":"no"}"#,
            "",
        ]),
    ) {
        let mut stream = String::new();
        for frame in frames.iter().map(String::as_str).chain([end]) {
            writeln!(stream, "data: {frame}\n").unwrap();
        }
        BENCH.read(&[stream.as_bytes()]);
    }

    #[test]
    fn any_data_is_read(data in "[a-z\":{}\\[\\],0-9\\\\ ]{0,60}") {
        BENCH.read(&[format!("data: {{\"type\":\"response.output_item.done\",{data}}}\n\ndata: {data}\n\n").as_bytes()]);
        BENCH.read_whole(data.as_bytes());
    }
}
