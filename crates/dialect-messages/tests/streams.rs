//! The fixtures of this repository, one line per event.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{Fault, FaultClass, StreamEnd};
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
        insta::with_settings!({ description => format!("fixtures/messages/streams/{name}"), omit_expression => true }, {
            insta::assert_snapshot!(stem, support::lines(&seen));
        });
    }
}

fn own(name: &str) -> Vec<u8> {
    std::fs::read(support::own_fixtures().join(name)).unwrap()
}

#[test]
fn a_broken_stream_is_complete_only_behind_its_stop_reason() {
    let broken = || StreamEnd::Broken(Fault::new(FaultClass::Timeout, "nothing came for 60 s"));
    let seen = support::read_until(&[&own("closed_without_message_stop.sse")], broken());
    assert_eq!(seen.last(), Some(&Seen::Finish("stop")));
    let seen = support::read_until(&[&own("closed_early.sse")], broken());
    match seen.last() {
        Some(Seen::Fault(fault)) => assert_eq!(fault.class, FaultClass::Timeout),
        other => panic!("{other:?}"),
    }
}

/// Half a call must never be carried out: half a script may delete what the whole one would have copied first. Cuts a stream
/// with calls behind every frame and says that the answer is over, in every way that there is.
#[test]
fn half_calls_are_never_complete() {
    let name = "thinking_between_calls.sse";
    let text = String::from_utf8(own(name)).unwrap();
    let frames: Vec<&str> = text.split_inclusive("\n\n").collect();
    let whole = support::read(&[text.as_bytes()]);
    let inputs = |seen: &[Seen]| -> Vec<String> {
        let ended = seen.windows(2).filter_map(|pair| match pair {
            [Seen::Delta("call", input), Seen::CallEnd] => Some(input.clone()),
            _ => None,
        });
        ended.collect()
    };
    let allowed = inputs(&whole);
    assert_eq!(allowed, ["{\"n\":1}", "a\nb"]);
    for count in 0..frames.len() {
        let cut = frames[..count].concat();
        for reason in ["", "max_tokens", "tool_use", "end_turn", "pause_turn"] {
            let end = match reason {
                "" => String::new(),
                reason => format!(
                    "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}}}}\n\n\
                     data: {{\"type\":\"message_stop\"}}\n\n"
                ),
            };
            let seen = support::read(&[cut.as_bytes(), end.as_bytes()]);
            for input in inputs(&seen) {
                // A call whose pieces have not begun and that the provider calls complete has no input.
                let empty = input == "{}" && reason != "max_tokens" && !reason.is_empty();
                assert!(
                    empty || allowed.contains(&input),
                    "{count} {reason}: {input}"
                );
            }
        }
    }
}
