//! Requests in, bodies and losses out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{
    Call, CallInput, FaultClass, File, FileContent, Function, Grammar, Image, Instruction, Item,
    Json, Message, ModelFacts, OutputFormat, Part, Reasoning, ReasoningRequest, Request, Role,
    Sampling, Text, Tool, ToolChoice, ToolResult, VisibleReasoning,
};
use polywire_dialect_command_code::{Context, Profile, headers, render};
use serde_json::Value;

const SESSION: &str = "6f1d3c6e-8a55-4d3b-9f0e-2b7c1a90d4e1";

const CONTEXT: Context<'static> = Context {
    date: "2026-06-01",
    session_id: SESSION,
};

fn text(text: &str) -> Part<'_> {
    Part::Text(Text::plain(text))
}

fn said(role: Role, parts: Vec<Part<'_>>) -> Item<'_> {
    Item::Message(Message {
        role,
        parts,
        phase: None,
    })
}

fn user(words: &str) -> Item<'_> {
    said(Role::User, vec![text(words)])
}

fn assistant(words: &str) -> Item<'_> {
    said(Role::Assistant, vec![text(words)])
}

fn developer(words: &str) -> Item<'_> {
    said(Role::Instructor(Instruction::Developer), vec![text(words)])
}

fn call<'a>(id: &'a str, name: &'a str, input: CallInput<'a>) -> Item<'a> {
    Item::Call(Call {
        id: id.into(),
        name: name.into(),
        namespace: None,
        input,
    })
}

fn arguments(json: &str) -> CallInput<'_> {
    CallInput::Arguments(Text::plain(json))
}

fn result<'a>(call_id: &'a str, parts: Vec<Part<'a>>, is_error: bool) -> Item<'a> {
    Item::Result(ToolResult {
        call_id: call_id.into(),
        parts,
        tools_loaded: Vec::new(),
        is_error,
    })
}

fn thought(words: &str) -> Item<'_> {
    Item::Reasoning(Reasoning {
        visible: VisibleReasoning::Full(vec![Text::plain(words)]),
        ..Reasoning::default()
    })
}

fn image(url: &str) -> Part<'_> {
    Part::Image(Image {
        url: Text::plain(url),
        detail: None,
    })
}

fn function<'a>(name: &'a str, description: &'a str, schema: Option<&'a str>) -> Tool<'a> {
    Tool::Function(Function {
        name: name.into(),
        description: Some(Text::plain(description)),
        parameters: schema.map(Json::new),
        strict: None,
        deferred: false,
    })
}

fn body(request: &Request<'_>, model: &str, profile: &Profile) -> (Value, Vec<String>) {
    let rendered = render(request, &ModelFacts::named(model), profile, &CONTEXT).unwrap();
    let body = serde_json::from_slice(&rendered.body).unwrap();
    let losses = rendered
        .losses
        .iter()
        .map(|loss| format!("{:?} {loss}", loss.severity));
    (body, losses.collect())
}

fn snapshot(name: &str, request: &Request<'_>, profile: &Profile) {
    let (body, losses) = body(request, "house/small", profile);
    let params = body["params"].as_object().unwrap();
    let mut page = String::new();
    for (key, value) in params {
        match value {
            Value::Array(elements) => {
                page.push_str(&format!("{key}\n"));
                for element in elements {
                    page.push_str(&format!("  {element}\n"));
                }
            }
            other => page.push_str(&format!("{key} {other}\n")),
        }
    }
    for loss in losses {
        page.push_str(&format!("loss {loss}\n"));
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, page);
    });
}

fn profile(toml_like: &Value) -> Profile {
    serde_json::from_value(toml_like.clone()).unwrap()
}

#[test]
fn an_ordinary_turn() {
    let request = Request {
        instructions: Some(Text::plain("You help.")),
        items: vec![
            developer("Be brief."),
            user("How many files?"),
            thought("Count them."),
            assistant("I count."),
            call("call_1", "shell", arguments(r#"{"command":"ls | wc -l"}"#)),
            call("call_2", "shell", arguments("")),
            result("call_2", vec![], true),
            result("call_1", vec![text("12"), text("done")], false),
            developer("Now in German."),
            user("And?"),
        ],
        tools: vec![
            function(
                "shell",
                "Runs a command.",
                Some(r#"{"type":"object","properties":{"command":{"type":"string"}}}"#),
            ),
            Tool::Namespace {
                name: "mcp__demo".into(),
                description: Some(Text::plain("For demonstrations.")),
                tools: vec![function("add", "Adds.", None)],
            },
        ],
        tool_choice: ToolChoice::Auto,
        output_tokens_max: Some(500),
        sampling: Sampling {
            temperature: Some(Json::new("0.5")),
            ..Sampling::default()
        },
        ..Request::default()
    };
    snapshot("an_ordinary_turn", &request, &Profile::default());
}

#[test]
fn kinds_of_tools_and_calls() {
    let request = Request {
        items: vec![
            user("Go."),
            call(
                "an odd id",
                "edit",
                CallInput::Freeform(Text::plain("a\n\"b\"")),
            ),
            call(
                "call_2",
                "tool_search",
                CallInput::Search(Json::new(r#"{"query":"x"}"#)),
            ),
            call("call_3", "shell", arguments("{half")),
            call("call_4", "gone", arguments("null")),
            result("an odd id", vec![text("ok")], false),
            Item::Result(ToolResult {
                call_id: "call_2".into(),
                parts: Vec::new(),
                tools_loaded: vec![function("found", "Was found.", None)],
                is_error: false,
            }),
            result("call_3", vec![text("no")], true),
        ],
        tools: vec![
            Tool::Freeform {
                name: "edit".into(),
                description: Some(Text::plain("Edits.")),
                grammar: Some(Grammar {
                    syntax: "lark".into(),
                    definition: Text::plain("start: /.+/"),
                }),
            },
            Tool::Search {
                description: None,
                parameters: None,
            },
            Tool::Function(Function {
                name: "strict".into(),
                description: None,
                parameters: Some(Json::new(
                    r##"{"$schema":"x","type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":"string","encrypted":true}}}"##,
                )),
                strict: Some(true),
                deferred: false,
            }),
            function("refused", "Was refused.", None),
            Tool::Hosted {
                tag: "web_search".into(),
                raw: Json::new("{}"),
            },
        ],
        tools_refused: vec!["refused".to_owned()],
        ..Request::default()
    };
    snapshot("kinds_of_tools_and_calls", &request, &Profile::default());
}

#[test]
fn images_and_other_parts() {
    let request = Request {
        items: vec![
            said(
                Role::User,
                vec![
                    text("Look:"),
                    image("data:image/png;base64,AAAA"),
                    image("https://example.com/a.png"),
                    Part::File(File {
                        name: None,
                        media_type: None,
                        content: FileContent::Text(Text::plain("words in a file")),
                    }),
                    Part::File(File {
                        name: None,
                        media_type: None,
                        content: FileContent::Stored(Text::plain("file_1")),
                    }),
                    Part::Unknown {
                        tag: "hologram".into(),
                        raw: Json::new("{}"),
                    },
                ],
            ),
            call("call_1", "view", arguments("{}")),
            call("call_2", "view", arguments("{}")),
            result("call_1", vec![image("data:image/jpeg;base64,BBBB")], false),
            result("call_2", vec![text("nothing")], false),
        ],
        ..Request::default()
    };
    snapshot("images", &request, &Profile::default());
    let none = profile(&serde_json::json!({"images": false}));
    snapshot("images_where_none_are_taken", &request, &none);
}

#[test]
fn choices() {
    let tools = || vec![function("a", "A.", None), function("b", "B.", None)];
    let named = |name| ToolChoice::Named {
        name,
        namespace: None,
    };
    let cases = [
        (ToolChoice::Unset, "null", 2),
        (ToolChoice::Auto, r#"{"type":"auto"}"#, 2),
        (ToolChoice::None, "null", 0),
        (ToolChoice::Required, r#"{"type":"any"}"#, 2),
        (named("a".into()), r#"{"type":"tool","name":"a"}"#, 2),
        (named("c".into()), r#"{"type":"auto"}"#, 2),
        (
            ToolChoice::Allowed {
                required: true,
                names: vec!["b".into()],
            },
            r#"{"type":"any"}"#,
            1,
        ),
    ];
    for (tool_choice, expected, count) in cases {
        let request = Request {
            items: vec![user("Go.")],
            tools: tools(),
            tool_choice,
            ..Request::default()
        };
        let (body, _) = body(&request, "m", &Profile::default());
        assert_eq!(
            body["params"]["tool_choice"].to_string(),
            expected,
            "{:?}",
            request.tool_choice
        );
        assert_eq!(body["params"]["tools"].as_array().unwrap().len(), count);
    }
    let request = Request {
        tool_choice: ToolChoice::Hosted("web_search".into()),
        ..Request::default()
    };
    let fault = render(
        &request,
        &ModelFacts::named("m"),
        &Profile::default(),
        &CONTEXT,
    )
    .unwrap_err();
    assert_eq!(
        (fault.class, fault.param.as_deref()),
        (FaultClass::InvalidRequest, Some("tool_choice"))
    );
}

#[test]
fn efforts_and_limits() {
    let efforts =
        profile(&serde_json::json!({"efforts": ["high", "max"], "max_tokens_default": 900}));
    let cases = [
        (Some("high"), &efforts, "\"high\"", 0),
        (Some("low"), &efforts, "\"high\"", 1),
        (Some("ultra"), &efforts, "\"max\"", 1),
        (Some("strange"), &efforts, "null", 1),
        (None, &efforts, "null", 0),
        (Some("low"), &Profile::default(), "null", 1),
    ];
    for (effort, profile, expected, losses) in cases {
        let request = Request {
            items: vec![user("Go.")],
            reasoning: ReasoningRequest {
                effort: effort.map(Into::into),
                ..ReasoningRequest::default()
            },
            ..Request::default()
        };
        let (body, told) = body(&request, "m", profile);
        assert_eq!(
            body["params"]["reasoning_effort"].to_string(),
            expected,
            "{effort:?}"
        );
        assert_eq!(told.len(), losses, "{told:?}");
        assert_eq!(body["params"]["max_tokens"], profile.max_tokens_default);
    }
    let limits = [
        (None, Some(50), 50, 0),
        (Some(70), Some(50), 50, 1),
        (Some(70), None, 70, 0),
    ];
    for (wanted, most, expected, losses) in limits {
        let request = Request {
            items: vec![user("Go.")],
            output_tokens_max: wanted,
            ..Request::default()
        };
        let facts = ModelFacts {
            output_tokens_max: most,
            ..ModelFacts::named("m")
        };
        let rendered = render(&request, &facts, &Profile::default(), &CONTEXT).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!(body["params"]["max_tokens"], expected);
        assert_eq!(rendered.losses.len(), losses);
    }
}

#[test]
fn what_the_provider_has_no_setting_for_is_told() {
    let request = Request {
        items: vec![user("Go.")],
        format: OutputFormat::JsonSchema {
            name: "answer".into(),
            description: None,
            schema: Json::new(r#"{"type":"object"}"#),
            strict: Some(true),
        },
        stop: vec![Text::plain("END")],
        parallel_tool_calls: Some(false),
        verbosity: Some("low".into()),
        cache_key: Some(Text::plain("key")),
        service_tier: Some("flex".into()),
        metadata: Some(Json::new("{}")),
        extra: vec![("odd".into(), Json::new("1"))],
        sampling: Sampling {
            top_p: Some(Json::new("0.9")),
            seed: Some(Json::new("7")),
            ..Sampling::default()
        },
        ..Request::default()
    };
    snapshot("left_out", &request, &Profile::default());
}

/// Nothing of the machine, and never an empty system text: that one makes the service put in a prompt of its own.
#[test]
fn the_machine_is_neutral() {
    let request = Request {
        items: vec![user("Reply with the word ready.")],
        user: Some(Text::plain("somebody")),
        ..Request::default()
    };
    let (body, losses) = body(&request, "zai-org/GLM-5.1", &Profile::default());
    assert_eq!(
        losses,
        ["Note user: left out: the provider has no such setting"]
    );
    assert_eq!(body["params"]["system"], " ");
    assert!(!body.to_string().contains("somebody"));
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("neutral", serde_json::to_string_pretty(&body).unwrap());
    });
    let odd = Context {
        session_id: "my session",
        ..CONTEXT
    };
    let rendered = render(&request, &ModelFacts::named("m"), &Profile::default(), &odd).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert!(body.get("threadId").is_none());

    let trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    let headers = headers(&Profile::default(), SESSION, trace);
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("headers", lines.join("\n"));
    });
}

#[test]
fn profiles_have_defaults_and_no_typing_mistakes() {
    assert_eq!(profile(&serde_json::json!({})), Profile::default());
    assert_eq!(Profile::default().max_tokens_default, 64_000);
    let gemini = profile(&serde_json::json!({"schema": "gemini", "client_version": "1.70.0"}));
    assert_eq!(gemini.client_version, "1.70.0");
    let mistaken = serde_json::from_value::<Profile>(serde_json::json!({"image": true}));
    assert!(mistaken.is_err());
}

/// The shared requests: the same conversation gives the same messages and tools.
#[test]
fn shared_fixtures() {
    let Some(folder) = support::shared("requests") else {
        return;
    };
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let minimal = Request {
        items: vec![user("Reply with the word ready.")],
        ..Request::default()
    };
    let expected = read("minimal.json");
    let (found, _) = body(&minimal, "zai-org/GLM-5.1", &Profile::default());
    assert_eq!(found["params"], expected["params"]);
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&found), keys(&expected));
    assert_eq!(keys(&found["config"]), keys(&expected["config"]));

    let turns = Request {
        items: vec![
            user("Which crates does this workspace hold, and what does the README say first?"),
            thought("Two independent look-ups."),
            assistant("I will look at both."),
            call("call_ls1", "shell", arguments(r#"{"command":"ls crates"}"#)),
            call(
                "call_rd1",
                "read_file",
                arguments(r#"{"path":"README.md"}"#),
            ),
            result("call_ls1", vec![text("gateway\nstore\n")], false),
            result("call_rd1", vec![text("No such file: README.md")], true),
            user("Never mind the README."),
        ],
        tools: vec![
            function(
                "shell",
                "Run a command and return its output",
                Some(
                    r#"{"type":"object","properties":{"command":{"type":"string"}},"required":["command"],"additionalProperties":false}"#,
                ),
            ),
            function(
                "read_file",
                "Read a text file",
                Some(
                    r#"{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}"#,
                ),
            ),
        ],
        ..Request::default()
    };
    let expected = read("tools-multiturn.json");
    let (found, _) = body(&turns, "deepseek/deepseek-v4-flash", &Profile::default());
    assert_eq!(found["params"]["messages"], expected["params"]["messages"]);
    assert_eq!(found["params"]["tools"], expected["params"]["tools"]);

    let expected = read("image-from-tool.json");
    let url = expected["params"]["messages"][3]["content"][0]["image"]
        .as_str()
        .unwrap();
    let shown = Request {
        items: vec![
            user("Show me the picture and name its colour."),
            call("call_img", "view_image", arguments(r#"{"path":"dot.png"}"#)),
            result("call_img", vec![image(url)], false),
        ],
        ..Request::default()
    };
    let (found, _) = body(&shown, "claude-sonnet-4-6", &Profile::default());
    let found = &found["params"]["messages"];
    let expected = &expected["params"]["messages"];
    assert_eq!(found[1], expected[1]);
    assert_eq!(
        found[2]["content"][0]["toolName"],
        expected[2]["content"][0]["toolName"]
    );
    assert_eq!(found[3]["content"][1], expected[3]["content"][0]);
}
