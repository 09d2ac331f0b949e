//! Requests that are refused, and how.

use polywire_conversation::FaultClass;
use polywire_dialect_chat::{http_status, parse};
use polywire_wire::NESTING_MAX;

use crate::outline::outline;

/// A body that is refused: status, parameter and message.
fn refused(body: &[u8]) -> String {
    let show = String::from_utf8_lossy(body);
    let show: String = show.chars().take(140).collect();
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

#[test]
fn bad_bodies() {
    let bodies: [&[u8]; 22] = [
        b"",
        b"   ",
        b"{",
        b"[]",
        b"[\"m\", true]",
        b"null",
        b"42",
        b"\"text\"",
        b"NaN",
        b"{\"model\":\"m\",\"messages\":[]} x",
        b"{\"model\":\"m\",\"messages\":[],}",
        b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}",
        b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\nb\"}]}",
        b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\\x\"}]}",
        b"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"m\"}",
        b"{\"model\":\"m\",\"messages\":null}",
        b"{\"model\":null,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":7,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"m\",\"model\":\"n\",\"messages\":[]}",
        b"{\"model\":\"m\",\"messages\":[],\"messages\":[]}",
    ];
    let rows: Vec<String> = bodies.iter().map(|body| refused(body)).collect();
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn bad_messages() {
    let messages = [
        r"42",
        r#""hi""#,
        r#"{"role":"user"}"#,
        r"true",
        r"[]",
        r"[42]",
        r#"["hi"]"#,
        r#"[["user","hi"]]"#,
        r"[{}]",
        r#"[{"role":7,"content":"x"}]"#,
        r#"[{"role":"judge","content":"x"}]"#,
        r#"[{"role":"","content":"x"}]"#,
        r#"[{"role":"user"}]"#,
        r#"[{"role":"user","content":null}]"#,
        r#"[{"role":"system","content":null}]"#,
        r#"[{"role":"user","content":42}]"#,
        r#"[{"role":"user","content":{"text":"x"}}]"#,
        r#"[{"role":"user","content":[7]}]"#,
        r#"[{"role":"user","content":["x"]}]"#,
        r#"[{"role":"user","content":[{"text":"x"}]}]"#,
        r#"[{"role":"user","content":"x"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":["x"]}]}]"#,
        r#"[{"role":"user","content":[{"type":"text"}]}]"#,
        r#"[{"role":"user","content":[{"type":7}]}]"#,
        r#"[{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}]"#,
        r#"[{"role":"user","role":"user","content":"x"}]"#,
        r#"[{"role":"user","content":"x","name":7}]"#,
        r#"[{"role":"user","content":[{"type":"image_url"}]}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":7}]}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x","detail":1}}]}]"#,
        r#"[{"role":"user","content":[{"type":"file"}]}]"#,
        r#"[{"role":"user","content":[{"type":"file","file":{}}]}]"#,
        r#"[{"role":"user","content":[{"type":"file","file":{"file_data":7}}]}]"#,
        r#"[{"role":"assistant","content":7}]"#,
        r#"[{"role":"assistant","content":"x","refusal":7}]"#,
        r#"[{"role":"assistant","content":"x","audio":"a"}]"#,
        r#"[{"role":"assistant","content":"x","reasoning_content":7}]"#,
        r#"[{"role":"assistant","content":"x","reasoning":{}}]"#,
        r#"[{"role":"assistant","content":"x","reasoning_details":{}}]"#,
        r#"[{"role":"assistant","content":"x","reasoning_details":[{}]}]"#,
        r#"[{"role":"assistant","content":"x","reasoning_details":[{"type":"reasoning.encrypted","data":7}]}]"#,
        r#"[{"role":"assistant","tool_calls":{}}]"#,
        r#"[{"role":"assistant","tool_calls":[7]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}}]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"","type":"function","function":{"name":"f","arguments":"{}"}}]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"c","type":"function"}]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"arguments":"{}"}}]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{}}}]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f"}}]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"c","type":"dance"}]}]"#,
        r#"[{"role":"assistant","function_call":"f"}]"#,
        r#"[{"role":"assistant","function_call":{"arguments":"{}"}}]"#,
        r#"[{"role":"tool","content":"x"}]"#,
        r#"[{"role":"tool","tool_call_id":7,"content":"x"}]"#,
        r#"[{"role":"tool","tool_call_id":"c","content":7}]"#,
        r#"[{"role":"function","content":"x"}]"#,
    ];
    let rows = messages
        .map(|messages| refused(format!("{{\"model\":\"m\",\"messages\":{messages}}}").as_bytes()));
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn bad_settings() {
    let fields = [
        r#""stream":"yes""#,
        r#""stream":1"#,
        r#""stream":true,"stream":true"#,
        r#""stream_options":true"#,
        r#""stream_options":{"include_usage":"yes"}"#,
        r#""tools":{}"#,
        r#""tools":["shell"]"#,
        r#""tools":[{"function":{"name":"f"}}]"#,
        r#""tools":[{"type":"function","name":"f"}]"#,
        r#""tools":[{"type":"custom","custom":{"name":"a"}},{"type":"function","function":{"name":7}}]"#,
        r#""tools":[{"type":"function","function":{"name":""}}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","description":7}}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":[]}}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","strict":"no"}}]"#,
        r#""tools":[{"type":"custom","custom":{"name":"f","format":{"type":"dance"}}}]"#,
        r#""tools":[{"type":"custom","custom":{"name":"f","format":{"type":"grammar"}}}]"#,
        r#""tools":[{"type":"custom","custom":{"name":"f","format":{"type":"grammar","grammar":{"syntax":"lark"}}}}]"#,
        r#""functions":{}"#,
        r#""functions":[{"description":"x"}]"#,
        r#""functions":[{"name":"f"}],"function_call":"maybe""#,
        r#""functions":[{"name":"f"}],"function_call":{}"#,
        r#""functions":[{"name":"f"}],"function_call":1"#,
        r#""tool_choice":"maybe""#,
        r#""tool_choice":true"#,
        r#""tool_choice":{"function":{"name":"f"}}"#,
        r#""tool_choice":{"type":"function"}"#,
        r#""tool_choice":{"type":"function","function":{}}"#,
        r#""tool_choice":{"type":"allowed_tools"}"#,
        r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"never","tools":[]}}"#,
        r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function"}]}}"#,
        r#""parallel_tool_calls":"no""#,
        r#""max_tokens":0"#,
        r#""max_tokens":-2"#,
        r#""max_tokens":1.5"#,
        r#""max_completion_tokens":"10""#,
        r#""max_completion_tokens":18446744073709551616"#,
        r#""temperature":"hot""#,
        r#""temperature":1e999"#,
        r#""temperature":NaN"#,
        r#""temperature":-Infinity"#,
        r#""top_p":[]"#,
        r#""top_k":0.5"#,
        r#""frequency_penalty":"much""#,
        r#""presence_penalty":true"#,
        r#""seed":"lucky""#,
        r#""logprobs":1"#,
        r#""top_logprobs":2.5"#,
        r#""stop":7"#,
        r#""stop":["a",7]"#,
        r#""stop":{}"#,
        r#""n":0"#,
        r#""n":2"#,
        r#""n":"1""#,
        r#""modalities":"text""#,
        r#""modalities":["text","audio"]"#,
        r#""modalities":[7]"#,
        r#""audio":"alloy""#,
        r#""reasoning_effort":3"#,
        r#""reasoning":"high""#,
        r#""reasoning":{"effort":3}"#,
        r#""reasoning":{"max_tokens":"many"}"#,
        r#""reasoning":{"enabled":"yes"}"#,
        r#""thinking":true"#,
        r#""thinking":{"type":"deeply"}"#,
        r#""thinking":{"type":"enabled","budget_tokens":-1}"#,
        r#""enable_thinking":"yes""#,
        r#""include_reasoning":0"#,
        r#""response_format":"json""#,
        r#""response_format":{}"#,
        r#""response_format":{"type":"xml"}"#,
        r#""response_format":{"type":"json_schema"}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"schema":{}}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":[]}}"#,
        r#""verbosity":1"#,
        r#""service_tier":1"#,
        r#""prompt_cache_key":1"#,
        r#""user":1"#,
        r#""safety_identifier":{}"#,
        r#""metadata":[]"#,
        r#""store":"no""#,
        r#""web_search_options":true"#,
        r#""web_search_options":{"user_location":"Ulm"}"#,
        r#""unknown":1,"unknown":2"#,
    ];
    let rows = fields.map(|field| {
        let message = r#""messages":[{"role":"user","content":"x"}]"#;
        refused(format!("{{\"model\":\"m\",{message},{field}}}").as_bytes())
    });
    insta::assert_snapshot!(rows.join("\n"));
}

/// Wherever a request is too deep, it is refused at once, and without recursion.
#[test]
fn deep_bodies_are_refused_wherever_they_are_deep() {
    let places = [
        ("`metadata`", r#""messages":[],"metadata":{"a":@}"#),
        ("`nobody_knows`", r#""messages":[],"nobody_knows":@"#),
        ("`messages[0].x`", r#""messages":[{"role":"user","x":@}]"#),
        (
            "`messages[1].content`",
            r#""messages":[{"role":"user","content":"x"},{"role":"user","content":[@]}]"#,
        ),
        (
            "`tools`",
            r#""messages":[],"tools":[{"type":"function","function":@}]"#,
        ),
        ("`response_format`", r#""messages":[],"response_format":@"#),
    ];
    for (depth, open, close) in [
        (NESTING_MAX + 1, "{\"a\":", "}"),
        (NESTING_MAX + 1, "[", "]"),
        (10_000, "{\"a\":", "}"),
        (1_000_000, "[", "]"),
    ] {
        let bomb = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        for (place, fields) in places {
            let body = format!("{{\"model\":\"m\",{}}}", fields.replace('@', &bomb));
            let fault = parse(body.as_bytes()).unwrap_err();
            assert_eq!(
                fault.message,
                format!("{place} nests deeper than 200 levels")
            );
            assert_eq!(http_status(&fault), 400);
        }
        // Where only one kind of value can stand, the kind is what is wrong with it; and half a bomb is no JSON.
        for body in [
            bomb.clone(),
            format!("{{\"model\":\"m\",\"messages\":{bomb}}}"),
            format!("{{\"model\":\"m\",\"messages\":{}", open.repeat(depth)),
        ] {
            let fault = parse(body.as_bytes()).unwrap_err();
            assert_eq!(http_status(&fault), 400);
        }
    }
}

#[test]
fn too_many_unknown_fields_are_refused() {
    let body = |count: usize| {
        let fields: String = (0..count).map(|index| format!(",\"u{index}\":1")).collect();
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{fields}}}"#)
    };
    assert_eq!(parse(body(64).as_bytes()).unwrap().request.extra.len(), 64);
    let fault = parse(body(65).as_bytes()).unwrap_err();
    assert_eq!(
        fault.message,
        "the request body has more than 64 fields that are not known"
    );
}

#[test]
fn messages_stay_short_whatever_the_client_wrote() {
    let long = "x".repeat(100_000);
    for body in [
        format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"{long}\",\"content\":\"x\"}}]}}"),
        format!("{{\"model\":\"m\",\"messages\":[\"{long}\"]}}"),
        format!("{{\"model\":\"m\",\"messages\":[],\"tool_choice\":\"{long}\"}}"),
        format!("{{\"model\":\"m\",\"messages\":[],\"modalities\":[\"{long}\"]}}"),
        format!("{{\"model\":\"m\",\"{long}\":1,\"{long}\":2}}"),
    ] {
        let fault = parse(body.as_bytes()).unwrap_err();
        assert!(fault.message.len() < 400, "{}", fault.message.len());
    }
}
