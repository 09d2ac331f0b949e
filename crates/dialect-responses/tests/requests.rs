//! Requests: bytes in, outlines or faults out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_collect,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use std::fmt::Write as _;

use polywire_conversation::{
    Call, CallInput, FaultClass, Item, Part, Request, Text, Tool, ToolChoice,
};
use polywire_dialect_responses::{Client, http_status, parse, parse_for_store};
use polywire_wire::NESTING_MAX;
use proptest::prelude::*;
use support::{fixture, shared};

/// A request as one line per item, part and tool.
fn outline(request: &Request<'_>) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    line(format!(
        "model {:?} stream {} choice {:?} parallel {:?} limit {:?}",
        request.model,
        request.stream,
        request.tool_choice,
        request.parallel_tool_calls,
        request.output_tokens_max
    ));
    line(format!("{:?}", request.sampling));
    line(format!("{:?}", request.reasoning));
    line(format!(
        "{:?} verbosity {:?} tier {:?} cache key {:?}",
        request.format, request.verbosity, request.service_tier, request.cache_key
    ));
    for (key, value) in &request.extra {
        line(format!("extra {key} {}", value.as_str()));
    }
    if request.compact {
        line("compact".to_owned());
    }
    if let Some(user) = &request.user {
        line(format!("user {}", said(user)));
    }
    if let Some(metadata) = &request.metadata {
        line(format!("metadata {}", metadata.as_str()));
    }
    if let Some(instructions) = &request.instructions {
        line(format!("instructions {}", said(instructions)));
    }
    for (index, item) in request.items.iter().enumerate() {
        line(format!("{index:2} {}", item_outline(item)));
    }
    for tool in &request.tools {
        line(format!("tool {}", tool_outline(tool)));
    }
    for loss in &request.losses {
        line(format!("loss {:?} {loss}", loss.severity));
    }
    out
}

fn said(text: &Text<'_>) -> String {
    let form = match text {
        Text::Plain(_) => "plain",
        Text::Escaped(_) => "escaped",
    };
    format!("{form} {:?}", text.as_written())
}

fn item_outline(item: &Item<'_>) -> String {
    match item {
        Item::Message(message) => format!(
            "message {:?} {:?}{}",
            message.role,
            message.phase,
            parts_outline(&message.parts)
        ),
        Item::Reasoning(reasoning) => format!("{reasoning:?}"),
        Item::Call(Call {
            id,
            name,
            namespace,
            input,
        }) => {
            let input = match input {
                CallInput::Arguments(text) => format!("arguments {}", said(text)),
                CallInput::Freeform(text) => format!("freeform {}", said(text)),
                CallInput::Search(json) => format!("search {}", json.as_str()),
            };
            format!("call {id:?} {namespace:?} {name:?} {input}")
        }
        Item::Result(result) => {
            let tools: Vec<String> = result.tools_loaded.iter().map(tool_outline).collect();
            format!(
                "result {:?}{} tools {tools:?}",
                result.call_id,
                parts_outline(&result.parts)
            )
        }
        Item::ToolsAdded(tools) => {
            let tools: Vec<String> = tools.iter().map(tool_outline).collect();
            format!("tools added {tools:?}")
        }
        Item::HostedCall { tag, summary } => format!("hosted {tag} {}", said(summary)),
        Item::Compaction { sealed, .. } => format!("compaction {sealed:?}"),
        Item::Unknown { tag, raw } => format!("unknown {tag} {}", raw.as_str()),
    }
}

fn parts_outline(parts: &[Part<'_>]) -> String {
    parts
        .iter()
        .map(|part| {
            let part = match part {
                Part::Text(text) => format!("text {}", said(text)),
                Part::Refusal(text) => format!("refusal {}", said(text)),
                Part::Image(image) => {
                    format!("image {} {:?}", said(&image.url), image.detail)
                }
                Part::File(file) => format!("file {file:?}"),
                Part::Audio(raw) => format!("audio {}", raw.as_str()),
                Part::Unknown { tag, raw } => format!("unknown {tag} {}", raw.as_str()),
            };
            format!("\n     - {part}")
        })
        .collect()
}

fn tool_outline(tool: &Tool<'_>) -> String {
    match tool {
        Tool::Namespace { name, tools, .. } => {
            let inner: Vec<String> = tools.iter().map(tool_outline).collect();
            format!("namespace {name} [{}]", inner.join(", "))
        }
        Tool::Hosted { tag, raw } => format!("hosted {tag} {}", raw.as_str()),
        Tool::Unknown { tag, raw } => format!("unknown {tag} {}", raw.as_str()),
        other => format!("{other:?}"),
    }
}

fn check_fixture(name: &str, client: Client) {
    let body = fixture(name);
    let parsed = parse(&body, client).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    insta::assert_snapshot!(name, outline(&parsed.request));
}

#[test]
fn own_requests() {
    check_fixture("plain.json", Client::Sdk);
    check_fixture("conversation.json", Client::Sdk);
    check_fixture("calls.json", Client::Sdk);
    check_fixture("codex.json", Client::Codex);
}

/// Every request recorded from the real client reads without a fault, and everything in it is known.
#[test]
fn recorded_codex_requests() {
    let Some(folder) = shared("fixtures/codex-requests") else {
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "headers.json" {
            continue;
        }
        let body = std::fs::read(&path).unwrap();
        // A recording of WebSocket frames is a list of requests.
        let bodies: Vec<&serde_json::value::RawValue> = match body[0] {
            b'[' => serde_json::from_slice(&body).unwrap(),
            _ => vec![serde_json::from_slice(&body).unwrap()],
        };
        for body in bodies {
            if body.get().contains("\"previous_response_id\"") {
                let fault = parse(body.get().as_bytes(), Client::Codex).unwrap_err();
                assert_eq!(fault.param.as_deref(), Some("previous_response_id"));
                continue;
            }
            check_recorded(&name, body.get());
            count += 1;
        }
    }
    assert!(count >= 24, "{count} requests");
}

fn check_recorded(name: &str, body: &str) {
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    let parsed =
        parse(body.as_bytes(), Client::Codex).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let request = parsed.request;
    let items = value["input"].as_array().unwrap();
    let trigger = items
        .last()
        .is_some_and(|item| item["type"] == "compaction_trigger");
    assert_eq!(request.compact, trigger, "{name}");
    let count = items.len() - usize::from(trigger);
    assert_eq!(request.items.len(), count, "{name}");
    let tools = value["tools"].as_array().map_or(0, Vec::len);
    assert_eq!(request.tools.len(), tools, "{name}");
    assert_eq!(request.tool_choice, ToolChoice::Auto, "{name}");
    assert!(request.stream, "{name}");
    for (item, wire) in request.items.iter().zip(items) {
        match item {
            Item::Unknown { tag, .. } => panic!("{name}: {tag} is not known"),
            Item::Message(message) => {
                let texts: Vec<&serde_json::Value> = wire["content"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|part| &part["text"])
                    .collect();
                for (part, text) in message.parts.iter().zip(texts) {
                    match part {
                        Part::Text(part) => assert_eq!(part.to_plain(), text.as_str().unwrap()),
                        Part::Image(_) => {}
                        other => panic!("{name}: {other:?}"),
                    }
                }
            }
            _ => {}
        }
    }
    for tool in request.all_tools() {
        assert!(!matches!(tool, Tool::Unknown { .. }), "{name}: {tool:?}");
    }
    for loss in &request.losses {
        assert_eq!(loss.what, "reasoning.context", "{name}: {loss}");
    }
}

#[test]
fn who_keeps_responses_is_told_what_is_asked() {
    let told = |body: &'static str| {
        let parsed = parse_for_store(body.as_bytes(), Client::Sdk).unwrap();
        assert!(parsed.request.losses.is_empty());
        (parsed.previous_response_id, parsed.store)
    };
    let body = r#"{"model":"m","input":"x","previous_response_id":"resp_1","store":true}"#;
    assert_eq!(told(body), (Some("resp_1".into()), true));
    assert_eq!(told(r#"{"model":"m","input":"x"}"#), (None, true));
    assert_eq!(
        told(r#"{"model":"m","input":"x","store":false}"#),
        (None, false)
    );
    assert!(parse(body.as_bytes(), Client::Sdk).is_err());
    for refused in [
        r#"{"model":"m","input":"x","conversation":"conv_1"}"#,
        r#"{"model":"m","input":"x","previous_response_id":7}"#,
    ] {
        assert!(parse_for_store(refused.as_bytes(), Client::Sdk).is_err());
    }
}

/// A body that is refused: status, parameter and message.
fn refused(body: &[u8]) -> String {
    let show = String::from_utf8_lossy(body);
    let show: String = show.chars().take(110).collect();
    match parse(body, Client::Sdk) {
        Ok(parsed) => panic!("accepted: {show}\n{}", outline(&parsed.request)),
        Err(fault) => {
            assert_eq!(fault.class, FaultClass::InvalidRequest);
            format!(
                "{show}\n  {} {:?}\n  {}",
                http_status(&fault),
                fault.param,
                fault.message
            )
        }
    }
}

#[test]
fn bad_bodies() {
    let whole: &[&[u8]] = &[
        b"",
        b"   ",
        b"{",
        b"[]",
        b"[\"m\", true]",
        b"null",
        b"42",
        b"\"text\"",
        b"NaN",
        b"{\"model\":\"m\",\"input\":\"x\"} x",
        b"{\"model\":\"m\",\"input\":\"x\",}",
        b"{\"model\":\"m\",\"input\":\"\xff\"}",
        b"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\nb\"}]}",
        b"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"\\x\"}]}",
        b"{\"input\":\"x\"}",
        b"{\"model\":\"m\"}",
        b"{\"model\":null,\"input\":\"x\"}",
        b"{\"model\":\"\",\"input\":\"x\"}",
        b"{\"model\":7,\"input\":\"x\"}",
        b"{\"model\":\"m\",\"model\":\"n\",\"input\":\"x\"}",
        b"{\"model\":\"m\",\"input\":\"x\",\"input\":[]}",
    ];
    let fields = [
        r#""input":42"#,
        r#""input":{"role":"user"}"#,
        r#""input":true"#,
        r#""input":[42]"#,
        r#""input":["hi"]"#,
        r#""input":[["message","user"]]"#,
        r#""input":[{}]"#,
        r#""input":[{"type":7}]"#,
        r#""input":[{"type":"message"}]"#,
        r#""input":[{"role":"user"}]"#,
        r#""input":[{"role":"judge","content":"x"}]"#,
        r#""input":[{"role":7,"content":"x"}]"#,
        r#""input":[{"role":"user","content":7}]"#,
        r#""input":[{"role":"user","content":[7]}]"#,
        r#""input":[{"role":"user","content":[{"text":"x"}]}]"#,
        r#""input":[{"role":"user","content":"x"},{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":["x"]}]}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_text","text":"a","text":"b"}]}]"#,
        r#""input":[{"role":"user","role":"user","content":"x"}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_image"}]}]"#,
        r#""input":[{"type":"item_reference","id":"msg_1"}]"#,
        r#""input":[{"type":"item_reference"}]"#,
        r#""input":[{"type":"compaction_trigger"},{"role":"user","content":"x"}]"#,
        r#""input":"x","max_tool_calls":"3""#,
        r#""input":[{"type":"function_call","name":"f","arguments":"{}"}]"#,
        r#""input":[{"type":"function_call","call_id":"c","arguments":"{}"}]"#,
        r#""input":[{"type":"function_call","call_id":"c","name":"f","arguments":{}}]"#,
        r#""input":[{"type":"function_call_output","output":"x"}]"#,
        r#""input":[{"type":"function_call_output","call_id":"c"}]"#,
        r#""input":[{"type":"custom_tool_call","call_id":"c","name":"f"}]"#,
        r#""input":[{"type":"tool_search_call","call_id":"c","arguments":"{}"}]"#,
        r#""input":[{"type":"tool_search_output","call_id":"c","tools":{}}]"#,
        r#""input":[{"type":"additional_tools","tools":[{"type":"function"}]}]"#,
        r#""input":[{"type":"reasoning","summary":7}]"#,
        r#""input":[{"type":"local_shell_call","call_id":"c","action":"ls"}]"#,
        r#""input":"x","stream":"yes""#,
        r#""input":"x","stream":1"#,
        r#""input":"x","instructions":["a"]"#,
        r#""input":"x","tools":{}"#,
        r#""input":"x","tools":["shell"]"#,
        r#""input":"x","tools":[{"name":"f"}]"#,
        r#""input":"x","tools":[{"type":"custom","name":"a"},{"type":"custom","name":"b"},{"type":"function","name":7}]"#,
        r#""input":"x","tools":[{"type":"function","function":{"name":"f"}}]"#,
        r#""input":"x","tools":[{"type":"function","name":""}]"#,
        r#""input":"x","tools":[{"type":"function","name":"f","parameters":[]}]"#,
        r#""input":"x","tools":[{"type":"function","name":"f","strict":"no"}]"#,
        r#""input":"x","tools":[{"type":"custom","name":"f","format":{"type":"dance"}}]"#,
        r#""input":"x","tools":[{"type":"namespace","name":"n","tools":[{"type":"function"}]}]"#,
        r#""input":"x","tool_choice":"maybe""#,
        r#""input":"x","tool_choice":true"#,
        r#""input":"x","tool_choice":{"name":"f"}"#,
        r#""input":"x","tool_choice":{"type":"function"}"#,
        r#""input":"x","tool_choice":{"type":"allowed_tools","mode":"never","tools":[]}"#,
        r#""input":"x","max_output_tokens":0"#,
        r#""input":"x","max_output_tokens":-1"#,
        r#""input":"x","max_output_tokens":1.5"#,
        r#""input":"x","max_output_tokens":"10""#,
        r#""input":"x","max_output_tokens":18446744073709551616"#,
        r#""input":"x","temperature":"hot""#,
        r#""input":"x","temperature":1e999"#,
        r#""input":"x","temperature":NaN"#,
        r#""input":"x","temperature":-Infinity"#,
        r#""input":"x","top_logprobs":2.5"#,
        r#""input":"x","reasoning":"high""#,
        r#""input":"x","reasoning":{"effort":3}"#,
        r#""input":"x","text":{"format":"json"}"#,
        r#""input":"x","text":{"format":{"type":"xml"}}"#,
        r#""input":"x","text":{"format":{"type":"json_schema","name":"n"}}"#,
        r#""input":"x","text":{"format":{"type":"json_schema","schema":{}}}"#,
        r#""input":"x","text":{"verbosity":1}"#,
        r#""input":"x","metadata":[]"#,
        r#""input":"x","store":"no""#,
        r#""input":"x","previous_response_id":"resp_1""#,
        r#""input":"x","conversation":"conv_1""#,
        r#""input":"x","background":true"#,
        r#""input":"x","background":"yes""#,
        r#""input":"x","prompt":{"id":"pmpt_1"}"#,
    ];
    let mut rows: Vec<String> = whole.iter().map(|body| refused(body)).collect();
    rows.extend(
        fields
            .iter()
            .map(|field| refused(format!("{{\"model\":\"m\",{field}}}").as_bytes())),
    );
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn what_looks_odd_and_is_accepted() {
    let accepted = |field: &str| {
        let body = format!("{{\"model\":\"m\",{field}}}");
        let parsed = parse(body.as_bytes(), Client::Sdk);
        let parsed = parsed.unwrap_or_else(|fault| panic!("{field}: {fault}"));
        format!("{field}\n{}", outline(&parsed.request))
    };
    let rows = [
        r#""input":"x","temperature":0.30000000000000004,"top_p":null,"tools":null,"previous_response_id":null,"background":false,"prompt":null"#,
        r#""input":[]"#,
        r#""input":[{"role":"user","content":"\ud800 \ude00 \ud83d\ude00"}]"#,
        r#""input":[{"type":"function_call","call_id":"a\u0062\ud800","name":"f","arguments":"\ud800"}]"#,
        r#""input":"x","tool_choice":{"type":"function","name":"f","namespace":"functions"}"#,
        r#""input":"x","tool_choice":{"type":"custom","name":"f","namespace":"n"}"#,
        r#""input":"x","tool_choice":{"type":"web_search_preview"}"#,
        r#""input":"x","tool_choice":"required","reasoning":{"generate_summary":"concise"}"#,
        r#""input":"x","unknown":1,"unknown":2"#,
        r#""input":"x","u1":1,"u2":1,"u3":1,"u4":1,"u5":1,"u6":1,"u7":1,"u8":1,"u9":1,"u10":1"#,
        r#""input":"x","metadata":{"a":"1","a":"2"}"#,
    ]
    .map(accepted);
    insta::assert_snapshot!(rows.join("\n"));
}

/// Wherever a request is too deep, it is refused at once, and without recursion.
#[test]
fn deep_bodies_are_refused_wherever_they_are_deep() {
    let places = [
        ("`metadata`", r#""input":"x","metadata":{"a":@}"#),
        ("`nobody_knows`", r#""input":"x","nobody_knows":@"#),
        ("`client_metadata`", r#""input":"x","client_metadata":@"#),
        ("`input[0].x`", r#""input":[{"type":"new","x":@}]"#),
        (
            "`input[1].content`",
            r#""input":[{"role":"user","content":"x"},{"role":"user","content":[@]}]"#,
        ),
        (
            "`tools[0].parameters`",
            r#""input":"x","tools":[{"type":"function","name":"f","parameters":{"a":@}}]"#,
        ),
        (
            "`tools[0].tools`",
            r#""input":"x","tools":[{"type":"namespace","name":"n","tools":@}]"#,
        ),
        ("`text`", r#""input":"x","text":{"format":@}"#),
    ];
    let objects = ("{\"a\":", "}");
    let arrays = ("[", "]");
    for (depth, (open, close)) in [
        (NESTING_MAX + 1, objects),
        (NESTING_MAX + 1, arrays),
        (10_000, objects),
        (1_000_000, arrays),
    ] {
        let bomb = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        for (place, fields) in places {
            let body = format!("{{\"model\":\"m\",{}}}", fields.replace('@', &bomb));
            let fault = parse(body.as_bytes(), Client::Codex).unwrap_err();
            assert_eq!(
                fault.message,
                format!("{place} nests deeper than 200 levels")
            );
            assert_eq!(http_status(&fault), 400);
        }
        // Where only one kind of value can stand, the kind is what is wrong with it; and half a bomb is no JSON.
        for body in [
            bomb.clone(),
            format!("{{\"model\":\"m\",\"input\":{bomb}}}"),
            format!("{{\"model\":\"m\",\"input\":{}", open.repeat(depth)),
            format!("{{\"model\":\"m\",\"x\":{}", open.repeat(depth)),
        ] {
            let fault = parse(body.as_bytes(), Client::Codex).unwrap_err();
            assert_eq!(http_status(&fault), 400);
        }
    }
}

#[test]
fn messages_stay_short_whatever_the_client_wrote() {
    let long = "x".repeat(100_000);
    for body in [
        format!("{{\"model\":\"m\",\"input\":[{{\"role\":\"{long}\",\"content\":\"x\"}}]}}"),
        format!(
            "{{\"model\":\"m\",\"input\":[{{\"type\":\"item_reference\",\"id\":\"{long}\"}}]}}"
        ),
        format!("{{\"model\":\"m\",\"input\":[\"{long}\"]}}"),
        format!("{{\"model\":\"m\",\"input\":\"x\",\"tool_choice\":\"{long}\"}}"),
        format!(
            "{{\"model\":\"m\",\"input\":\"x\",\"top_logprobs\":1{}}}",
            "0".repeat(1000)
        ),
    ] {
        let fault = parse(body.as_bytes(), Client::Sdk).unwrap_err();
        assert!(fault.message.len() < 400, "{}", fault.message.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is done to a request, reading it gives a request or a refusal.
    #[test]
    fn damaged_requests_never_panic(
        name in prop::sample::select(vec!["conversation.json", "calls.json", "codex.json"]),
        damages in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, any::<u8>()), 1..6),
    ) {
        let mut body = fixture(name);
        for (index, kind, byte) in damages {
            let at = index.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => { body.remove(at); }
                2 => body.insert(at, byte),
                3 => body.truncate(at.max(1)),
                4 => replace_value(&mut body, at, b"null"),
                _ => replace_value(&mut body, at, b"[{\"type\":{}}]"),
            }
            if body.is_empty() {
                break;
            }
        }
        for client in [Client::Codex, Client::Sdk] {
            if let Err(fault) = parse(&body, client) {
                prop_assert_eq!(http_status(&fault), 400);
                prop_assert!(!fault.message.is_empty());
            }
        }
    }
}

/// Puts other JSON in place of the string that begins next.
fn replace_value(body: &mut Vec<u8>, at: usize, json: &[u8]) {
    let Some(start) = body[at..].iter().position(|&byte| byte == b'"') else {
        return;
    };
    let start = at + start;
    let Some(length) = body[start + 1..].iter().position(|&byte| byte == b'"') else {
        return;
    };
    body.splice(start..start + length + 2, json.iter().copied());
}
