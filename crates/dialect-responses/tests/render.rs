//! Requests in, bodies for a provider of this protocol and losses out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{
    Call, CallInput, Dialect, FaultClass, File, FileContent, Form, Function, Image, Instruction,
    Item, Json, Message, ModelFacts, Opaque, OpaqueKind, OutputFormat, Part, Reasoning,
    ReasoningRequest, Rendered, Request, Role, Sampling, Text, Tool, ToolChoice, ToolResult,
    VisibleReasoning,
};
use polywire_dialect_responses::{Client, Profile, parse, render};
use serde_json::{Value, json};
use support::schemas::Schemas;
use support::{fixture, shared};

/// Everything that OpenAI itself knows.
fn full() -> Profile {
    profile(json!({
        "freeform_tools": true,
        "namespaces": true,
        "tool_search": true,
        "hosted_tools": ["web_search"],
        "efforts": ["none", "low", "medium", "high", "xhigh"],
        "verbosity": true,
        "service_tier": true,
        "cache_key_field": "prompt_cache_key",
        "logprobs": true,
        "strict_tools": true,
        "tool_choice": ["auto", "none", "required", "named", "allowed"],
        "files": true,
        "user": true,
        "metadata": true,
        "system_role": "developer",
        "extra_body": {"truncation": "disabled", "model": "never"},
    }))
}

/// A provider that knows next to nothing.
fn picky() -> Profile {
    profile(json!({
        "reasoning": false,
        "reasoning_summary": false,
        "encrypted_reasoning": false,
        "sampling": false,
        "parallel_tool_calls": false,
        "tool_choice": ["auto"],
        "structured_output": "prompt",
        "images": false,
        "instructions_field": false,
        "name_length_max": 20,
        "schema": "moonshot",
    }))
}

fn profile(value: Value) -> Profile {
    serde_json::from_value(value).unwrap()
}

const MODEL: ModelFacts<'static> = ModelFacts {
    name: "upstream/large",
    images: true,
    output_tokens_max: Some(8_000),
};

/// The body, member by member, and what was lost.
fn shown(request: &Request<'_>, profile: &Profile) -> String {
    match render(request, &MODEL, profile) {
        Ok(rendered) => show(&rendered, *profile == Profile::default()),
        Err(fault) => format!("refused: {:?} {fault}", fault.param),
    }
}

fn show(rendered: &Rendered, is_public: bool) -> String {
    let body: Value = serde_json::from_slice(&rendered.body).unwrap_or_else(|_| {
        // Half characters pass as they were written; the reader here takes none.
        let body = String::from_utf8(rendered.body.clone()).unwrap();
        serde_json::from_str(&body.replace("\\ud", "\\\\ud")).unwrap()
    });
    assert_eq!(body["stream"], true);
    assert_eq!(body["store"], false);
    if is_public && let Some(schemas) = Schemas::load() {
        schemas.check_request(&body);
    }
    let mut lines = Vec::new();
    for (key, value) in body.as_object().unwrap() {
        match value {
            Value::Array(elements) if key == "input" || key == "tools" => {
                lines.extend(elements.iter().map(|element| format!("{key} {element}")));
            }
            value => lines.push(format!("{key} {value}")),
        }
    }
    for entry in rendered.ledger.entries() {
        let is_plain = entry.wire_name == entry.name && entry.form == Form::Function;
        if !is_plain {
            lines.push(format!("ledger {entry:?}"));
        }
    }
    for loss in &rendered.losses {
        lines.push(format!("loss {:?} {loss}", loss.severity));
    }
    lines.join("\n")
}

fn check_fixture(name: &str) {
    let body = fixture(name);
    let parsed = parse(&body, Client::Codex).unwrap();
    let shown: Vec<String> = [
        ("public", Profile::default()),
        ("full", full()),
        ("picky", picky()),
    ]
    .into_iter()
    .map(|(profile_name, profile)| {
        format!("## {profile_name}\n{}\n", shown(&parsed.request, &profile))
    })
    .collect();
    insta::assert_snapshot!(name, shown.join("\n"));
}

#[test]
fn own_requests() {
    for name in [
        "additional_tools.json",
        "calls.json",
        "codex.json",
        "conversation.json",
        "freeform.json",
        "names.json",
        "orphans.json",
        "parallel_calls.json",
        "plain.json",
        "tool_search.json",
    ] {
        check_fixture(name);
    }
}

/// What Codex really sends becomes what the public description takes, and for OpenAI itself stays what it was.
#[test]
fn recorded_codex_requests() {
    let (Some(folder), Some(schemas)) = (shared("fixtures/codex-requests"), Schemas::load()) else {
        return;
    };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let body = std::fs::read(&path).unwrap();
        if name == "headers.json" || body[0] == b'[' {
            continue;
        }
        let request = parse(&body, Client::Codex).unwrap().request;
        let public = render(&request, &MODEL, &Profile::default()).unwrap();
        schemas.check_request(&serde_json::from_slice(&public.body).unwrap());
        let openai: Value = {
            let rendered = render(&request, &MODEL, &full()).unwrap();
            serde_json::from_slice(&rendered.body).unwrap()
        };
        let original: Value = serde_json::from_slice(&body).unwrap();
        if request.tools.is_empty() {
            continue;
        }
        let names = |body: &Value| -> Vec<Value> {
            let tools = body["tools"].as_array().unwrap();
            tools
                .iter()
                .map(|tool| {
                    json!([
                        tool["type"],
                        tool["name"],
                        tool["format"],
                        tool["tools"].as_array().map(Vec::len)
                    ])
                })
                .collect()
        };
        assert_eq!(names(&openai), names(&original), "{name}");
        let calls = |body: &Value| -> Vec<Value> {
            let items = body["input"].as_array().unwrap().iter();
            let calls = items.filter(|item| {
                let tag = item["type"].as_str().unwrap();
                tag.ends_with("_call") && tag != "web_search_call"
            });
            calls
                .map(|call| {
                    json!([
                        call["type"],
                        call["call_id"],
                        call["name"],
                        call["namespace"],
                        call["input"],
                        call["arguments"]
                    ])
                })
                .collect()
        };
        assert_eq!(calls(&openai), calls(&original), "{name}");
    }
}

fn said(role: Role, parts: Vec<Part<'_>>) -> Item<'_> {
    Item::Message(Message {
        role,
        parts,
        phase: None,
    })
}

fn text(text: &str) -> Part<'_> {
    Part::Text(Text::plain(text))
}

fn user(words: &str) -> Item<'_> {
    said(Role::User, vec![text(words)])
}

fn tool(name: &'static str, strict: Option<bool>) -> Tool<'static> {
    Tool::Function(Function {
        name: name.into(),
        description: Some(Text::plain("Does \"it\"")),
        parameters: None,
        strict,
        deferred: false,
    })
}

/// A request with every setting that any client has.
fn everything() -> Request<'static> {
    Request {
        dialect: Dialect::Chat,
        model: "m".into(),
        instructions: Some(Text::plain("Be brief.")),
        items: vec![
            said(
                Role::Instructor(Instruction::Developer),
                vec![text("And kind.")],
            ),
            user("Hi"),
            said(
                Role::Instructor(Instruction::System),
                vec![text("Be quick now.")],
            ),
        ],
        tools: vec![tool("look", Some(true)), tool("listen", None)],
        parallel_tool_calls: Some(false),
        output_tokens_max: Some(9_000),
        stop: vec![Text::plain("END")],
        sampling: Sampling {
            temperature: Some(Json::new("0.70")),
            top_p: Some(Json::new("1e-1")),
            top_k: Some(40),
            frequency_penalty: Some(Json::new("1")),
            presence_penalty: Some(Json::new("1")),
            seed: Some(Json::new("7")),
            logprobs: true,
            top_logprobs: Some(2),
        },
        reasoning: ReasoningRequest {
            effort: Some("max".into()),
            budget_tokens: None,
            summary: Some("detailed".into()),
        },
        format: OutputFormat::JsonSchema {
            name: "answer".into(),
            description: Some(Text::plain("An answer")),
            schema: Json::new(r#"{"type":"object"}"#),
            strict: Some(true),
        },
        verbosity: Some("low".into()),
        cache_key: Some(Text::plain("thread-1")),
        service_tier: Some("priority".into()),
        user: Some(Text::plain("somebody")),
        metadata: Some(Json::new(r#"{"a":"b"}"#)),
        extra: vec![("prediction".into(), Json::new("{}"))],
        ..Request::default()
    }
}

#[test]
fn every_setting() {
    let request = everything();
    let own_dialect = Request {
        dialect: Dialect::Responses,
        extra: vec![
            ("max_tool_calls".into(), Json::new("3")),
            ("truncation".into(), Json::new("\"auto\"")),
            ("store".into(), Json::new("true")),
            ("client_metadata".into(), Json::new("{}")),
        ],
        ..everything()
    };
    let dropping = Profile {
        drop: vec!["client_metadata".to_owned()],
        ..full()
    };
    let shown = [
        ("public", shown(&request, &Profile::default())),
        ("full", shown(&request, &full())),
        ("picky", shown(&request, &picky())),
        ("own dialect", shown(&own_dialect, &dropping)),
    ];
    let shown = shown.map(|(name, shown)| format!("## {name}\n{shown}\n"));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn choices() {
    let choices = || {
        [
            ToolChoice::Unset,
            ToolChoice::Auto,
            ToolChoice::None,
            ToolChoice::Required,
            ToolChoice::Named {
                name: "look".into(),
                namespace: None,
            },
            ToolChoice::Named {
                name: "far".into(),
                namespace: Some("there".into()),
            },
            ToolChoice::Named {
                name: "patch".into(),
                namespace: None,
            },
            ToolChoice::Named {
                name: "nothing".into(),
                namespace: None,
            },
            ToolChoice::Allowed {
                required: true,
                names: vec!["look".into(), "there".into(), "web_search".into()],
            },
            ToolChoice::Hosted("web_search".into()),
        ]
    };
    let mut lines = Vec::new();
    for (name, profile) in [
        ("public", Profile::default()),
        ("full", full()),
        ("picky", picky()),
    ] {
        for choice in choices() {
            let request = Request {
                items: vec![user("Hi")],
                tools: vec![
                    tool("look", None),
                    Tool::Freeform {
                        name: "patch".into(),
                        description: None,
                        grammar: None,
                    },
                    Tool::Namespace {
                        name: "there".into(),
                        description: None,
                        tools: vec![tool("far", None)],
                    },
                    Tool::Hosted {
                        tag: "web_search".into(),
                        raw: Json::new(r#"{"type":"web_search"}"#),
                    },
                ],
                tool_choice: choice,
                ..Request::default()
            };
            let line = match render(&request, &MODEL, &profile) {
                Ok(rendered) => {
                    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
                    let tools: Vec<String> = body["tools"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|tool| tool["name"].as_str().unwrap_or("(hosted)").to_owned())
                        .collect();
                    let losses: Vec<String> = rendered
                        .losses
                        .iter()
                        .filter(|loss| loss.what == "tool_choice")
                        .map(ToString::to_string)
                        .collect();
                    format!("{} of {tools:?} {losses:?}", body["tool_choice"])
                }
                Err(fault) => {
                    assert_eq!(fault.class, FaultClass::InvalidRequest);
                    format!("refused: {fault}")
                }
            };
            lines.push(format!("{name} {:?}: {line}", request.tool_choice));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

fn thought(
    visible: &[&'static str],
    sealed: bool,
    state: Vec<(OpaqueKind, &'static str)>,
) -> Item<'static> {
    Item::Reasoning(Reasoning {
        visible: VisibleReasoning::Summary(visible.iter().map(|text| Text::plain(*text)).collect()),
        sealed: sealed.then(|| Text::plain("pw1.sealed")),
        state: state
            .into_iter()
            .map(|(kind, state)| Opaque {
                kind,
                state: Text::plain(state),
            })
            .collect(),
    })
}

#[test]
fn reasoning_goes_back_exactly_or_not_at_all() {
    let item = "{\"type\":\"reasoning\", \"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"gAAA\\u0041\"}";
    let request = Request {
        items: vec![
            user("Hi"),
            thought(&["Hm."], true, vec![(OpaqueKind::Item, item)]),
            thought(
                &["Hm, ", "so."],
                true,
                vec![(OpaqueKind::Encrypted, "gAAAA\"x")],
            ),
            thought(
                &["A signature."],
                true,
                vec![(OpaqueKind::Signature, "sig")],
            ),
            thought(&["Foreign."], true, vec![]),
            thought(&[""], false, vec![]),
            thought(&["Broken."], true, vec![(OpaqueKind::Item, "no item")]),
            said(Role::Assistant, vec![text("So.")]),
        ],
        ..Request::default()
    };
    let rendered = render(&request, &MODEL, &Profile::default()).unwrap();
    assert!(
        String::from_utf8_lossy(&rendered.body).contains(item),
        "to the byte"
    );
    let wants_content = Profile {
        reasoning_content_back: true,
        encrypted_reasoning: false,
        ..Profile::default()
    };
    let shown = [
        ("encrypted", show(&rendered, true)),
        ("neither", shown(&request, &picky())),
        ("content", shown(&request, &wants_content)),
    ];
    let shown = shown.map(|(name, shown)| format!("## {name}\n{shown}\n"));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn parts() {
    let parts = || {
        let file = |content, name: Option<&'static str>| {
            Part::File(File {
                name: name.map(Text::plain),
                media_type: Some("application/pdf".into()),
                content,
            })
        };
        vec![
            text("Look:"),
            Part::Image(Image {
                url: Text::plain("data:image/png;base64,AA=="),
                detail: Some("high".into()),
            }),
            file(FileContent::Base64(Text::plain("AA==")), Some("a.pdf")),
            file(FileContent::Text(Text::plain("one\ntwo")), Some("a.txt")),
            file(
                FileContent::Url(Text::plain("https://example.org/a.pdf")),
                None,
            ),
            file(FileContent::Stored(Text::plain("file_1")), None),
            Part::Audio(Json::new("{}")),
            Part::Refusal(Text::plain("No.")),
            Part::Unknown {
                tag: "smell".into(),
                raw: Json::new("{}"),
            },
        ]
    };
    let call = |id: &'static str, input| {
        Item::Call(Call {
            id: id.into(),
            name: "look".into(),
            namespace: None,
            input,
        })
    };
    let result = |id: &'static str, parts| {
        Item::Result(ToolResult {
            call_id: id.into(),
            parts,
            tools_loaded: Vec::new(),
            is_error: false,
        })
    };
    let request = Request {
        items: vec![
            said(Role::User, parts()),
            said(
                Role::Assistant,
                vec![text("I look."), Part::Refusal(Text::plain("Or not."))],
            ),
            call("a b", CallInput::Arguments(Text::plain("{\"a\":1}"))),
            call("call_2", CallInput::Arguments(Text::plain("null"))),
            call("call_3", CallInput::Arguments(Text::plain("a=\"1\""))),
            result("a b", parts()),
            result("call_2", vec![text("one"), text("two")]),
            result("call_3", Vec::new()),
        ],
        tools: vec![tool("look", None)],
        tools_refused: vec!["look".to_owned()],
        ..Request::default()
    };
    let shown = [
        ("public", shown(&request, &Profile::default())),
        ("full", shown(&request, &full())),
        ("picky", shown(&request, &picky())),
    ];
    let shown = shown.map(|(name, shown)| format!("## {name}\n{shown}\n"));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn budgets_become_efforts() {
    let efforts: Vec<String> = [0, 1_024, 4_096, 10_240, 20_480, 32_768, 1_000_000]
        .into_iter()
        .map(|tokens| {
            let request = Request {
                items: vec![user("Hi")],
                reasoning: ReasoningRequest {
                    budget_tokens: Some(tokens),
                    ..ReasoningRequest::default()
                },
                ..Request::default()
            };
            let rendered = render(&request, &MODEL, &full()).unwrap();
            let body: Value = serde_json::from_slice(&rendered.body).unwrap();
            format!("{tokens} {}", body["reasoning"]["effort"])
        })
        .collect();
    insta::assert_snapshot!(efforts.join("\n"));
}

#[test]
fn profiles_are_read_with_defaults_and_without_mistakes() {
    assert_eq!(profile(json!({})), Profile::default());
    let wrong: Result<Profile, _> = serde_json::from_value(json!({"freeform_tool": true}));
    assert!(wrong.unwrap_err().to_string().contains("freeform_tool"));
}

/// A longer conversation begins with the bytes of the shorter one, as far as the conversation goes.
#[test]
fn conversations_grow_at_their_end() {
    let body = fixture("codex.json");
    let request = parse(&body, Client::Codex).unwrap().request;
    let longer = Request {
        items: request
            .items
            .iter()
            .cloned()
            .chain([user("More.")])
            .collect(),
        ..request.clone()
    };
    for profile in [Profile::default(), full(), picky()] {
        let bytes = |request| render(request, &MODEL, &profile).unwrap().body;
        let (short, long) = (bytes(&request), bytes(&longer));
        let end = short
            .windows(9)
            .position(|part| part == b"],\"tools\"")
            .unwrap();
        assert_eq!(short[..end], long[..end]);
    }
}
