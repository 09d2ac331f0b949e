//! Requests that pass as they are to a provider that takes few fields and insists on others.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

use std::collections::HashSet;

use polywire_dialect_responses::{NativeEdits, Profile, edit};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A provider that takes few fields and insists on much.
fn strict() -> Profile {
    serde_json::from_value(json!({
        "fields": ["model", "input", "instructions", "tools", "store", "stream", "include", "reasoning", "parallel_tool_calls", "service_tier"],
        "instructions_default": "Help.", "stream_only": true, "input_list": true, "include_only": ["a"], "item_ids": "checked",
        "part_drop": ["mark"], "parallel_with_tools_only": true, "service_tier": true, "service_tiers": ["priority"],
    }))
    .unwrap()
}

fn edited(body: &str) -> (String, Vec<String>) {
    let native = edit(
        body,
        &NativeEdits {
            model: "large",
            profile: &strict(),
            open: &|_| None,
        },
    )
    .unwrap();
    let losses = native.losses.iter().map(ToString::to_string).collect();
    (native.body, losses)
}

#[test]
fn what_the_provider_insists_on_is_there() {
    let check = |body: &str, expected: &str, losses: &[&str]| {
        let (edited, lost) = edited(body);
        assert_eq!(edited, expected, "{body}");
        assert_eq!(lost, losses, "{body}");
    };
    let general = "instructions: a general sentence was added: the provider insists on instructions, and the request has none";
    check(
        r#"{"model":"m", "input": "Hi \"you\""}"#,
        r#"{"model":"large", "input": [{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi \"you\""}]}],"stream":true,"include":["a"],"instructions":"Help.","store":false}"#,
        &[general],
    );
    check(
        r#"{"stream":false,"instructions":" ","include":["a","b"],"input":[],"model":"m","store":true,"parallel_tool_calls":true,"service_tier":"fast"}"#,
        r#"{"stream":true,"instructions":"Help.","include":["a"],"input":[],"model":"large","store":false,"service_tier":"priority"}"#,
        &[
            general,
            "include: `b` was left out: the provider does not take it",
        ],
    );
    // What is there stays as it was written.
    check(
        r#"{ "instructions" : "Be.", "stream":true, "include":["a"], "input":[{"role":"user","content":[{"type":"input_text","text":"x"}],"id":"msg_1"}], "model":"m", "store":false, "tools":[{}], "parallel_tool_calls":false }"#,
        r#"{ "instructions" : "Be.", "stream":true, "include":["a"], "input":[{"role":"user","content":[{"type":"input_text","text":"x"}],"id":"msg_1"}], "model":"large", "store":false, "tools":[{}], "parallel_tool_calls":false }"#,
        &[],
    );
    // Ids of other makers, and a member of a part.
    check(
        r#"{"instructions":"Be.","stream":true,"include":["a"],"model":"m","store":false,"input":[{"id":"x1","role":"user","content":[{"mark":1,"text":"x","type":"input_text"}]},{"type":"function_call_output","id":"fc_1","output":"id"}]}"#,
        r#"{"instructions":"Be.","stream":true,"include":["a"],"model":"large","store":false,"input":[{"role":"user","content":[{"text":"x","type":"input_text"}]},{"type":"function_call_output","output":"id"}]}"#,
        &["input: `mark` in parts was left out: the provider does not take it"],
    );
    // Each field by what it means to lose it.
    check(
        r#"{"instructions":"Be.","stream":true,"include":["a"],"model":"m","store":false,"input":[],"max_output_tokens":9,"temperature":1,"truncation":"disabled","background":false,"user":null,"stream_options":{}}"#,
        r#"{"instructions":"Be.","stream":true,"include":["a"],"model":"large","store":false,"input":[]}"#,
        &[
            "max_output_tokens: left out: the provider takes no limit, so that the answer may be longer",
            "temperature: left out: the provider does not take it",
        ],
    );
}

/// JSON of every kind.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[1-9][0-9]{0,3}",
        "\"[a-z é😀,:{}\\[\\]]{0,8}\"",
        Just("\"fast\"".to_owned()),
        Just("{\"a\": [1, {}]}".to_owned()),
        Just("[\"a\", null]".to_owned()),
    ]
}

proptest! {
    /// Whatever the client sends, what goes out has the fields that are taken and no others.
    #[test]
    fn nothing_else_goes_out(
        fields in prop::collection::vec(("[a-z_]{1,8}", any_value()), 0..6),
        known in prop::collection::vec((prop::sample::select(vec!["stream", "include", "instructions", "store", "service_tier"]), any_value()), 0..3),
    ) {
        let mut seen = HashSet::new();
        let members: Vec<String> = fields
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .chain(known.iter().map(|(key, value)| (*key, value)))
            .filter(|(key, _)| seen.insert(key.to_string()))
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        let (edited, _) = edited(&format!("{{{}}}", members.join(",")));
        let sent: Value = serde_json::from_str(&edited).unwrap();
        for key in sent.as_object().unwrap().keys() {
            prop_assert!(strict().fields.contains(key), "{key}: {edited}");
        }
        prop_assert_eq!(&sent["stream"], &json!(true));
        prop_assert_eq!(&sent["store"], &json!(false));
        prop_assert_eq!(&sent["include"], &json!(["a"]));
        prop_assert!(sent.get("service_tier").is_none_or(|tier| tier == "priority"));
    }
}
