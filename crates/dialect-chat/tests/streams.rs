//! The fixtures of this repository, one line per event.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{Event, Fault, FaultClass, ReadStream, StreamEnd};
use polywire_dialect_chat::ChatReader;
use support::Seen;

/// Snapshots what every fixture is read as: streams (`.sse`) chunk by chunk, everything else as a whole body.
#[test]
fn fixtures() {
    let mut files: Vec<_> = std::fs::read_dir(support::own_fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 50, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let seen = if file.extension().is_some_and(|extension| extension == "sse") {
            let seen = support::read(&[&bytes]);
            let singles: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(support::read(&singles), seen, "{name}: byte by byte");
            seen
        } else {
            support::read_whole(&bytes)
        };
        let stem = name.replace('.', "_");
        insta::with_settings!({ description => format!("fixtures/chat/{name}"), omit_expression => true }, {
            insta::assert_snapshot!(stem, support::lines(&seen));
        });
    }
}

fn own(name: &str) -> Vec<u8> {
    std::fs::read(support::own_fixtures().join(name)).unwrap()
}

#[test]
fn a_broken_stream_is_complete_only_behind_its_finish_reason() {
    let broken = || StreamEnd::Broken(Fault::new(FaultClass::Timeout, "nothing came for 60 s"));
    let seen = support::read_until(&[&own("finished_without_done.sse")], broken());
    assert_eq!(seen.last(), Some(&Seen::Finish("stop")));
    let seen = support::read_until(&[&own("closed_early.sse")], broken());
    match seen.last() {
        Some(Seen::Fault(fault)) => assert_eq!(fault.class, FaultClass::Timeout),
        other => panic!("{other:?}"),
    }
}

/// How one call with these arguments ends: as one to be carried out or as one that was cut, and the finish of the answer.
fn call_ends(tool: &str, arguments: &str, finish: Option<&str>) -> (Seen, Seen) {
    let call = serde_json::json!({"index": 0, "id": "c0", "function": {"name": tool, "arguments": arguments}});
    let chunk = serde_json::json!({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": finish}]});
    let seen = support::read(&[format!("data: {chunk}\n\ndata: [DONE]\n\n").as_bytes()]);
    let end = seen
        .iter()
        .find(|seen| matches!(seen, Seen::CallEnd | Seen::CallCut))
        .unwrap();
    if *end == Seen::CallCut && finish != Some("length") {
        let told = |seen: &Seen| matches!(seen, Seen::Loss(loss) if loss.contains("was cut off"));
        assert!(seen.iter().any(told), "{tool} {arguments} {finish:?}");
    }
    (end.clone(), seen.last().unwrap().clone())
}

/// Half a call must never be carried out: half a script may delete what the whole one would have copied first.
#[test]
fn half_calls_are_never_complete() {
    use Seen::{CallCut, CallEnd};
    for (tool, arguments, finish, expected) in [
        (
            "edit",
            "{\"input\":\"rm('a'); rm('b",
            None,
            (CallCut, "stop"),
        ),
        (
            "edit",
            "{\"input\":\"rm('a'); rm('b",
            Some("stop"),
            (CallCut, "stop"),
        ),
        (
            "edit",
            "{\"input\":\"rm('a'); rm('b",
            Some("tool_calls"),
            (CallCut, "stop"),
        ),
        (
            "edit",
            "{\"input\":\"rm('a'); rm('b",
            Some("length"),
            (CallCut, "length"),
        ),
        (
            "edit",
            "{\"input\":\"rm('a')\"}",
            None,
            (CallEnd, "tool_calls"),
        ),
        // Free text that is not wrapped: only the finish reason tells that it is whole.
        ("edit", "rm('a'); rm('b", None, (CallCut, "stop")),
        ("edit", "rm('a')", Some("stop"), (CallEnd, "tool_calls")),
        ("get", "{\"n\":", None, (CallCut, "stop")),
        ("get", "{\"n\":", Some("stop"), (CallCut, "stop")),
        ("get", "{\"n\":", Some("tool_calls"), (CallCut, "stop")),
        ("get", "{n}", None, (CallCut, "stop")),
        ("get", "{n}", Some("tool_calls"), (CallEnd, "tool_calls")),
        ("get", "{\"n\":1}", None, (CallEnd, "tool_calls")),
        ("get", "", None, (CallEnd, "tool_calls")),
        ("get", "null", None, (CallEnd, "tool_calls")),
    ] {
        let ends = call_ends(tool, arguments, finish);
        let expected = (expected.0, Seen::Finish(expected.1));
        assert_eq!(ends, expected, "{tool} {arguments} {finish:?}");
    }
}

/// A body that is neither JSON nor HTML nor events: the words in it are all that there is to tell.
#[test]
fn plain_words_and_nothing_are_faults_that_say_so() {
    for (body, words) in [
        (
            "upstream error: model overloaded",
            "text came instead of an answer: upstream error: model overloaded",
        ),
        (
            "\n  error: \u{1b}[31mno healthy upstream\n",
            "text came instead of an answer: error: ",
        ),
        (
            "data is not available",
            "text came instead of an answer: data is not available",
        ),
        ("", "the provider answered with an empty body"),
        (" \r\n\t", "the provider answered with an empty body"),
    ] {
        match support::read_whole(body.as_bytes()).as_slice() {
            [Seen::Fault(fault)] => {
                assert_eq!(fault.class, FaultClass::Protocol, "{body:?}");
                assert!(fault.message.starts_with(words), "{body:?}: {fault:?}");
                assert!(!fault.message.contains(char::is_control), "{fault:?}");
            }
            other => panic!("{body:?}: {other:?}"),
        }
    }
}

#[test]
fn ids_are_made_from_the_seed_and_differ_within_an_answer() {
    let ids = |seed: &str| {
        let mut ids = Vec::new();
        let mut reader = ChatReader::new(support::ledger(), seed);
        reader.whole(&own("whole_calls.json"), &mut |event: Event<'_>| {
            if let Event::CallStart { id, .. } = event {
                ids.push(id.to_owned());
            }
        });
        ids
    };
    let (one, two) = (ids("one"), ids("two"));
    assert_eq!(one, ids("one"));
    assert_eq!(one.len(), 2);
    assert!(
        one[0] != one[1] && one.iter().all(|id| !two.contains(id)),
        "{one:?} {two:?}"
    );
}

/// A part of an answer goes out in as many pieces as it came in, neither gathered nor divided.
#[test]
fn pieces_are_not_held_back() {
    let mut collector = support::Collector::default();
    let mut reader = ChatReader::new(support::ledger(), "seed");
    let push = |reader: &mut ChatReader, collector: &mut support::Collector, data: &str| {
        let frame = polywire_sse::Frame {
            event: b"",
            data: data.as_bytes(),
        };
        reader.push(frame, &mut |event: Event<'_>| collector.take(event));
        collector.pieces()
    };
    let text = |text: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
    let call = |arguments: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,"function":{arguments}}}]}}}}]}}"#
        )
    };
    assert_eq!(push(&mut reader, &mut collector, &text("a")), 1);
    assert_eq!(push(&mut reader, &mut collector, &text("b")), 2);
    assert_eq!(
        push(
            &mut reader,
            &mut collector,
            &call(r#"{"name":"get","arguments":""}"#)
        ),
        2
    );
    assert_eq!(
        push(
            &mut reader,
            &mut collector,
            &call(r#"{"arguments":"{\"n"}"#)
        ),
        3
    );
    assert_eq!(
        push(
            &mut reader,
            &mut collector,
            &call(r#"{"arguments":"\":1}"}"#)
        ),
        4
    );
}

/// Some providers neither say `[DONE]` nor close; the caller must know that only the usage can still come.
#[test]
fn an_answer_is_ending_from_its_finish_reason_to_its_end() {
    let mut reader = ChatReader::new(support::ledger(), "seed");
    let push = |reader: &mut ChatReader, data: &str| {
        let frame = polywire_sse::Frame {
            event: b"",
            data: data.as_bytes(),
        };
        reader.push(frame, &mut |_: Event<'_>| {});
        (reader.is_ending(), reader.is_done())
    };
    assert!(!reader.is_ending());
    for (data, expected) in [
        (r#"{"choices":[{"delta":{"content":"4"}}]}"#, (false, false)),
        (
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            (true, false),
        ),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            (true, false),
        ),
        ("[DONE]", (false, true)),
    ] {
        assert_eq!(push(&mut reader, data), expected, "{data}");
    }
}

#[test]
fn an_answer_that_cannot_be_believed_is_ended() {
    let call = |index: usize| {
        format!(r#"{{"index":{index},"function":{{"name":"get","arguments":"{{}}"}}}}"#)
    };
    let calls: Vec<String> = (0..1_025).map(call).collect();
    let choice = format!(r#"{{"delta":{{"tool_calls":[{}]}}}}"#, calls.join(","));
    let stream = format!("data: {{\"choices\":[{choice},{choice}]}}\n\n");
    match support::read(&[stream.as_bytes()]).last() {
        Some(Seen::Fault(fault)) => assert_eq!(fault.class, FaultClass::Protocol),
        other => panic!("{other:?}"),
    }
}
