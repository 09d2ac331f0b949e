//! Turns whose client speaks the provider's protocol: what is changed, and that nothing else is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::envelope::{Content, Envelope, Minter};
use polywire_conversation::{
    Event, Fault, FaultClass, Opaque, OpaqueKind, ReadStream, StreamEnd, Text, WriteStream,
};
use polywire_dialect_messages::Profile;
use polywire_dialect_messages::native::{NativeEdits, NativeReader, NativeWriter, edit};
use polywire_sse::{Decoder, FrameBuffer};
use polywire_stream_suite::{Bench, Collector};
use proptest::prelude::*;
use serde_json::{Value, json};

fn minter(provider: &str) -> Minter {
    Minter {
        provider: provider.to_owned(),
        account: "0".to_owned(),
        model: "m".to_owned(),
    }
}

fn sealed(provider: &str, state: &[(OpaqueKind, &str)]) -> String {
    let state = state.iter().map(|(kind, state)| Opaque {
        kind: *kind,
        state: Text::plain((*state).to_owned()),
    });
    let envelope = Envelope {
        minter: minter(provider),
        content: Content::State(state.collect()),
    };
    envelope.seal()
}

fn open(sealed: &str) -> Option<Vec<Opaque<'static>>> {
    let envelope = Envelope::open(sealed)?;
    match envelope.content {
        Content::State(state) if envelope.minter == minter("home") => Some(state),
        _ => None,
    }
}

fn edited(body: &str, profile: &Profile) -> (String, Vec<String>) {
    let edits = NativeEdits {
        model: "upstream/\"1\"",
        profile,
        open: &open,
    };
    let native = edit(body, edits).unwrap();
    let losses = native.losses.iter().map(ToString::to_string).collect();
    (String::from_utf8(native.body).unwrap(), losses)
}

fn check(body: &str, expected: &str, losses: &[&str]) {
    let (found, told) = edited(body, &Profile::default());
    assert_eq!(found, expected, "{body}");
    assert_eq!(told, losses, "{body}");
}

/// Ids that other providers have made, and that clients pass on, in a form that this protocol refuses.
#[test]
fn ids_of_calls_become_legal() {
    let body = json!({"model": "a", "messages": [
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "functions.x:0", "name": "x", "input": {"id": "a.b"}},
            {"type": "tool_use", "id": "toolu_1-a", "name": "x", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "functions.x:0", "content": "a.b"},
            {"type": "tool_result", "tool_use_id": "toolu_1-a"},
        ]},
    ]});
    let (found, losses) = edited(&body.to_string(), &Profile::default());
    let found: Value = serde_json::from_str(&found).unwrap();
    let call = &found["messages"][0]["content"][0];
    let id = call["id"].as_str().unwrap();
    assert!(id.starts_with("call_") && !id.contains('.'), "{id}");
    let mut expected = body;
    expected["model"] = json!("upstream/\"1\"");
    expected["messages"][0]["content"][0]["id"] = json!(id);
    expected["messages"][1]["content"][0]["tool_use_id"] = json!(id);
    assert_eq!(found, expected);
    assert_eq!(losses, Vec::<String>::new());
}

/// The tools answer a turn that another model has begun: a provider that thinks by budget would refuse it.
#[test]
fn thinking_by_budget_waits_for_a_turn_of_its_own() {
    let mine = sealed("home", &[(OpaqueKind::Signature, "s")]);
    let foreign = sealed("away", &[(OpaqueKind::Signature, "s")]);
    let thought =
        |signature: &str| json!({"type": "thinking", "thinking": "t", "signature": signature});
    let call = json!({"type": "tool_use", "id": "1", "name": "x", "input": {}});
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]});
    let called = |first: Value| json!({"role": "assistant", "content": [first, call.clone()]});
    let asks = json!({"role": "user", "content": "hi"});
    let text = json!({"type": "text", "text": "t"});
    for (messages, stays_on) in [
        (json!([asks, called(thought(&mine)), result]), true),
        (json!([asks, called(thought(&foreign)), result]), false),
        (json!([asks, called(text.clone()), result]), false),
        // The turn began with a thought of this provider's; the next round of calls need not.
        (
            json!([
                asks,
                called(thought(&mine)),
                result,
                called(text.clone()),
                result
            ]),
            true,
        ),
        (
            json!([
                asks,
                called(text.clone()),
                result,
                called(thought(&mine)),
                result
            ]),
            false,
        ),
        // The user has spoken since.
        (
            json!([asks, called(text.clone()), result, {"role": "assistant", "content": "a"}, asks]),
            true,
        ),
        (json!([asks]), true),
    ] {
        for (thinking, by_budget) in [
            (json!({"type": "enabled", "budget_tokens": 2048}), true),
            (json!({"type": "adaptive"}), false),
        ] {
            let body = json!({"model": "a", "thinking": thinking, "messages": messages});
            let (found, losses) = edited(&body.to_string(), &Profile::default());
            let found: Value = serde_json::from_str(&found).unwrap();
            let stays = stays_on || !by_budget;
            let expected = if stays {
                thinking
            } else {
                json!({"type": "disabled"})
            };
            assert_eq!(found["thinking"], expected, "{body}");
            let told = losses.iter().any(|loss| loss.contains("thinking is off"));
            assert_eq!(told, !stays, "{losses:?}");
        }
    }
}

#[test]
fn only_the_model_is_changed() {
    check(
        "{ \"x\" : 1.50,\n\"model\":\"a\\u0062\", \"messages\": [ {\"role\":\"user\",\"content\":\"\\ud800\"} ],\"big\":12345678901234567890.0 }\n",
        "{ \"x\" : 1.50,\n\"model\":\"upstream/\\\"1\\\"\", \"messages\": [ {\"role\":\"user\",\"content\":\"\\ud800\"} ],\"big\":12345678901234567890.0 }\n",
        &[],
    );
    check(
        r#"{"mod\u0065l":"a","model":"b","messages":[{"content":[{"type":"text","text":"signature"},{"type":"tool_use","input":{"type":"thinking","signature":"s"}}]}]}"#,
        r#"{"mod\u0065l":"upstream/\"1\"","model":"upstream/\"1\"","messages":[{"content":[{"type":"text","text":"signature"},{"type":"tool_use","input":{"type":"thinking","signature":"s"}}]}]}"#,
        &[],
    );
}

/// A body with these blocks in one message of the model.
fn with_blocks(model: &str, blocks: &[String]) -> String {
    let blocks = blocks.join(" ,\n");
    format!(
        r#"{{"model":{model},"messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":[ {blocks} ]}},{{"role":"user","content":"so"}}]}}"#
    )
}

fn thinking(signature: &str) -> String {
    format!(r#"{{"type": "thinking", "thinking":"Hm.\n","odd":1, "signature":"{signature}"}}"#)
}

fn redacted(data: &str) -> String {
    format!(r#"{{"data":"{data}","type":"redacted_thinking"}}"#)
}

const TEXT: &str = r#"{"type":"text","text":"Hi."}"#;
const MODEL: &str = r#""upstream/\"1\"""#;

#[test]
fn state_of_this_provider_is_taken_out_of_its_envelope() {
    use OpaqueKind::{Redacted, Signature};
    let signed = thinking(&sealed("home", &[(Signature, "s\"1")]));
    let hidden = redacted(&sealed("home", &[(Redacted, "d1")]));
    check(
        &with_blocks("\"m\"", &[signed, hidden, TEXT.to_owned()]),
        &with_blocks(
            MODEL,
            &[thinking("s\\\"1"), redacted("d1"), TEXT.to_owned()],
        ),
        &[],
    );
    // Written for a client of another kind, in blocks of the other kind.
    let signed = redacted(&sealed("home", &[(Signature, "s1")]));
    let hidden = thinking(&sealed("home", &[(Redacted, "d1")]));
    check(
        &with_blocks("\"m\"", &[signed, hidden, TEXT.to_owned()]),
        &with_blocks(
            MODEL,
            &[
                r#"{"type":"thinking","thinking":"","signature":"s1"}"#.to_owned(),
                r#"{"type":"redacted_thinking","data":"d1"}"#.to_owned(),
                TEXT.to_owned(),
            ],
        ),
        &[],
    );
}

#[test]
fn foreign_state_is_never_sent() {
    use OpaqueKind::{Item, Signature};
    let elsewhere = sealed("elsewhere", &[(Signature, "s")]);
    let broken = sealed("home", &[(Signature, "s")]).replace("pw1.", "pw1.A");
    let foreign = [
        thinking(&elsewhere),
        thinking(&broken),
        thinking("EqEECkYICxgCKkAo"),
        thinking(""),
        r#"{"type":"thinking","thinking":"Hm."}"#.to_owned(),
        r#"{"type":"thinking","thinking":"Hm.","signature":7}"#.to_owned(),
        format!(
            r#"{{"type":"thinking","signature":"{0}","signature":"x"}}"#,
            sealed("home", &[(Signature, "s")])
        ),
        thinking(&sealed("home", &[])),
        thinking(&sealed("home", &[(Item, "{}")])),
        thinking(&sealed("home", &[(Signature, "s"), (Signature, "t")])),
        redacted("sealed elsewhere"),
        redacted(&elsewhere),
        r#"{"type":"redacted_thinking"}"#.to_owned(),
    ];
    for block in foreign {
        let loss = "messages: reasoning of earlier turns was left out (1 blocks): it is not this provider's own";
        check(
            &with_blocks("\"m\"", &[block.clone(), TEXT.to_owned()]),
            &with_blocks(MODEL, &[TEXT.to_owned()]),
            &[loss],
        );
        // A message of nothing else goes with it.
        check(
            &with_blocks("\"m\"", &[block]),
            &format!(
                r#"{{"model":{MODEL},"messages":[{{"role":"user","content":"hi"}},{{"role":"user","content":"so"}}]}}"#
            ),
            &[loss],
        );
    }
}

#[test]
fn unsigned_thinking_stays_where_it_is_taken_back() {
    let profile = Profile {
        unsigned_thinking: true,
        ..Profile::default()
    };
    let body = with_blocks(
        "\"m\"",
        &[thinking(""), thinking("foreign"), TEXT.to_owned()],
    );
    let (found, _) = edited(&body, &profile);
    assert_eq!(found, with_blocks(MODEL, &[thinking(""), TEXT.to_owned()]));
}

#[test]
fn bodies_that_are_no_requests_are_refused() {
    for (body, param) in [
        ("[]", None),
        ("{", None),
        ("", None),
        ("{\"messages\":[]}", Some("model")),
        ("{\"model\":\"m\",\"messages\":{}}", Some("messages")),
    ] {
        let profile = Profile::default();
        let edits = NativeEdits {
            model: "m",
            profile: &profile,
            open: &open,
        };
        let fault = edit(body, edits).unwrap_err();
        assert_eq!(fault.class, FaultClass::InvalidRequest);
        assert_eq!(fault.param.as_deref(), param, "{body}");
    }
}

fn reader() -> Box<dyn ReadStream> {
    let seal = |kind: OpaqueKind, state: &str| sealed("home", &[(kind, state)]);
    Box::new(NativeReader::new(support::ledger(), "seed", Box::new(seal)))
}

/// What a client gets of a stream.
fn passed(stream: &[u8], end: StreamEnd) -> String {
    let mut reader = reader();
    let mut writer = NativeWriter::new();
    let mut out = FrameBuffer::new();
    let mut decoder = Decoder::new(16 << 20);
    let mut sink = |event: Event<'_>| writer.push(event, &mut out);
    decoder
        .push(stream, |frame| reader.push(frame, &mut sink))
        .unwrap();
    decoder.finish(|frame| reader.push(frame, &mut sink));
    reader.finish(end, &mut sink);
    let written = out.len();
    writer.heartbeat(&mut out);
    assert_eq!(out.len(), written, "a heartbeat after the end");
    String::from_utf8(out.take()).unwrap()
}

fn own(name: &str) -> Vec<u8> {
    std::fs::read(support::own_fixtures().join(name)).unwrap()
}

fn data_of(stream: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut decoder = Decoder::new(16 << 20);
    let mut take = |frame: polywire_sse::Frame<'_>| {
        found.push(String::from_utf8(frame.data.to_vec()).unwrap());
    };
    decoder.push(stream.as_bytes(), &mut take).unwrap();
    decoder.finish(take);
    found
}

/// Takes the state out of every envelope in a text.
fn unsealed(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("pw1.") {
        out.push_str(&rest[..at]);
        let length = rest[at..].find('"').unwrap();
        let state = open(&rest[at..at + length]).unwrap();
        out.push_str(&state[0].state.to_plain());
        rest = &rest[at + length..];
    }
    out + rest
}

#[test]
fn frames_pass_as_they_are() {
    for name in [
        "text.sse",
        "web_search.sse",
        "blocks_of_the_provider.sse",
        "pause.sse",
        "refusal_midway.sse",
        "call_cut_by_limit.sse",
        "split_surrogates.sse",
        "interleaved.sse",
        "thinking_kinds.sse",
    ] {
        let stream = String::from_utf8(own(name)).unwrap();
        let passed = passed(stream.as_bytes(), StreamEnd::Closed);
        assert_eq!(data_of(&unsealed(&passed)), data_of(&stream), "{name}");
        assert!(
            !passed.contains("only-a-signature") && !passed.contains("\"sealed-1\""),
            "{name}"
        );
    }
}

#[test]
fn a_signature_in_pieces_is_sealed_as_a_whole() {
    let passed = passed(&own("thinking_between_calls.sse"), StreamEnd::Closed);
    let unsealed = unsealed(&passed);
    assert_eq!(unsealed.matches("signature_delta").count(), 2);
    assert!(unsealed.contains(r#""signature":"sig-2""#), "{unsealed}");
    let order = unsealed.find("sig-2").unwrap();
    assert!(unsealed[order..].starts_with("sig-2\"}}\n\nevent: content_block_stop"));
}

#[test]
fn what_is_no_event_is_not_passed() {
    let passed_of = |name: &str| passed(&own(name), StreamEnd::Closed);
    let done = passed_of("done_only.sse");
    assert!(!done.contains("[DONE]"));
    assert!(done.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    let closed = passed_of("closed_without_message_stop.sse");
    assert_eq!(closed.matches("\"message_stop\"").count(), 1);
    let after = passed_of("after_the_end.sse");
    assert!(!after.contains("cost"));
    let twice = passed_of("start_twice.sse");
    assert_eq!(twice.matches("\"message_start\"").count(), 1);
    let odd = passed_of("odd_frames.sse");
    assert!(odd.contains("message_mood") && !odd.contains("not json"));
}

#[test]
fn failures_come_in_the_shape_of_the_protocol() {
    let overloaded = passed(&own("error_overloaded.sse"), StreamEnd::Closed);
    assert!(overloaded.ends_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
    ), "{overloaded}");
    assert_eq!(overloaded.matches("event: error").count(), 1);
    let cut = passed(&own("closed_early.sse"), StreamEnd::Closed);
    assert!(
        cut.contains("\"api_error\"") && !cut.contains("message_stop"),
        "{cut}"
    );
    let stalled = StreamEnd::Broken(Fault::new(FaultClass::Timeout, "nothing came for 60 s"));
    let stalled = passed(&own("closed_early.sse"), stalled);
    assert!(stalled.contains("\"timeout_error\""), "{stalled}");
    let first = passed(&own("error_first.sse"), StreamEnd::Closed);
    assert!(first.starts_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\""
    ));
}

fn whole(body: &[u8]) -> String {
    let mut reader = reader();
    let mut writer = NativeWriter::new();
    let mut out = FrameBuffer::new();
    reader.whole(body, &mut |event: Event<'_>| writer.push(event, &mut out));
    String::from_utf8(writer.whole()).unwrap()
}

#[test]
fn whole_answers_pass_as_they_are() {
    let body = String::from_utf8(own("whole_message.json")).unwrap();
    let answer = whole(body.as_bytes());
    assert_eq!(unsealed(&answer), body.replace('\n', " "));
    assert!(
        !answer.contains("\"s\"") && !answer.contains("\"d\""),
        "{answer}"
    );
    assert!(whole(&own("whole_error.json")).contains("\"overloaded_error\""));
    assert!(whole(&own("whole_page.html")).contains("\"api_error\""));
    assert!(whole(b"").contains("\"api_error\""));
}

#[test]
fn a_heartbeat_is_a_ping() {
    let mut out = FrameBuffer::new();
    NativeWriter::new().heartbeat(&mut out);
    assert_eq!(out.take(), b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

/// The gateway sees the same turn on both ways.
#[test]
fn the_events_are_those_of_the_ordinary_reader() {
    let bench = Bench { reader };
    for entry in std::fs::read_dir(support::own_fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "sse") {
            assert_eq!(bench.read(&[&bytes]), support::read(&[&bytes]), "{path:?}");
        } else {
            assert_eq!(
                bench.read_whole(&bytes),
                support::read_whole(&bytes),
                "{path:?}"
            );
        }
    }
}

/// A block, and what becomes of it.
fn block() -> impl Strategy<Value = (String, Option<String>)> {
    let space = "[ \n]{0,2}";
    let words = "[a-zé ]{0,5}";
    prop_oneof![
        (space, words).prop_map(|(space, words)| {
            let block =
                format!(r#"{{{space}"type":"text","text":"{words}\u00e9\ud83d","x":1.0{space}}}"#);
            (block.clone(), Some(block))
        }),
        (words, any::<bool>()).prop_map(|(words, home)| {
            let envelope = sealed(
                if home { "home" } else { "away" },
                &[(OpaqueKind::Signature, &words)],
            );
            (thinking(&envelope), home.then(|| thinking(&words)))
        }),
        any::<bool>().prop_map(|home| {
            let envelope = sealed(
                if home { "home" } else { "away" },
                &[(OpaqueKind::Redacted, "d")],
            );
            (redacted(&envelope), home.then(|| redacted("d")))
        }),
    ]
}

proptest! {
    /// All that stays, stays byte for byte.
    #[test]
    fn everything_else_stays(
        messages in prop::collection::vec(prop::collection::vec(block(), 1..5), 1..4),
        extra in "[a-z]{1,5}",
        space in "[ \n]{0,2}",
    ) {
        let body = |model: &str, messages: Vec<Vec<&String>>| {
            let messages: Vec<String> = messages.iter().filter(|blocks| !blocks.is_empty()).map(|blocks| {
                let blocks: Vec<&str> = blocks.iter().map(|block| block.as_str()).collect();
                format!(r#"{{"content":[{}],"role":"assistant"}}"#, blocks.join(","))
            }).collect();
            format!(r#"{{{space}"{extra}_x":{{"model":1e400,"messages":[7]}},"model":{model}{space},"messages":[{}],"z":-0.10}}"#, messages.join(","))
        };
        let before = messages.iter().map(|blocks| blocks.iter().map(|(block, _)| block).collect()).collect();
        let after = messages.iter().map(|blocks| blocks.iter().filter_map(|(_, block)| block.as_ref()).collect()).collect();
        let (found, losses) = edited(&body("\"m\"", before), &Profile::default());
        prop_assert_eq!(found, body(MODEL, after));
        let removed = messages.iter().flatten().any(|(_, block)| block.is_none());
        prop_assert_eq!(losses.len(), usize::from(removed));
    }

    #[test]
    fn any_body_is_looked_at(body in "[\\[\\]{}\":,a-z0-9 ]{0,40}", wrapped in any::<bool>()) {
        let body = if wrapped {
            json!({"model": "m", "messages": [{"content": [{"type": "thinking", "signature": body}]}]}).to_string()
        } else {
            body
        };
        let profile = Profile::default();
        let edits = NativeEdits { model: "m", profile: &profile, open: &open };
        if let Ok(native) = edit(&body, edits) {
            let parsed: Value = serde_json::from_slice(&native.body).unwrap();
            prop_assert!(parsed.is_object());
        }
    }

    /// Whatever arrives, the order of events holds and a client gets at most one end.
    #[test]
    fn any_frames_are_passed_in_order(lines in prop::collection::vec("(data: ?|event: ?)?[\\[\\]{}\":,a-z_0-9 ]{0,30}\n{1,2}", 0..6)) {
        let stream = lines.concat();
        let mut collector = Collector::default();
        let mut reader = reader();
        let mut decoder = Decoder::new(1 << 20);
        let mut sink = |event: Event<'_>| collector.take(event);
        decoder.push(stream.as_bytes(), |frame| reader.push(frame, &mut sink)).unwrap();
        reader.finish(StreamEnd::Closed, &mut sink);
        prop_assert!(reader.is_done());
    }
}
