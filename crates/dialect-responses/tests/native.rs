//! Requests and answers that pass between a client and a provider of this protocol as they are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{
    Event, Fault, FaultClass, Opaque, OpaqueKind, ReadStream, StreamEnd, Text, Usage, WriteStream,
};
use polywire_dialect_responses::{
    Client, Echo, NativeEdits, NativeReader, NativeWriter, Profile, ResponsesReader, edit,
    is_plain, parse,
};
use polywire_sse::{Decoder, Frame, FrameBuffer};
use polywire_stream_suite::{Bench, Collector, Seen, ledger};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::bench::own_streams;
use support::writing::{decoded, options};
use support::{fixture, shared};

fn profile(value: Value) -> Profile {
    serde_json::from_value(value).unwrap()
}

/// Everything that Codex asks of a provider, and nothing of Codex itself.
fn home() -> Profile {
    profile(json!({
        "freeform_tools": true,
        "namespaces": true,
        "tool_search": true,
        "hosted_tools": ["web_search"],
        "efforts": ["low", "medium", "high", "xhigh"],
        "verbosity": true,
        "service_tier": true,
        "cache_key_field": "prompt_cache_key",
        "strict_tools": true,
        "system_role": "developer",
        "drop": ["client_metadata"],
    }))
}

/// Opens `sealed:…` as encrypted content and `item:…` as a whole item.
fn open(sealed: &str) -> Option<Vec<Opaque<'static>>> {
    let (kind, state) = sealed.split_once(':')?;
    let kind = match kind {
        "sealed" => OpaqueKind::Encrypted,
        "item" => OpaqueKind::Item,
        "signature" => OpaqueKind::Signature,
        _ => return None,
    };
    Some(vec![Opaque {
        kind,
        state: Text::plain(state.to_owned()),
    }])
}

fn edited(body: &str, profile: &Profile) -> (String, Vec<String>) {
    let native = edit(
        body,
        &NativeEdits {
            model: "upstream/large",
            profile,
            open: &open,
        },
    )
    .unwrap();
    let losses = native.losses.iter().map(ToString::to_string).collect();
    (native.body, losses)
}

#[test]
fn what_has_to_change_changes() {
    let rows = [
        r#"{"model":"m","input":"x","store":false}"#,
        r#"{"model":"m","input":"x","store":true,"stream":true}"#,
        "{ \"input\" : [ ] ,\n\t\"model\" : \"m\" }\n",
        "{}",
        r#"{"client_metadata":{"a":"b"},"model":"m","metadata":{"client_metadata":1},"input":"x"}"#,
        r#"{"type":"response.create","generate":true,"model":"m","input":"x"}"#,
        r#"{"previous_response_id":"resp_1","conversation":null,"input":"x"}"#,
        r#"{"model":"m","input":[{"type":"reasoning","summary":[],"encrypted_content":"sealed:gA\"A"},{"type":"message","role":"user","content":"about reasoning"}]}"#,
        r#"{"model":"m","input":[{"type":"reasoning","id":"ours","summary":[{"type":"summary_text","text":"x"}],"encrypted_content":"item:{\"type\":\"reasoning\", \"id\":\"rs_1\"}"}]}"#,
        r#"{"model":"m","input":[ {"type":"reasoning","summary":[],"encrypted_content":"gAAAA"} , {"role":"user","content":"Hi"} , {"type":"reasoning","summary":[],"encrypted_content":null},{"type":"reasoning","summary":[],"encrypted_content":"signature:x"},{"type":"reasoning","summary":[],"encrypted_content":"item:broken"}]}"#,
        r#"{"model":"m","input":[{"type":"compaction","encrypted_content":"sealed:x"},{"role":"user","content":"Hi"},{"type":"compaction_trigger"}]}"#,
    ];
    let shown: Vec<String> = rows
        .into_iter()
        .map(|row| {
            let (body, losses) = edited(row, &home());
            serde_json::from_str::<Value>(&body).unwrap();
            format!("{row}\n{body}\n{losses:#?}\n")
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn habits_of_the_provider_are_kept() {
    let adds = Profile {
        extra_body: json!({"truncation": "auto", "input": "never", "user": "x"})
            .as_object()
            .unwrap()
            .clone(),
        drop: vec!["user".to_owned(), "top_p".to_owned()],
        encrypted_reasoning: false,
        reasoning_content_back: true,
        ..home()
    };
    let body = r#"{"user":"somebody","input":[{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Hm"}],"encrypted_content":"foreign"},{"type":"reasoning","summary":[]}],"top_p":1}"#;
    let (body, losses) = edited(body, &adds);
    insta::assert_snapshot!(format!("{body}\n{losses:#?}"));
    let fault = edit(
        "[]",
        &NativeEdits {
            model: "m",
            profile: &adds,
            open: &open,
        },
    )
    .unwrap_err();
    assert_eq!(fault.class, FaultClass::InvalidRequest);
}

/// What Codex really sends changes in its model and loses what describes Codex; the rest stays byte for byte.
#[test]
fn recorded_codex_requests_keep_their_bytes() {
    let Some(folder) = shared("fixtures/codex-requests") else {
        return;
    };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let body = std::fs::read_to_string(&path).unwrap();
        if path.ends_with("headers.json") || body.starts_with('[') || body.contains("compaction") {
            continue;
        }
        let (edited, _) = edited(&body, &home());
        let before: serde_json::Map<String, Value> = serde_json::from_str(&body).unwrap();
        let after: serde_json::Map<String, Value> = serde_json::from_str(&edited).unwrap();
        for (key, value) in &before {
            match key.as_str() {
                "client_metadata" => assert!(!after.contains_key(key)),
                "model" => assert_eq!(after[key], "upstream/large"),
                "input" => {
                    let kept = value.as_array().unwrap().iter();
                    let kept = kept.filter(|item| item["type"] != "reasoning");
                    let kept: Vec<&Value> = kept.collect();
                    let found: Vec<&Value> = after[key].as_array().unwrap().iter().collect();
                    assert_eq!(found, kept, "{}", path.display());
                }
                _ => {
                    let written = |body: &str| {
                        let all: serde_json::Map<String, Value> =
                            serde_json::from_str(body).unwrap();
                        all[key].to_string()
                    };
                    assert_eq!(written(&edited), written(&body));
                }
            }
        }
        let order = |body: &serde_json::Map<String, Value>| -> Vec<String> {
            let keys = body.keys().filter(|key| *key != "client_metadata");
            keys.cloned().collect()
        };
        assert_eq!(order(&before), order(&after));
    }
}

#[test]
fn plain_requests() {
    let rows = [
        r#""input":"Hi""#,
        r#""input":"Hi","instructions":"Be brief.""#,
        r#""input":[{"role":"developer","content":"Be brief."}]"#,
        r#""input":[{"role":"system","content":"Be brief."}]"#,
        r#""input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}]"#,
        r#""input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]"#,
        r#""input":[{"type":"function_call","call_id":"c","name":"f","namespace":"n","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}]"#,
        r#""input":[{"type":"custom_tool_call","call_id":"c","name":"f","input":""},{"type":"custom_tool_call_output","call_id":"c","output":"x"}]"#,
        r#""input":[{"type":"reasoning","summary":[],"encrypted_content":"x"},{"role":"assistant","content":"Hi"}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"data:"}]}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_file","file_data":"AA=="}]}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_audio"}]}]"#,
        r#""input":[{"type":"web_search_call","action":{"type":"search","query":"x"}}]"#,
        r#""input":[{"type":"item_of_tomorrow"}]"#,
        r#""input":[{"type":"compaction","encrypted_content":"x"}]"#,
        r#""input":[{"role":"user","content":"Hi"},{"type":"compaction_trigger"}]"#,
        r#""input":"x","tools":[{"type":"function","name":"f","strict":false}]"#,
        r#""input":"x","tools":[{"type":"function","name":"f","strict":true}]"#,
        r#""input":"x","tools":[{"type":"function","name":"f","defer_loading":true},{"type":"tool_search","execution":"client"}]"#,
        r#""input":"x","tools":[{"type":"function","name":"a b"}]"#,
        r#""input":"x","tools":[{"type":"custom","name":"f"}]"#,
        r#""input":"x","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]"#,
        r#""input":"x","tools":[{"type":"web_search"}]"#,
        r#""input":"x","tools":[{"type":"computer"}]"#,
        r#""input":"x","tool_choice":{"type":"allowed_tools","tools":[]}"#,
        r#""input":"x","tool_choice":"required""#,
        r#""input":"x","reasoning":{"effort":"xhigh"}"#,
        r#""input":"x","reasoning":{"effort":"high","summary":"auto"}"#,
        r#""input":"x","text":{"verbosity":"low"}"#,
        r#""input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{}}}"#,
        r#""input":"x","temperature":1"#,
        r#""input":"x","top_logprobs":1"#,
        r#""input":"x","prompt_cache_key":"k""#,
        r#""input":"x","service_tier":"flex""#,
        r#""input":"x","user":"u""#,
        r#""input":"x","safety_identifier":"u""#,
        r#""input":"x","max_tool_calls":3,"field_of_tomorrow":1"#,
        r#""input":"x","metadata":{}"#,
        r#""input":"x","client_metadata":{}"#,
    ];
    let profiles = [
        Profile::default(),
        home(),
        profile(json!({
            "structured_output": "prompt", "reasoning": false, "sampling": false, "schema": "moonshot",
            "instructions_field": false, "images": false, "drop": ["user", "metadata", "service_tier"],
        })),
    ];
    let lines: Vec<String> = rows
        .into_iter()
        .map(|row| {
            let body = format!("{{\"model\":\"m\",{row}}}");
            let request = parse(body.as_bytes(), Client::Codex).unwrap().request;
            let verdicts: Vec<&str> = profiles
                .iter()
                .map(|profile| {
                    if is_plain(&request, profile) {
                        "plain"
                    } else {
                        "-----"
                    }
                })
                .collect();
            format!("{} {row}", verdicts.join(" "))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    let codex = fixture("codex.json");
    assert!(is_plain(
        &parse(&codex, Client::Codex).unwrap().request,
        &home()
    ));
}

fn seal(kind: OpaqueKind, state: &str) -> String {
    format!("sealed {} {}", kind.name(), state.len())
}

fn reader() -> NativeReader {
    NativeReader::new(ledger(), "seed", Box::new(seal))
}

const BENCH: Bench = Bench {
    reader: || Box::new(reader()),
};

/// The native frames of a stream, and what it means.
fn read(bytes: &[u8]) -> (Vec<(String, String)>, Vec<Seen>) {
    let mut natives = Vec::new();
    let mut collector = Collector::default();
    let mut sink = |event: Event<'_>| {
        if let Event::Native(native) = &event {
            natives.push((native.event.to_owned(), native.data.to_owned()));
        }
        collector.take(event);
    };
    let mut reader = reader();
    let mut decoder = Decoder::new(1 << 24);
    decoder
        .push(bytes, |frame| reader.push(frame, &mut sink))
        .unwrap();
    decoder.finish(|frame| reader.push(frame, &mut sink));
    reader.finish(StreamEnd::Closed, &mut sink);
    (natives, collector.seen)
}

fn streams() -> Vec<(String, Vec<u8>)> {
    let mut folders = vec![own_streams()];
    for provider in [
        "openai_responses",
        "xai",
        "deepseek",
        "chatgpt_codex",
        "openrouter",
    ] {
        folders.extend(shared(&format!("fixtures/providers/{provider}")));
    }
    let mut streams = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let is_stream = path.extension().is_some_and(|extension| extension == "sse");
            // Half characters pass as they came; the reader here takes none.
            let is_readable = !path.ends_with("split_surrogates.sse");
            if is_stream && is_readable && String::from_utf8_lossy(&bytes).contains("\"response.") {
                streams.push((path.display().to_string(), bytes));
            }
        }
    }
    streams
}

fn frames_of(bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(1 << 24);
    let mut keep = |frame: Frame<'_>| frames.push(String::from_utf8(frame.data.to_vec()).unwrap());
    decoder.push(bytes, &mut keep).unwrap();
    decoder.finish(&mut keep);
    frames
}

/// What was read but for the losses, with the pieces joined that stood around one.
fn meaning(seen: Vec<Seen>) -> Vec<Seen> {
    let mut kept: Vec<Seen> = Vec::new();
    for seen in seen {
        match (kept.last_mut(), seen) {
            (_, Seen::Loss(_)) => {}
            (Some(Seen::Delta(last, joined)), Seen::Delta(part, text)) if *last == part => {
                joined.push_str(&text);
            }
            (_, seen) => kept.push(seen),
        }
    }
    kept
}

/// Every frame passes, byte for byte but for what is sealed, and means what it means to everybody.
#[test]
fn answers_pass_as_they_are() {
    for (name, bytes) in streams() {
        let (natives, seen) = read(&bytes);
        let frames = frames_of(&bytes);
        let mut passed = frames.iter();
        for (event, data) in &natives {
            let plain = |data: &str| -> Value { serde_json::from_str(data).unwrap() };
            assert_eq!(plain(data)["type"], event.as_str(), "{name}");
            let original = passed.find(|frame| {
                **frame == *data
                    || (frame.contains("encrypted_content")
                        && plain(data)["type"] == plain(frame)["type"])
            });
            assert!(original.is_some(), "{name}: {data}");
            let holds_state = data.contains("\"encrypted_content\":\"")
                || data.contains("\"encrypted_content\": \"");
            assert!(
                !holds_state || data.contains("sealed encrypted "),
                "{name}: {data}"
            );
        }
        assert_eq!(
            meaning(seen),
            meaning(support::bench::BENCH.read(&[&bytes])),
            "{name}"
        );
    }
}

#[test]
fn recordings_mean_what_they_mean() {
    BENCH.check_recordings("responses", 13);
}

/// What a client gets of a stream, with heartbeats behind the first so many frames.
fn written(client: Client, bytes: &[u8], beats: usize) -> Vec<(String, Value)> {
    let mut writer = NativeWriter::new(&options(client, Echo::default()));
    let mut out = FrameBuffer::new();
    let mut left = beats;
    let mut sink = |event: Event<'_>| {
        let is_native = matches!(event, Event::Native(_));
        if is_native && left > 0 {
            writer.heartbeat(&mut out);
            left -= 1;
        }
        writer.push(event, &mut out);
    };
    let mut reader = reader();
    let mut decoder = Decoder::new(1 << 24);
    decoder
        .push(bytes, |frame| reader.push(frame, &mut sink))
        .unwrap();
    reader.finish(StreamEnd::Closed, &mut sink);
    writer.heartbeat(&mut out);
    decoded(&out.take())
}

fn own(name: &str) -> Vec<u8> {
    std::fs::read(own_streams().join(name)).unwrap()
}

#[test]
fn the_client_gets_the_providers_frames() {
    let bytes = own("calls_interleaved.sse");
    let mut frames: Vec<Value> = frames_of(&bytes)
        .iter()
        .map(|frame| serde_json::from_str(frame).unwrap())
        .collect();
    // But for the output of the last, which this provider leaves to those who have seen the items.
    let done = frames
        .iter()
        .filter(|frame| frame["type"] == "response.output_item.done");
    let mut done: Vec<&Value> = done.collect();
    done.sort_by_key(|frame| frame["output_index"].as_u64());
    let items: Vec<Value> = done.iter().map(|frame| frame["item"].clone()).collect();
    assert_eq!(items.len(), 3);
    let end = &mut frames.last_mut().unwrap()["response"]["output"];
    assert_eq!(*end, serde_json::json!([]));
    *end = items.into();
    let got: Vec<Value> = written(Client::Codex, &bytes, 0)
        .into_iter()
        .map(|(_, data)| data)
        .collect();
    assert_eq!(got, frames);
}

#[test]
fn signs_of_life_leave_no_gap() {
    for beats in [1, 3, 100] {
        let frames = written(Client::Sdk, &own("text.sse"), beats);
        for (number, (name, data)) in frames.iter().enumerate() {
            assert_eq!(data["sequence_number"], number);
            assert_eq!(data["type"], name.as_str());
        }
        assert_eq!(frames[0].0, "response.created");
        let created = frames.iter().filter(|(name, _)| name == "response.created");
        assert_eq!(created.count(), 1);
        assert_eq!(frames.last().unwrap().0, "response.completed");
        // One beat before each frame; the first stands for the provider's first.
        let natives = frames_of(&own("text.sse")).len();
        assert_eq!(frames.len(), natives - 1 + beats.min(natives));
    }
}

#[test]
fn failures_are_told_in_the_words_of_the_client() {
    let mut shown = Vec::new();
    for name in [
        "failed.sse",
        "error_nested.sse",
        "error_bare.sse",
        "closed_early.sse",
    ] {
        for client in [Client::Codex, Client::Sdk] {
            let frames = written(client, &own(name), 0);
            for (number, (_, data)) in frames.iter().enumerate() {
                assert_eq!(data["sequence_number"], number, "{name}");
            }
            let own = frames
                .iter()
                .filter(|(event, _)| event == "error" || event == "response.failed");
            let lines: Vec<String> = own
                .map(|(event, data)| match event.as_str() {
                    "error" => format!("{event} {} {}", data["code"], data["message"]),
                    _ => format!(
                        "{event} {} {} {}",
                        data["response"]["id"],
                        data["response"]["status"],
                        data["response"]["error"]
                    ),
                })
                .collect();
            shown.push(format!("{name} {client:?}\n{}", lines.join("\n")));
        }
    }
    insta::assert_snapshot!(shown.join("\n"));
}

fn whole_of(bytes: &[u8]) -> (Value, Option<Seen>) {
    let mut writer = NativeWriter::new(&options(Client::Sdk, Echo::default()));
    let mut out = FrameBuffer::new();
    let mut collector = Collector::default();
    reader().whole(bytes, &mut |event: Event<'_>| {
        writer.push(event.clone(), &mut out);
        collector.take(event);
    });
    let body = serde_json::from_slice(&writer.whole()).unwrap();
    (body, collector.seen.pop())
}

#[test]
fn answers_in_one_piece() {
    let (body, end) = whole_of(&own("whole_answer.json"));
    let mut expected: Value = serde_json::from_slice(&own("whole_answer.json")).unwrap();
    expected["output"][0]["encrypted_content"] = json!("sealed encrypted 5");
    assert_eq!(body, expected);
    assert_eq!(end, Some(Seen::Finish("tool_calls")));
    for name in [
        "whole_failed.json",
        "whole_error.json",
        "whole_page.html",
        "whole_nothing.txt",
    ] {
        let (body, end) = whole_of(&own(name));
        assert_eq!(body["status"], "failed", "{name}");
        assert!(matches!(end, Some(Seen::Fault(_))), "{name}");
    }
}

#[test]
fn a_stream_for_a_client_that_wants_one_piece() {
    let mut writer = NativeWriter::new(&options(Client::Sdk, Echo::default()));
    assert_eq!(
        serde_json::from_slice::<Value>(&writer.whole()).unwrap()["status"],
        "in_progress"
    );
    let mut out = FrameBuffer::new();
    let mut reader = reader();
    let mut decoder = Decoder::new(1 << 24);
    decoder
        .push(&own("only_items_done.sse"), |frame| {
            reader.push(frame, &mut |event: Event<'_>| writer.push(event, &mut out));
        })
        .unwrap();
    let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
    assert_eq!(whole["status"], "completed");
    assert_eq!(whole["output"].as_array().unwrap().len(), 3);
    writer.push(
        Event::Fault(Fault::new(FaultClass::Server, "late")),
        &mut out,
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&writer.whole()).unwrap(),
        whole
    );
}

#[test]
fn usage_that_the_provider_did_not_send_is_put_in() {
    let estimate = Usage {
        input: Some(7),
        output: Some(3),
        ..Usage::default()
    };
    let response = |usage: &str| {
        format!(r#"{{"id":"resp_1","object":"response","status":"completed","output":[]{usage}}}"#)
    };
    for (usage, input_tokens) in [
        ("", json!(7)),
        (r#","usage":null"#, json!(7)),
        (r#","usage":{"input_tokens":5,"output_tokens":1}"#, json!(5)),
    ] {
        for streamed in [true, false] {
            let mut writer = NativeWriter::new(&options(Client::Sdk, Echo::default()));
            let mut out = FrameBuffer::new();
            let mut sink = |event: Event<'_>| {
                if matches!(event, Event::Finish(_)) {
                    writer.push(Event::Usage(estimate), &mut out);
                }
                writer.push(event, &mut out);
            };
            let response = response(usage);
            if streamed {
                let data = format!(
                    r#"{{"type":"response.completed","sequence_number":0,"response":{response}}}"#
                );
                let frame = Frame {
                    event: b"response.completed",
                    data: data.as_bytes(),
                };
                reader().push(frame, &mut sink);
                let sent = decoded(&out.take());
                assert_eq!(sent.len(), 1);
                assert_eq!(sent[0].1["response"]["usage"]["input_tokens"], input_tokens);
            } else {
                reader().whole(response.as_bytes(), &mut sink);
            }
            let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
            assert_eq!(
                whole["usage"]["input_tokens"], input_tokens,
                "{usage} {streamed}"
            );
            assert_eq!(whole["status"], "completed");
        }
    }
}

#[test]
fn both_readers_take_the_same() {
    let mut native = reader();
    let mut plain = ResponsesReader::new(ledger(), "seed");
    let broken = || StreamEnd::Broken(Fault::new(FaultClass::Timeout, "stalled"));
    native.finish(broken(), &mut |_: Event<'_>| {});
    plain.finish(broken(), &mut |_: Event<'_>| {});
    assert!(native.is_done() && plain.is_done());
}

/// JSON as people write it, with white space where it may stand.
fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[1-9][0-9]{0,3}(\\.[0-9]{1,3})?",
        "\"[a-z é😀,:{}\\[\\]]{0,8}\"",
        Just("\"\\\"\\\\\\ud83d\"".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let space = prop::sample::select(vec!["", " ", "\n", "\r\n\t"]);
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), space.clone()).prop_map(
                |(values, space)| format!("[{space}{}{space}]", values.join(&format!("{space},")))
            ),
            (prop::collection::vec(("[a-z]{1,6}", inner), 0..4), space).prop_map(
                |(members, space)| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(key, value)| format!("\"{key}\"{space}:{space}{value}"))
                        .collect();
                    format!(
                        "{{{space}{}{space}}}",
                        members.join(&format!("{space},{space}"))
                    )
                }
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_else_changes(
        members in prop::collection::vec((prop::sample::select(vec!["a", "b", "model", "store", "user", "client_metadata", "input"]), any_value()), 0..6),
        space in prop::sample::select(vec!["", " ", "\n  "]),
    ) {
        let written: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("\"{key}\":{space}{value}"))
            .collect();
        let body = format!("{space}{{{space}{}{space}}}{space}", written.join(&format!("{space},{space}")));
        let (edited, _) = edited(&body, &home());
        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&edited).is_ok(), "{}", edited);
        // What stays is there as it was written, in its order.
        let mut rest = edited.as_str();
        for ((key, _), member) in members.iter().zip(&written) {
            if matches!(*key, "a" | "b" | "user" | "input") {
                let at = rest.find(member.as_str());
                prop_assert!(at.is_some(), "{member} is not in {edited}");
                rest = &rest[at.unwrap() + member.len()..];
            }
        }
        let top = |name: &str| members.iter().any(|(key, _)| *key == name);
        prop_assert!(!edited.contains("client_metadata") || body.contains("\"client_metadata\"") && !top("client_metadata"));
        // A second time there is nothing to do.
        let again = edit(&edited, &NativeEdits { model: "upstream/large", profile: &home(), open: &open }).unwrap();
        prop_assert_eq!(again.body, edited);
    }
}
