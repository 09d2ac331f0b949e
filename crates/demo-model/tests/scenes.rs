//! Whole answers of the demo, one line per event.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at the first surprise"
)]

use std::fmt::Write as _;

use polywire_conversation::{
    Call, CallInput, Event, Function, Instruction, Item, Json, Message, OutputFormat, Part,
    Request, Role, Text, Tool, ToolChoice, ToolResult,
};
use polywire_demo_model::{Step, answer};

fn message(role: Role, text: &str) -> Item<'static> {
    Item::Message(Message {
        role,
        parts: vec![Part::Text(Text::plain(text.to_owned()))],
        phase: None,
    })
}

fn user(text: &str) -> Item<'static> {
    message(Role::User, text)
}

fn function(name: &'static str, parameters: &'static str) -> Tool<'static> {
    Tool::Function(Function {
        name: name.into(),
        description: None,
        parameters: Some(Json::new(parameters)),
        strict: None,
        deferred: false,
    })
}

fn exec_command() -> Tool<'static> {
    function(
        "exec_command",
        r#"{"type":"object","properties":{"cmd":{"type":"string"},"login":{"type":"boolean"}},"required":["cmd"]}"#,
    )
}

fn apply_patch() -> Tool<'static> {
    Tool::Freeform {
        name: "apply_patch".into(),
        description: None,
        grammar: None,
    }
}

fn result(call_id: &'static str, text: &str) -> Item<'static> {
    Item::Result(ToolResult {
        call_id: call_id.into(),
        parts: vec![Part::Text(Text::plain(text.to_owned()))],
        tools_loaded: Vec::new(),
        is_error: false,
    })
}

fn schema(schema: &'static str) -> OutputFormat<'static> {
    OutputFormat::JsonSchema {
        name: "answer".into(),
        description: None,
        schema: Json::new(schema),
        strict: Some(true),
    }
}

/// The requests, with a name each.
fn requests() -> Vec<(&'static str, Request<'static>)> {
    let asking = |text: &str| Request {
        items: vec![user(text)],
        ..Request::default()
    };
    let with_tools = |tools: Vec<Tool<'static>>| Request {
        tools,
        ..asking("Show me something.")
    };
    let choosing = |choice: ToolChoice<'static>| Request {
        tool_choice: choice,
        ..with_tools(vec![
            function("delete_all", r#"{"type":"object"}"#),
            apply_patch(),
            exec_command(),
        ])
    };
    vec![
        ("nothing at all", Request::default()),
        (
            "a question without tools",
            asking("Who are you? — Größe 10"),
        ),
        (
            "a turn as Codex sends it",
            Request {
                items: vec![
                    message(Role::Instructor(Instruction::Developer), "You are …"),
                    user("List the files."),
                    user("<environment_context>\n</environment_context>"),
                ],
                ..with_tools(vec![
                    apply_patch(),
                    exec_command(),
                    Tool::Namespace {
                        name: "mcp__demo".into(),
                        description: None,
                        tools: vec![function("add", r#"{"type":"object"}"#)],
                    },
                ])
            },
        ),
        (
            "the result of a command",
            Request {
                items: vec![
                    user("Show me something."),
                    Item::Call(Call {
                        id: "c".into(),
                        name: "exec_command".into(),
                        namespace: None,
                        input: CallInput::Arguments(Text::plain("{}")),
                    }),
                    result(
                        "c",
                        "Chunk ID: 1\nWall time: 0.1 seconds\nOutput:\nHello from polywire\n",
                    ),
                ],
                ..with_tools(vec![exec_command()])
            },
        ),
        (
            "a long result",
            Request {
                items: vec![result("c", &"line\n".repeat(50))],
                ..Request::default()
            },
        ),
        (
            "an empty result",
            Request {
                items: vec![result("c", " ")],
                ..Request::default()
            },
        ),
        (
            "a shell that takes words",
            with_tools(vec![function(
                "shell",
                r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"}},"timeout":{"type":"integer","minimum":1}},"required":["command","timeout"]}"#,
            )]),
        ),
        (
            "another tool, in a namespace",
            with_tools(vec![
                function("send_mail", r#"{"type":"object"}"#),
                Tool::Namespace {
                    name: "weather".into(),
                    description: None,
                    tools: vec![function(
                        "get_forecast",
                        r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1}},"required":["city","days"]}"#,
                    )],
                },
            ]),
        ),
        (
            "only tools that change something",
            with_tools(vec![
                function("send_mail", r#"{"type":"object"}"#),
                apply_patch(),
            ]),
        ),
        ("no tools wanted", choosing(ToolChoice::None)),
        ("some tool required", choosing(ToolChoice::Required)),
        (
            "a dangerous tool by name",
            choosing(ToolChoice::Named {
                name: "delete_all".into(),
                namespace: None,
            }),
        ),
        (
            "a freeform tool by name",
            choosing(ToolChoice::Named {
                name: "apply_patch".into(),
                namespace: None,
            }),
        ),
        (
            "a tool by name that is not there",
            choosing(ToolChoice::Named {
                name: "nobody".into(),
                namespace: None,
            }),
        ),
        (
            "allowed tools, none of them harmless",
            choosing(ToolChoice::Allowed {
                required: false,
                names: vec!["delete_all".into()],
            }),
        ),
        (
            "allowed tools, one required",
            choosing(ToolChoice::Allowed {
                required: true,
                names: vec!["delete_all".into()],
            }),
        ),
        (
            "the search for tools",
            Request {
                tool_choice: ToolChoice::Required,
                ..with_tools(vec![Tool::Search {
                    description: None,
                    parameters: Some(Json::new(
                        r#"{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}"#,
                    )),
                }])
            },
        ),
        (
            "the title of a thread",
            Request {
                format: schema(
                    r#"{"type":"object","properties":{"title":{"type":"string","minLength":1,"maxLength":36}},"required":["title"],"additionalProperties":false}"#,
                ),
                ..asking(
                    "Generate a title of at most 36 characters.\n\nUser prompt:\nplease say hi to everybody who is in the room today",
                )
            },
        ),
        (
            "the title of a thread without words",
            Request {
                format: schema(
                    r#"{"type":"object","properties":{"title":{"type":"string","maxLength":3}},"required":["title"]}"#,
                ),
                ..asking("User prompt:\nunpronounceable")
            },
        ),
        (
            "JSON of a schema, tools or not",
            Request {
                format: schema(
                    r#"{"type":"object","properties":{"risk":{"enum":["low","high"]},"notes":{"type":"array","items":{"type":"string"}}},"required":["risk","notes"]}"#,
                ),
                ..with_tools(vec![exec_command()])
            },
        ),
        (
            "any JSON",
            Request {
                format: OutputFormat::JsonObject,
                ..asking("JSON please.")
            },
        ),
        (
            "a summary for Codex",
            asking("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary."),
        ),
        ("without thinking", {
            let mut request = asking("Quick!");
            request.reasoning.effort = Some("none".into());
            request
        }),
    ]
}

/// The answer, one line per event; the deltas of a part joined, with their number in front.
fn shown(steps: &[Step]) -> String {
    let mut text = String::new();
    let mut deltas: Vec<String> = Vec::new();
    for event in steps.iter().filter_map(Step::event) {
        match &event {
            Event::TextDelta(delta) | Event::ReasoningDelta(delta) | Event::CallDelta(delta) => {
                deltas.push(delta.to_plain().into_owned());
            }
            Event::TextEnd | Event::ReasoningEnd | Event::CallEnd => {
                let joined = std::mem::take(&mut deltas);
                writeln!(text, "  {} × {:?}", joined.len(), joined.concat()).unwrap();
            }
            other => writeln!(text, "{other:?}").unwrap(),
        }
    }
    text
}

#[test]
fn answers() {
    let mut text = String::new();
    for (name, request) in requests() {
        writeln!(text, "# {name}\n{}", shown(&answer(&request))).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_answer_keeps_the_order_of_events() {
    for (name, request) in requests() {
        let steps = answer(&request);
        assert_eq!(steps, answer(&request), "{name}: not the same twice");
        let mut open = None;
        let mut finished = false;
        for event in steps.iter().filter_map(Step::event) {
            assert!(!finished, "{name}: {event:?} after the end");
            open = match (&event, open) {
                (Event::TextStart, None) => Some("text"),
                (Event::ReasoningStart, None) => Some("reasoning"),
                (Event::CallStart { .. }, None) => Some("call"),
                (Event::TextDelta(_), Some("text"))
                | (Event::ReasoningDelta(_), Some("reasoning"))
                | (Event::CallDelta(_), Some("call")) => open,
                (Event::TextEnd, Some("text"))
                | (Event::ReasoningEnd, Some("reasoning"))
                | (Event::CallEnd, Some("call"))
                | (Event::Start { .. } | Event::Usage(_), None) => None,
                (Event::Finish(_), None) => {
                    finished = true;
                    None
                }
                (event, open) => panic!("{name}: {event:?} while {open:?} is open"),
            };
        }
        assert!(finished, "{name}: no end");
    }
}

/// Deltas have to add up to what the schema or the tool wants.
#[test]
fn structured_answers_and_arguments_are_json() {
    for (name, request) in requests() {
        let wants_json = request.format != OutputFormat::Text;
        let (mut text, mut arguments) = (String::new(), String::new());
        let mut freeform = false;
        for event in answer(&request).iter().filter_map(Step::event) {
            match &event {
                Event::TextDelta(delta) => text.push_str(&delta.to_plain()),
                Event::CallDelta(delta) => arguments.push_str(&delta.to_plain()),
                Event::CallStart { tool, .. } => freeform = tool.name == "apply_patch",
                _ => {}
            }
        }
        let is_object = |text: &str| {
            serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())
        };
        assert!(!wants_json || is_object(&text), "{name}: {text}");
        assert!(
            arguments.is_empty() || freeform || is_object(&arguments),
            "{name}: {arguments}"
        );
    }
}
