//! Settings and parts that only some providers take: where they go when they may, and what is said when they may not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{
    Call, CallInput, Dialect, File, FileContent, Grammar, Item, Json, ModelFacts, OutputFormat,
    Part, ReasoningRequest, Request, Role, Sampling, Text, Tool, ToolChoice, ToolResult,
};
use polywire_dialect_chat::{Profile, render};
use serde_json::{Value, json};
use support::request::{
    call, check, function, items, outline, profile, result, said, text, thought, user,
};

/// A request that sets everything that can be set.
fn everything() -> Request<'static> {
    Request {
        output_tokens_max: Some(5_000),
        stop: ["END", "\n\n", "a", "b", "c"].map(Text::plain).to_vec(),
        sampling: Sampling {
            temperature: Some(Json::new("0.70")),
            top_p: Some(Json::new("1")),
            top_k: Some(40),
            frequency_penalty: Some(Json::new("0.5")),
            presence_penalty: Some(Json::new("-0.5")),
            seed: Some(Json::new("42")),
            logprobs: true,
            top_logprobs: None,
        },
        reasoning: ReasoningRequest {
            budget_tokens: Some(8_000),
            ..ReasoningRequest::default()
        },
        verbosity: Some("low".into()),
        cache_key: Some(Text::plain("thread-1")),
        service_tier: Some("priority".into()),
        user: Some(Text::plain("ann")),
        metadata: Some(Json::new(r#"{"a":"b"}"#)),
        extra: [
            ("store", "true"),
            ("logit_bias", r#"{"50256":-100}"#),
            ("model", r#""other""#),
            ("reasoning_split", "false"),
            ("seed", "1"),
            ("store", "false"),
        ]
        .map(|(key, value)| (key.into(), Json::new(value)))
        .to_vec(),
        ..items(vec![user("Hi.")])
    }
}

#[test]
fn settings() {
    check!("settings_of_nobody", everything());
    check!(
        "settings_of_everybody",
        everything(),
        json!({"top_k": true, "penalties": true, "seed": true, "logprobs": true, "user": true, "metadata": true, "verbosity": true,
            "service_tier": true, "cache_key_field": "prompt_cache_key", "stop_max": 8, "extra_body": {"reasoning_split": true}})
    );
    let chat = Request {
        dialect: Dialect::Chat,
        ..everything()
    };
    check!(
        "settings_of_a_chat_client",
        chat,
        json!({"stop_max": 0, "extra_body": {"reasoning_split": true, "top_k": 1}})
    );
}

/// What every provider of the protocol takes. A validator that is strict about the rest refuses the request.
#[test]
fn nothing_is_asked_of_a_provider_that_nobody_knows() {
    let request = Request {
        tools: vec![
            function("get", "Gets."),
            Tool::Freeform {
                name: "edit".into(),
                description: None,
                grammar: None,
            },
        ],
        tool_choice: ToolChoice::Named {
            name: "edit".into(),
            namespace: None,
        },
        parallel_tool_calls: Some(true),
        format: OutputFormat::JsonObject,
        items: vec![
            user("Hi."),
            said(Role::User, attachments()),
            thought("Hm."),
            call("c1", "get", "{}"),
            result("c1", attachments()),
        ],
        ..everything()
    };
    let rendered = render(&request, &ModelFacts::named("m"), &Profile::default()).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    let known = [
        "model",
        "messages",
        "tools",
        "tool_choice",
        "stream",
        "stream_options",
        "parallel_tool_calls",
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "response_format",
    ];
    for key in body.as_object().unwrap().keys() {
        assert!(known.contains(&key.as_str()), "{key}");
    }
    let members = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    for message in body["messages"].as_array().unwrap() {
        for key in members(message) {
            assert!(
                ["role", "content", "tool_calls", "tool_call_id"].contains(&key.as_str()),
                "{message}"
            );
        }
        for part in message["content"].as_array().into_iter().flatten() {
            assert!(
                ["text", "image_url"].contains(&part["type"].as_str().unwrap()),
                "{part}"
            );
        }
    }
    for tool in body["tools"].as_array().unwrap() {
        assert_eq!(tool["type"], "function");
    }
    assert_eq!(body["tool_choice"]["type"], "function");
    assert_eq!(body["stop"].as_array().unwrap().len(), 4);
}

#[test]
fn budgets() {
    let mut table = String::new();
    for changes in [
        json!({}),
        json!({"reasoning_request": "reasoning_effort"}),
        json!({"reasoning_request": "reasoning_object"}),
        json!({"reasoning_request": "thinking_toggle"}),
        json!({"reasoning_request": "thinking_adaptive", "efforts": ["low", "medium", "high"]}),
        json!({"reasoning_request": "enable_thinking"}),
        json!({"reasoning_request": "enable_thinking", "efforts": ["low", "medium", "xhigh"]}),
        json!({"reasoning_request": "thinking_budget"}),
    ] {
        for (effort, budget_tokens) in [
            (None, Some(0)),
            (None, Some(3_000)),
            (None, Some(100_000)),
            (Some("medium"), Some(1)),
            (Some("none"), None),
            (Some("high"), None),
            (Some("max"), None),
            (Some("minimal"), None),
        ] {
            let request = Request {
                reasoning: ReasoningRequest {
                    effort: effort.map(Into::into),
                    budget_tokens,
                    summary: None,
                },
                output_tokens_max: match effort {
                    Some("high") => Some(6_000),
                    Some("minimal") => Some(2_000),
                    _ => None,
                },
                ..items(vec![user("Hi.")])
            };
            let all = outline(&request, &profile(changes.clone()), true);
            let fixed = ["model:", "messages:", "stream", "max_tokens"];
            let kept = all
                .lines()
                .filter(|line| !fixed.iter().any(|start| line.starts_with(start)));
            let kept = kept.collect::<Vec<_>>().join("\n  ");
            table += &format!("{changes} {effort:?} {budget_tokens:?}\n  {kept}\n");
        }
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("budgets", table);
    });
}

fn file<'a>(name: Option<&'a str>, media_type: &'a str, content: FileContent<'a>) -> Part<'a> {
    Part::File(File {
        name: name.map(Text::plain),
        media_type: Some(media_type.into()),
        content,
    })
}

fn attachments() -> Vec<Part<'static>> {
    vec![
        text("See"),
        file(
            Some("a \"b\".pdf"),
            "application/pdf",
            FileContent::Base64(Text::plain("JVBERi0=")),
        ),
        file(
            None,
            "application/pdf",
            FileContent::Base64(Text::plain("data:application/pdf;base64,JVBERi0=")),
        ),
        file(
            Some("notes.txt"),
            "text/plain; charset=utf-8",
            FileContent::Base64(Text::plain("w6kK")),
        ),
        file(None, "text/plain", FileContent::Base64(Text::plain("//79"))),
        file(
            Some("list.csv"),
            "text/csv",
            FileContent::Text(Text::plain("a,b\n")),
        ),
        file(
            None,
            "application/pdf",
            FileContent::Stored(Text::plain("file_1")),
        ),
        file(
            None,
            "application/pdf",
            FileContent::Url(Text::plain("https://example.org/a.pdf")),
        ),
        Part::Audio(Json::new(
            r#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#,
        )),
    ]
}

#[test]
fn files_and_sound() {
    let request = items(vec![
        said(Role::User, attachments()),
        call("c1", "get", "{}"),
        result("c1", attachments()),
    ]);
    check!(
        "files_and_sound",
        request,
        json!({"files": true, "audio": true})
    );
    check!("files_and_sound_where_none_are_taken", request);
}

#[test]
fn freeform_tools_as_they_are() {
    let freeform = |name: &'static str, grammar: Option<Grammar<'static>>| Tool::Freeform {
        name: name.into(),
        description: grammar.as_ref().map(|_| Text::plain("Edits files.")),
        grammar,
    };
    let request = Request {
        items: vec![
            user("Go."),
            Item::Call(Call {
                id: "c1".into(),
                name: "apply_patch".into(),
                namespace: None,
                input: CallInput::Freeform(Text::plain("*** Begin\n\"q\"")),
            }),
            call("c2", "get", "{}"),
            Item::Result(ToolResult {
                call_id: "c1".into(),
                parts: vec![text("Done.")],
                tools_loaded: Vec::new(),
                is_error: false,
            }),
        ],
        tools: vec![
            freeform(
                "apply_patch",
                Some(Grammar {
                    syntax: "lark".into(),
                    definition: Text::plain("start: \"a\"\n"),
                }),
            ),
            freeform("say", None),
            function("get", "Gets."),
        ],
        tool_choice: ToolChoice::Named {
            name: "say".into(),
            namespace: None,
        },
        ..Request::default()
    };
    check!(
        "freeform_tools_as_they_are",
        request,
        json!({"freeform_tools": true})
    );
}

#[test]
fn words_of_a_profile() {
    let all = profile(json!({
        "leaks": ["think_tags", "thought_tags", "kimi_think", "orphan_close", "harmony", "tool_call_json", "tool_call_xml",
            "tool_call_section", "invoke"],
        "schema": "moonshot",
        "call_signature": "placeholder",
    }));
    assert_eq!(all.leaks.len(), 9);
    assert_eq!(all.schema, Some(polywire_schema::Target::Moonshot));
    let unknown: Result<Profile, _> = serde_json::from_value(json!({"leaks": ["drips"]}));
    assert!(unknown.unwrap_err().to_string().contains("drips"));
}
