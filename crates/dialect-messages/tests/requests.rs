//! Requests: bytes in, outlines or faults out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

#[path = "client_support/mod.rs"]
mod support;

use polywire_conversation::{Dialect, FaultClass, Item, Text};
use polywire_dialect_messages::{http_status, parse, parse_count};
use polywire_wire::NESTING_MAX;
use proptest::prelude::*;
use support::outline::outline;
use support::request_fixture;

const FIXTURES: [&str; 5] = [
    "plain.json",
    "conversation.json",
    "tools.json",
    "hosted.json",
    "claude_code.json",
];

#[test]
fn own_requests() {
    for name in FIXTURES {
        let body = request_fixture(name);
        let parsed = parse(&body).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        insta::assert_snapshot!(name, outline(&parsed));
    }
}

/// What is not decoded is not copied either: texts lie in the body.
#[test]
fn texts_borrow_from_the_body() {
    let body = request_fixture("claude_code.json");
    let parsed = parse(&body).unwrap();
    let inside = |text: &Text<'_>| body.as_ptr_range().contains(&text.as_written().as_ptr());
    assert!(inside(parsed.request.instructions.as_ref().unwrap()));
    for item in &parsed.request.items {
        match item {
            Item::Message(message) => {
                for part in &message.parts {
                    match part {
                        polywire_conversation::Part::Text(text) => assert!(inside(text)),
                        other => panic!("{other:?}"),
                    }
                }
            }
            Item::Call(call) => match &call.input {
                polywire_conversation::CallInput::Arguments(text) => assert!(inside(text)),
                other => panic!("{other:?}"),
            },
            _ => {}
        }
    }
}

/// A body that is refused: status, parameter and message.
fn refused(body: &[u8]) -> String {
    let show = String::from_utf8_lossy(body);
    let show: String = show.chars().take(150).collect();
    match parse(body) {
        Ok(parsed) => panic!("accepted: {show}\n{}", outline(&parsed)),
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

/// A request with one more field behind the required ones.
fn with(field: &str) -> String {
    format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],{field}}}"#
    )
}

/// A request with these messages.
fn with_messages(messages: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":{messages}}}"#)
}

/// A request with one block in a message of this role.
fn with_block(role: &str, block: &str) -> String {
    with_messages(&format!(r#"[{{"role":"{role}","content":[{block}]}}]"#))
}

#[test]
fn bad_bodies() {
    let whole: [&[u8]; 21] = [
        b"",
        b"   ",
        b"{",
        b"[]",
        b"null",
        b"42",
        b"\"text\"",
        b"NaN",
        b"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[]}",
        b"{\"model\":\"m\",\"max_tokens\":9,\"messages\":null}",
        b"{\"model\":\"m\",\"max_tokens\":9}",
        b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":7,\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"m\",\"model\":\"n\",\"max_tokens\":9,\"messages\":[]}",
        b"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]} x",
        b"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],}",
        b"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}",
        b"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"a\nb\"}]}",
        b"{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"\\x\"}]}",
    ];
    let messages = [
        "42",
        r#""hi""#,
        r#"{"role":"user","content":"x"}"#,
        "[42]",
        r#"["hi"]"#,
        "[{}]",
        r#"[{"role":"user"}]"#,
        r#"[{"content":"x"}]"#,
        r#"[{"role":"judge","content":"x"}]"#,
        r#"[{"role":7,"content":"x"}]"#,
        r#"[{"role":"user","role":"user","content":"x"}]"#,
        r#"[{"role":"user","content":7}]"#,
        r#"[{"role":"user","content":{"type":"text","text":"x"}}]"#,
        r#"[{"role":"user","content":[7]}]"#,
        r#"[{"role":"user","content":"x"},{"role":"user","content":[{"type":"text","text":"a"},{"text":"x"}]}]"#,
        r#"[{"role":"user","content":"x"},{"role":"assistant","content":"x"},{"role":"user","content":"x"},{"role":"user","content":[{"type":7}]}]"#,
        r#"[{"role":"system","content":[{"type":"image","source":{"type":"url","url":"u"}}]}]"#,
        r#"[{"role":"system"}]"#,
        r#"[{"role":"user","output_config":{}}]"#,
        r#"[{"role":"system","content":[{"type":"tool_addition"}]}]"#,
        r#"[{"role":"system","content":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"g"}}}]}]"#,
        r#"[{"role":"system","content":[{"type":"tool_removal","tool":"f"}]}]"#,
        r#"[{"role":"system","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]}]"#,
    ];
    let user_blocks = [
        r#"{"type":"text"}"#,
        r#"{"type":"text","text":["x"]}"#,
        r#"{"type":"text","text":"a","text":"b"}"#,
        r#"{"type":"image"}"#,
        r#"{"type":"image","source":"u"}"#,
        r#"{"type":"image","source":{}}"#,
        r#"{"type":"image","source":{"type":"base64","data":"x"}}"#,
        r#"{"type":"image","source":{"type":"base64","media_type":"image/png"}}"#,
        r#"{"type":"image","source":{"type":"url"}}"#,
        r#"{"type":"image","source":{"type":"file"}}"#,
        r#"{"type":"image","source":{"type":"dream"}}"#,
        r#"{"type":"document","source":{"type":"text"}}"#,
        r#"{"type":"document","source":{"type":"film"}}"#,
        r#"{"type":"document","source":{"type":"content"}}"#,
        r#"{"type":"document","source":{"type":"content","content":7}}"#,
        r#"{"type":"document","citations":true,"source":{"type":"url","url":"u"}}"#,
        r#"{"type":"search_result","title":"t","content":[]}"#,
        r#"{"type":"search_result","source":"s","title":"t"}"#,
        r#"{"type":"search_result","source":"s","title":"t","content":[{"type":"text"}]}"#,
        r#"{"type":"tool_result"}"#,
        r#"{"type":"tool_result","tool_use_id":""}"#,
        r#"{"type":"tool_result","tool_use_id":"t","content":7}"#,
        r#"{"type":"tool_result","tool_use_id":"t","is_error":"no"}"#,
        r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"a"},{"type":"tool_use"}]}"#,
        r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_reference"}]}"#,
        r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#,
        r#"{"type":"thinking","thinking":"x","signature":"s"}"#,
    ];
    let assistant_blocks = [
        r#"{"type":"thinking","signature":"s"}"#,
        r#"{"type":"thinking","thinking":"x","signature":7}"#,
        r#"{"type":"redacted_thinking"}"#,
        r#"{"type":"tool_use","name":"f","input":{}}"#,
        r#"{"type":"tool_use","id":"t","input":{}}"#,
        r#"{"type":"tool_use","id":"t","name":"f"}"#,
        r#"{"type":"tool_use","id":"t","name":"f","input":"{}"}"#,
        r#"{"type":"tool_result","tool_use_id":"t"}"#,
        r#"{"type":"server_tool_use","name":"web_search","input":{}}"#,
        r#"{"type":"server_tool_use","id":"s","name":"web_search","input":"x"}"#,
        r#"{"type":"web_search_tool_result","content":[]}"#,
        r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[7]}"#,
        r#"{"type":"compaction","content":[]}"#,
    ];
    let fields = [
        r#""max_tokens":9"#,
        r#""stream":"yes""#,
        r#""system":7"#,
        r#""system":[{"type":"image"}]"#,
        r#""system":[{"type":"text","text":7}]"#,
        r#""temperature":"hot""#,
        r#""temperature":1e999"#,
        r#""temperature":NaN"#,
        r#""top_k":-1"#,
        r#""top_k":1.5"#,
        r#""stop_sequences":"END""#,
        r#""stop_sequences":["a"," \n"]"#,
        r#""stop_sequences":[7]"#,
        r#""metadata":"me""#,
        r#""metadata":{"user_id":7}"#,
        r#""service_tier":"gold""#,
        r#""thread":{"type":"create"}"#,
        r#""thread":7"#,
        r#""thinking":true"#,
        r#""thinking":{}"#,
        r#""thinking":{"type":"enabled"}"#,
        r#""thinking":{"type":"enabled","budget_tokens":0}"#,
        r#""thinking":{"type":"enabled","budget_tokens":"much"}"#,
        r#""thinking":{"type":"deep"}"#,
        r#""output_config":"high""#,
        r#""output_config":{"effort":3}"#,
        r#""output_config":{"format":{"type":"xml"}}"#,
        r#""output_config":{"format":{"type":"json_schema"}}"#,
        r#""output_config":{"format":{"type":"json_schema","schema":[]}}"#,
        r#""tool_choice":"auto""#,
        r#""tool_choice":{}"#,
        r#""tool_choice":{"type":"some"}"#,
        r#""tool_choice":{"type":"tool"}"#,
        r#""tool_choice":{"type":"auto","disable_parallel_tool_use":1}"#,
        r#""tools":{}"#,
        r#""tools":["f"]"#,
        r#""tools":[{"name":"f"}]"#,
        r#""tools":[{"input_schema":{}}]"#,
        r#""tools":[{"name":"","input_schema":{}}]"#,
        r#""tools":[{"name":"f","input_schema":"any"}]"#,
        r#""tools":[{"name":"a","input_schema":{}},{"type":"custom","name":"f","input_schema":{},"strict":"no"}]"#,
        r#""tools":[{"type":7}]"#,
        r#""tools":[{"type":"bash_20250124","name":7}]"#,
        r#""tools":[{"type":"computer_20250124","display_width_px":"wide"}]"#,
        r#""speed":"fast","speed":"fast""#,
    ];
    let mut rows: Vec<String> = whole.iter().map(|body| refused(body)).collect();
    rows.extend(messages.map(|list| refused(with_messages(list).as_bytes())));
    rows.extend(user_blocks.map(|block| refused(with_block("user", block).as_bytes())));
    rows.extend(assistant_blocks.map(|block| refused(with_block("assistant", block).as_bytes())));
    rows.extend(fields.map(|field| refused(with(field).as_bytes())));
    let none = with("\"a\":1").replace("\"max_tokens\":9", "\"max_tokens\":0");
    rows.push(refused(none.as_bytes()));
    assert!(rows.len() > 120, "{}", rows.len());
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn what_looks_odd_and_is_accepted() {
    let accepted = |body: String| {
        let parsed = parse(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault}"));
        format!("{body}\n{}", outline(&parsed))
    };
    let rows = [
        with(r#""temperature":0.30000000000000004,"top_p":null,"tools":null,"thread":null,"system":"","mcp_servers":[]"#),
        with(r#""u1":1,"u2":{"a":1,"a":2},"u3":1,"u4":1,"u5":1,"u6":1,"u7":1,"u8":1,"u9":1,"u10":1"#),
        with(r#""speed":"fast","inference_geo":"eu","betas":["a"],"cache_control":{"type":"ephemeral"},"container":"c""#),
        with(r#""thinking":{"type":"disabled"},"output_config":{"effort":"low"}"#),
        with(r#""thinking":{"type":"enabled","budget_tokens":31999},"output_config":{"effort":"low"}"#),
        with(r#""thinking":{"type":"between_tools"},"tool_choice":{"type":"any"}"#),
        with(r#""output_format":{"type":"json_schema","schema":{}},"tool_choice":{"type":"none"}"#),
        with(r#""tool_choice":{"type":"tool","name":"web_search"}"#),
        with(r#""system":[{"type":"text","text":"only one"}],"stream":true"#),
        with_messages(r#"[{"role":"user","content":"a"},{"role":"system","clear_at":"next_user_message","content":"gone"},{"role":"user","content":"b"},{"role":"system","clear_at":"next_user_message","content":"here"},{"role":"system","output_config":{"effort":"low"}}]"#),
        with(r#""tools":[{"name":"f","input_schema":{},"defer_loading":true}],"u":1"#).replace(
            r#"{"role":"user","content":"x"}"#,
            r#"{"role":"user","content":"x"},{"role":"system","content":[{"type":"text","text":"new"},{"type":"tool_addition","tool":{"type":"tool_reference","name":"f"}},{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"g","input_schema":{}}}},{"type":"tool_addition","tool":{"type":"mcp_tool_reference","server_name":"s","name":"h"}},{"type":"tool_removal","tool":{"type":"tool_reference","name":"f"}}]}"#,
        ),
        with_messages(r#"[{"role":"assistant","content":"begin"},{"role":"user","content":[]}]"#),
        with_messages(r#"[{"role":"user","content":"\ud800 \ude00 \ud83d\ude00"}]"#),
        with_block("assistant", r#"{"type":"tool_use","id":"t","name":"f","input":{"a":"\ud800","a":1e400}}"#),
        with_block("assistant", r#"{"type":"thinking","thinking":"x"}"#),
        with_block("user", r#"{"type":"text","text":"first"},{"type":"tool_result","tool_use_id":"t"},{"type":"text","text":"last"}"#),
        with_block("assistant", r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":7}},{"type":"web_search_tool_result","tool_use_id":"s","content":7}"#),
    ]
    .map(accepted);
    insta::assert_snapshot!(rows.join("\n"));
}

/// Counting needs no `max_tokens`, and reads the rest in the same way.
#[test]
fn bodies_to_count() {
    let body = r#"{"model":"m","system":"s","messages":[{"role":"user","content":"x"}]}"#;
    let request = parse_count(body.as_bytes()).unwrap();
    assert_eq!(request.dialect, Dialect::Messages);
    assert_eq!(request.output_tokens_max, None);
    assert_eq!(request.items.len(), 1);
    for name in FIXTURES {
        let body = request_fixture(name);
        let counted = parse_count(&body).unwrap();
        let parsed = parse(&body).unwrap().request;
        assert_eq!(counted.items, parsed.items, "{name}");
        assert_eq!(counted.tools, parsed.tools, "{name}");
    }
    let fault = parse_count(br#"{"model":"m"}"#).unwrap_err();
    assert_eq!(fault.param.as_deref(), Some("messages"));
}

/// Wherever a request is too deep, it is refused at once, and without recursion.
#[test]
fn deep_bodies_are_refused_wherever_they_are_deep() {
    let places = [
        ("`metadata`", with(r#""metadata":{"a":@}"#)),
        ("`nobody_knows`", with(r#""nobody_knows":@"#)),
        (
            "`messages[0].content`",
            with_block("user", r#"{"type":"new","x":@}"#),
        ),
        (
            "`messages[0].content`",
            with_block(
                "assistant",
                r#"{"type":"tool_use","id":"t","name":"f","input":{"a":@}}"#,
            ),
        ),
        (
            "`tools[0].input_schema`",
            with(r#""tools":[{"name":"f","input_schema":{"a":@}}]"#),
        ),
        ("`thinking`", with(r#""thinking":@"#)),
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
        for (place, body) in &places {
            let fault = parse(body.replace('@', &bomb).as_bytes()).unwrap_err();
            assert_eq!(
                fault.message,
                format!("{place} nests deeper than 200 levels")
            );
        }
        for body in [
            bomb.clone(),
            with_messages(&bomb),
            with_messages(&open.repeat(depth)),
        ] {
            assert_eq!(http_status(&parse(body.as_bytes()).unwrap_err()), 400);
        }
    }
}

#[test]
fn messages_stay_short_whatever_the_client_wrote() {
    let long = "x".repeat(100_000);
    for body in [
        with_messages(&format!(r#"[{{"role":"{long}","content":"x"}}]"#)),
        with_messages(&format!("[\"{long}\"]")),
        with_block("user", &format!(r#"{{"type":"{long}_tool_result"}}"#)),
        with_block(
            "user",
            &format!(r#"{{"type":"image","source":{{"type":"{long}"}}}}"#),
        ),
        with(&format!(r#""tool_choice":{{"type":"{long}"}}"#)),
        with(&format!(r#""service_tier":"{long}""#)),
        with(&format!(r#""{long}":1,"{long}":1"#)),
    ] {
        let fault = parse(body.as_bytes()).unwrap_err();
        assert!(fault.message.len() < 600, "{}", fault.message.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is done to a request, reading it gives a request or a refusal.
    #[test]
    fn damaged_requests_never_panic(
        name in prop::sample::select(FIXTURES.to_vec()),
        damages in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, any::<u8>()), 1..6),
    ) {
        let mut body = request_fixture(name);
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
        if let Err(fault) = parse(&body) {
            prop_assert_eq!(http_status(&fault), 400);
            prop_assert!(!fault.message.is_empty());
        }
        if let Ok(request) = parse_count(&body) {
            prop_assert!(polywire_dialect_messages::estimate(&request) > 0);
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
