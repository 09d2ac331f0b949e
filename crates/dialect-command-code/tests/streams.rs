//! Streams in, events out, one line per event.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{Fault, FaultClass, StreamEnd};
use polywire_stream_suite::{Reading, Seen, lines, reading};
use serde_json::Value;
use support::BENCH;

/// Snapshots what every fixture is read as, whatever the cuts.
#[test]
fn fixtures() {
    let files = support::own_streams();
    assert!(files.len() >= 30, "{}", files.len());
    for (name, bytes) in files {
        let seen = support::read(&[&bytes]);
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(support::read(&[head, tail]), seen, "{name}: cut at {cut}");
        }
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(support::read(&singles), seen, "{name}: byte by byte");
        // In one piece it is the same answer, unless there is nothing to read.
        if !bytes.is_empty() {
            assert_eq!(BENCH.read_whole(&bytes), seen, "{name}: whole");
        }
        let stem = name.replace('.', "_");
        insta::with_settings!({ description => format!("fixtures/command-code/streams/{name}"), omit_expression => true }, {
            insta::assert_snapshot!(stem, lines(&seen));
        });
    }
}

/// Every beginning of a stream that ends before its last line does is a failure, and whatever calls were shown are whole.
#[test]
fn a_cut_stream_is_never_a_success() {
    for (name, bytes) in support::own_streams() {
        let text = String::from_utf8_lossy(&bytes);
        let end = [
            "\"type\":\"finish\"",
            "\"type\":\"abort\"",
            "\"type\":\"error\"",
        ]
        .iter()
        .filter_map(|kind| text.find(kind))
        .min();
        for cut in 0..end.unwrap_or(bytes.len()) {
            match support::read(&[&bytes[..cut]]).last() {
                Some(Seen::Fault(fault)) => {
                    assert_eq!(fault.class, FaultClass::NetworkCut, "{name} at {cut}");
                }
                other => panic!("{name} at {cut}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_broken_stream_keeps_its_reason() {
    let broken = StreamEnd::Broken(Fault::new(FaultClass::Timeout, "nothing came for 60 s"));
    let line = b"{\"type\":\"text-delta\",\"text\":\"a\"}\n";
    match BENCH.read_lines_until(&[line], broken).last() {
        Some(Seen::Fault(fault)) => assert_eq!(fault.class, FaultClass::Timeout),
        other => panic!("{other:?}"),
    }
}

/// Bodies that are no stream.
#[test]
fn whole_bodies() {
    for (body, class) in [
        ("", FaultClass::NetworkCut),
        ("some words", FaultClass::NetworkCut),
        ("<html><title>Sign in</title></html>", FaultClass::Protocol),
        (
            r#"{"success":false,"error":{"code":"USAGE_EXCEEDED","status":403,"message":"cap"}}"#,
            FaultClass::Quota,
        ),
        (
            r#"{"error":{"message":"Invalid API key","status":401}}"#,
            FaultClass::Auth,
        ),
    ] {
        match BENCH.read_whole(body.as_bytes()).last() {
            Some(Seen::Fault(fault)) => assert_eq!(fault.class, class, "{body}: {fault:?}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

/// A call by id, name and arguments.
type Call = (&'static str, &'static str, &'static str);

/// What the shared fixtures are to be read as: text, calls as id, name and arguments, and the end.
#[test]
fn shared_fixtures() {
    let Some(folder) = support::shared("streams") else {
        return;
    };
    let expected: [(&str, &str, &[Call], &str); 18] = [
        ("abort.ndjson", "before", &[], "length"),
        ("crlf-no-final-newline.ndjson", "ab", &[], "stop"),
        ("error-before-output.ndjson", "", &[], "quota"),
        ("error-mid-text-string.ndjson", "Working on ", &[], "server"),
        (
            "error-missing-tool-result.ndjson",
            "",
            &[],
            "invalid_request",
        ),
        ("finish-reason-error.ndjson", "partial", &[], "server"),
        ("finish-step-only.ndjson", "hi", &[], "network_cut"),
        ("length.ndjson", "half of a summ", &[], "length"),
        ("noise.ndjson", "still fine", &[], "stop"),
        ("pause-turn.ndjson", "Still searching", &[], "pause"),
        ("reasoning-then-text.ndjson", "Good morning.", &[], "stop"),
        ("server-side-tool.ndjson", "Found one result.", &[], "stop"),
        (
            "sse-framed-older-names.txt",
            "Hello there",
            &[("call_s1", "read", r#"{"path":"/etc/hostname"}"#)],
            "tool_calls",
        ),
        ("text.ndjson", "Hello, wörld 👋\nSecond line.", &[], "stop"),
        (
            "tool-call-streamed-args.ndjson",
            "Let me look.",
            &[("call_b2", "shell", r#"{"command":"ls -la"}"#)],
            "tool_calls",
        ),
        (
            "tool-call-variants.ndjson",
            "",
            &[
                ("call_v1", "shell", r#"{"command":"id"}"#),
                ("call_v2", "shell", r#"{"command":"date"}"#),
                ("call_v3", "read_file", r#"{"path":"a.txt"}"#),
                ("call_v4", "read_file", "{}"),
            ],
            "tool_calls",
        ),
        (
            "tool-calls-parallel.ndjson",
            "",
            &[
                ("call_p1", "shell", r#"{"command":"pwd"}"#),
                ("call_p2", "read_file", r#"{"path":"Cargo.toml"}"#),
            ],
            "tool_calls",
        ),
        (
            "truncated-no-finish.ndjson",
            "cut off here",
            &[],
            "network_cut",
        ),
    ];
    let files = support::files(&folder);
    assert_eq!(files.len(), expected.len());
    for ((name, bytes), (wanted, text, calls, end)) in files.iter().zip(expected) {
        assert_eq!(name, wanted);
        let seen = support::read(&[bytes]);
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(support::read(&singles), seen, "{name}: byte by byte");
        check(name, &reading(&seen), text, calls, end);
    }
}

fn check(name: &str, read: &Reading, text: &str, calls: &[(&str, &str, &str)], end: &str) {
    assert_eq!(read.text, text, "{name}: text");
    assert_eq!(read.calls.len(), calls.len(), "{name}: {:?}", read.calls);
    for (call, (id, tool, arguments)) in read.calls.iter().zip(calls) {
        assert_eq!(
            (&*call.id, &*call.name, call.cut),
            (*id, *tool, false),
            "{name}"
        );
        let found: Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!(
            found,
            serde_json::from_str::<Value>(arguments).unwrap(),
            "{name}"
        );
    }
    let ended = match &read.fault {
        Some(fault) => fault.class.name(),
        None => read.finish.unwrap_or_default(),
    };
    assert_eq!(ended, end, "{name}: end");
    let usage = |input, cached, output, reasoning| {
        let counts = read
            .usage
            .map(|usage| (usage.input, usage.cached, usage.output, usage.reasoning));
        assert_eq!(
            counts,
            Some((Some(input), cached, Some(output), reasoning)),
            "{name}: usage"
        );
    };
    match name {
        "text.ndjson" => usage(120, Some(0), 9, Some(0)),
        "reasoning-then-text.ndjson" => {
            usage(640, Some(512), 41, Some(33));
            assert_eq!(read.reasoning, "The user wants a greeting.");
        }
        "finish-reason-error.ndjson" => usage(10, Some(0), 4, Some(0)),
        "crlf-no-final-newline.ndjson" => usage(3, None, 2, None),
        "sse-framed-older-names.txt" => usage(30, None, 7, None),
        "error-before-output.ndjson" => assert_eq!(read.fault.as_ref().unwrap().status, 429),
        _ => {}
    }
}
