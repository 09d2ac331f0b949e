//! Requests that are read.

use polywire_conversation::ToolChoice;
use polywire_dialect_chat::{http_status, parse};
use proptest::prelude::*;

use crate::fixture;
use crate::outline::outline;

fn check_fixture(name: &str) {
    let body = fixture(name);
    let parsed = parse(&body).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    insta::assert_snapshot!(name, outline(&parsed));
}

#[test]
fn own_requests() {
    check_fixture("plain.json");
    check_fixture("conversation.json");
    check_fixture("calls.json");
    check_fixture("legacy.json");
}

/// The fields of a request beside its model and its one message.
fn with(field: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{field}}}"#)
}

#[test]
fn what_looks_odd_and_is_accepted() {
    let fields = [
        r#""temperature":null,"tools":null,"tool_choice":null,"stop":null,"n":null,"functions":[],"stream_options":null,"reasoning":null,"response_format":null,"web_search_options":null,"store":false"#,
        r#""max_tokens":-1,"top_k":-1"#,
        r#""stop":"""#,
        r#""modalities":["text"],"stream":false,"stream_options":{}"#,
        r#""response_format":{"type":"text"},"tool_choice":"any""#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n"}}"#,
        r#""tool_choice":{"type":"function","function":{"name":"f"}}"#,
        r#""tool_choice":{"type":"custom","custom":{"name":"f"}}"#,
        r#""tool_choice":{"type":"web_search_preview"}"#,
        r#""tools":[{"type":"function","function":{"name":"f"}}],"functions":[{"name":"g"}],"function_call":"auto""#,
        r#""functions":[{"name":"g"}],"function_call":"none","parallel_tool_calls":true"#,
        r#""function_call":"auto""#,
        r#""web_search_options":{"user_location":{"type":"approximate"}}"#,
        r#""unknown":[1,{"a":1.0}],"nothing":null"#,
        r#""metadata":{"a":"1","a":"2"},"user":"u""#,
        r#""user":"u","safety_identifier":"u""#,
    ];
    let rows = fields.map(|field| {
        let body = with(field);
        let parsed = parse(body.as_bytes()).unwrap_or_else(|fault| panic!("{field}: {fault}"));
        format!("{field}\n{}", outline(&parsed))
    });
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn messages_in_odd_forms() {
    let messages = [
        r#"{"role":"user","content":"\ud800 \ude00 \ud83d\ude00"}"#,
        r#"{"role":"user","content":[]}"#,
        r#"{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b","prompt_cache_breakpoint":{"mode":"explicit"}}]}"#,
        r#"{"role":"assistant"}"#,
        r#"{"role":"assistant","content":null,"tool_calls":null,"function_call":null}"#,
        r#"{"role":"assistant","content":"","tool_calls":[{"id":"a\u0062","type":"function","function":{"name":"f","arguments":"not json"}}]}"#,
        r#"{"role":"assistant","content":"x","reasoning":"","reasoning_content":"","reasoning_details":[]}"#,
        r#"{"role":"tool","tool_call_id":"c"}"#,
        r#"{"content":"x","unknown":{},"unknown":1,"role":"user"}"#,
    ];
    let rows = messages.map(|message| {
        let body = format!(r#"{{"model":"m","messages":[{message}]}}"#);
        let parsed = parse(body.as_bytes()).unwrap_or_else(|fault| panic!("{message}: {fault}"));
        let outline = outline(&parsed);
        let items: Vec<&str> = outline.lines().skip(6).collect();
        format!("{message}\n{}", items.join("\n"))
    });
    insta::assert_snapshot!(rows.join("\n"));
}

/// All the ways in which clients say how much the model should think: the effort, the budget, the summary, and the notes.
#[test]
fn reasoning_in_all_spellings() {
    let fields = [
        r#""reasoning_effort":"xhigh""#,
        r#""reasoning_effort":"whatever""#,
        r#""reasoning":{"effort":"low"}"#,
        r#""reasoning":{"effort":"low","summary":"auto"},"reasoning_effort":"high""#,
        r#""reasoning":{"max_tokens":2000}"#,
        r#""reasoning":{"enabled":true}"#,
        r#""reasoning":{"enabled":true,"effort":"low"}"#,
        r#""reasoning":{"enabled":false}"#,
        r#""reasoning":{"exclude":true}"#,
        r#""reasoning":{}"#,
        r#""include_reasoning":false"#,
        r#""include_reasoning":true"#,
        r#""thinking":{"type":"enabled","budget_tokens":4096}"#,
        r#""thinking":{"type":"enabled"}"#,
        r#""thinking":{"type":"adaptive"}"#,
        r#""thinking":{"type":"disabled"}"#,
        r#""thinking":{"type":"disabled"},"reasoning_effort":"high""#,
        r#""enable_thinking":true"#,
        r#""enable_thinking":true,"thinking_budget":512"#,
        r#""enable_thinking":false,"thinking_budget":512"#,
        r#""enable_thinking":true,"thinking":{"type":"disabled"}"#,
        r#""enable_thinking":true,"thinking_budget":0"#,
        r#""reasoning":{"max_tokens":0}"#,
        r#""enable_thinking":false,"reasoning_effort":"none""#,
    ];
    let rows = fields.map(|field| {
        let body = with(field);
        let parsed = parse(body.as_bytes()).unwrap_or_else(|fault| panic!("{field}: {fault}"));
        let reasoning = &parsed.request.reasoning;
        let hidden = if parsed.hide_reasoning { " hidden" } else { "" };
        let details = if parsed.reasoning_details {
            " details"
        } else {
            ""
        };
        let losses: String = parsed
            .request
            .losses
            .iter()
            .map(|loss| format!("\n    {loss}"))
            .collect();
        format!(
            "{field}\n    {:?} {:?} {:?}{hidden}{details}{losses}",
            reasoning.effort, reasoning.budget_tokens, reasoning.summary
        )
    });
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn no_stream_is_what_a_client_gets_that_asks_for_none() {
    for (field, expected) in [
        (r#""a":1"#, false),
        (r#""stream":null"#, false),
        (r#""stream":false"#, false),
        (r#""stream":true"#, true),
    ] {
        let body = with(field);
        let parsed = parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.request.stream, expected, "{field}");
        assert_eq!(parsed.request.tool_choice, ToolChoice::Unset);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is done to a request, reading it gives a request or a refusal.
    #[test]
    fn damaged_requests_never_panic(
        name in prop::sample::select(vec!["conversation.json", "calls.json", "legacy.json"]),
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
        if let Err(fault) = parse(&body) {
            prop_assert_eq!(http_status(&fault), 400);
            prop_assert!(!fault.message.is_empty());
        }
    }

    #[test]
    fn any_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&body).is_err());
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
