//! Requests in, bodies and losses out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_push_string,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{
    Call, CallInput, FaultClass, File, FileContent, Function, Grammar, Instruction, Item, Json,
    ModelFacts, OutputFormat, Part, ReasoningRequest, Request, Role, Sampling, Text, Tool,
    ToolChoice, ToolResult,
};
use polywire_dialect_chat::{Profile, render};
use serde_json::{Value, json};
use support::request::{
    assistant, call, check, developer, function, image, items, outline, profile, result, said,
    text, thought, user,
};

fn tools(tools: Vec<Tool<'_>>) -> Request<'_> {
    Request {
        items: vec![user("Go.")],
        tools,
        ..Request::default()
    }
}

#[test]
fn an_ordinary_turn() {
    let request = Request {
        instructions: Some(Text::plain("Be \"brief\".")),
        items: vec![
            developer("Base prompt."),
            said(
                Role::Instructor(Instruction::System),
                vec![text("One."), text("Two.")],
            ),
            said(
                Role::User,
                vec![text("# AGENTS.md"), text("<environment_context>")],
            ),
            user("List the files."),
            thought("I should look."),
            assistant("Looking."),
            call("call_1", "exec_command", r#"{"cmd":"ls"}"#),
            call("call_2", "exec_command", r#"{"cmd":"pwd"}"#),
            result("call_2", vec![text("/home")]),
            result("call_1", vec![text("a.txt\n"), text("b.txt")]),
            assistant("Two files."),
            user("Thanks."),
        ],
        tools: vec![function("exec_command", "Runs a command.")],
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: Some(true),
        output_tokens_max: Some(1_000),
        ..Request::default()
    };
    check!("an_ordinary_turn", request);
    check!(
        "an_ordinary_turn_for_a_picky_provider",
        request,
        json!({
            "system_role": "developer", "merge_user_messages": true, "text_parts_as_string": false,
            "assistant_content_with_calls": "empty", "output_limit_field": "max_completion_tokens", "usage_in_stream": false,
            "reasoning_back": "reasoning_content", "reasoning_back_required": true, "parallel_tool_calls": false,
            "tool_choice": [], "strict_tools": true, "call_ids": "alphanumeric9",
            "extra_body": {"top_k": 1, "model": "other", "safe": {"a": null}}
        })
    );
}

#[test]
fn late_instructions() {
    let request = || {
        items(vec![
            developer("First."),
            user("Hi."),
            call("c", "f", "{}"),
            developer("While it runs."),
            result("c", vec![text("done")]),
            developer("Later."),
            said(
                Role::Instructor(Instruction::Developer),
                vec![text("More."), text("And more.")],
            ),
        ])
    };
    check!("late_instructions_as_notes", request());
    check!(
        "late_instructions_in_place",
        request(),
        json!({"late_instructions": "inline"})
    );
    check!(
        "late_instructions_hoisted",
        request(),
        json!({"late_instructions": "hoist"})
    );
}

#[test]
fn arguments_of_earlier_calls() {
    let mut history = vec![user("Hi.")];
    let arguments = [
        "",
        " ",
        "null",
        "{}",
        "{\"a\": 1.0 }",
        "{\"cmd\": ls \"x\\n\"}",
        "[1]",
        "{\"cut\":",
        "\"text\"",
    ];
    let ids: Vec<String> = (0..arguments.len())
        .map(|index| format!("c{index}"))
        .collect();
    for (id, arguments) in ids.iter().zip(arguments) {
        history.push(call(id, "f", arguments));
        history.push(result(id, vec![text("ok")]));
    }
    history.push(Item::Call(Call {
        id: "e".into(),
        name: "f".into(),
        namespace: None,
        input: CallInput::Arguments(Text::escaped(r#"{\"a\":\"\\ud83d \\\"q\\\"\"}"#)),
    }));
    history.push(result("e", Vec::new()));
    check!("arguments_of_earlier_calls", items(history));
}

#[test]
fn kinds_of_calls_and_tools() {
    let loaded = || Tool::Namespace {
        name: "mail".into(),
        description: Some(Text::plain("Mail.")),
        tools: vec![
            Tool::Function(Function {
                deferred: true,
                ..declared("send")
            }),
            Tool::Function(Function {
                deferred: true,
                description: None,
                ..declared("read")
            }),
        ],
    };
    let request = Request {
        items: vec![
            user("Hi."),
            Item::Call(Call {
                id: "c1".into(),
                name: "apply_patch".into(),
                namespace: None,
                input: CallInput::Freeform(Text::plain("*** Begin\n\"q\"")),
            }),
            Item::Call(Call {
                id: "c2".into(),
                name: "add".into(),
                namespace: Some("mcp__demo".into()),
                input: CallInput::Arguments(Text::plain("{}")),
            }),
            Item::Call(Call {
                id: "c3".into(),
                name: "tool_search".into(),
                namespace: None,
                input: CallInput::Search(Json::new(r#"{"query":"mail"}"#)),
            }),
            result("c1", Vec::new()),
            result("c2", vec![text("")]),
            Item::Result(ToolResult {
                call_id: "c3".into(),
                parts: Vec::new(),
                tools_loaded: vec![loaded()],
                is_error: false,
            }),
            Item::ToolsAdded(vec![function("late", "Came later.")]),
        ],
        tools: vec![
            Tool::Freeform {
                name: "apply_patch".into(),
                description: Some(Text::plain("Edits files.")),
                grammar: Some(Grammar {
                    syntax: "lark".into(),
                    definition: Text::plain("start: \"a\"\n"),
                }),
            },
            Tool::Freeform {
                name: "say".into(),
                description: None,
                grammar: None,
            },
            Tool::Namespace {
                name: "mcp__demo".into(),
                description: Some(Text::plain("A demo server.")),
                tools: vec![function("add", "Adds."), function("sub", "Subtracts.")],
            },
            Tool::Search {
                description: Some(Text::plain("Finds tools.")),
                parameters: None,
            },
            loaded(),
            Tool::Function(Function {
                description: None,
                parameters: Some(Json::new("null")),
                strict: Some(true),
                ..declared("a.very/odd name")
            }),
            Tool::Hosted {
                tag: "web_search".into(),
                raw: Json::new("{}"),
            },
        ],
        ..Request::default()
    };
    check!("kinds_of_calls_and_tools", request);
}

fn declared(name: &str) -> Function<'_> {
    Function {
        name: name.into(),
        description: Some(Text::plain("First line.\nSecond line.")),
        parameters: None,
        strict: None,
        deferred: false,
    }
}

#[test]
fn images_and_other_parts() {
    let request = || {
        items(vec![
            said(
                Role::User,
                vec![
                    text("See"),
                    image("data:image/png;base64,AA"),
                    text("this."),
                ],
            ),
            call("c1", "view_image", "{}"),
            call("c2", "view_image", "{}"),
            result("c1", vec![text("small"), image("data:image/png;base64,BB")]),
            result("c2", vec![image("data:image/png;base64,CC")]),
            said(
                Role::User,
                vec![
                    Part::File(File {
                        name: None,
                        media_type: None,
                        content: FileContent::Stored(Text::plain("file_1")),
                    }),
                    Part::Audio(Json::new("{}")),
                    Part::Unknown {
                        tag: "input_video".into(),
                        raw: Json::new("{}"),
                    },
                ],
            ),
            said(Role::Assistant, vec![Part::Refusal(Text::plain("No."))]),
        ])
    };
    check!("images_and_other_parts", request());
    check!("images_where_none_are_taken", request(), json!({}), false);
    check!(
        "images_of_results_merged_with_what_the_user_says",
        request(),
        json!({"merge_user_messages": true})
    );
    let chat = profile(json!({"images": false}));
    assert_eq!(
        outline(&request(), &chat, true),
        outline(&request(), &Profile::default(), false)
    );
}

#[test]
fn mended_histories() {
    let history = vec![
        result("gone", vec![text("orphan")]),
        call("c", "f", "{}"),
        call("c", "f", "{}"),
        result("c", vec![text("one")]),
        user("Stop!"),
        thought("Leads to nothing."),
        user(""),
        Item::Compaction {
            sealed: None,
            summary: None,
        },
        Item::HostedCall {
            tag: "web_search_call".into(),
            summary: Text::plain("[web search: rust]"),
        },
        Item::Unknown {
            tag: "program".into(),
            raw: Json::new("{}"),
        },
        call("", "f", "{}"),
    ];
    check!("mended_histories", items(history));
}

#[test]
fn tool_choices() {
    let request = |choice| Request {
        tool_choice: choice,
        parallel_tool_calls: Some(false),
        reasoning: ReasoningRequest {
            effort: Some("high".into()),
            ..ReasoningRequest::default()
        },
        tools: vec![
            function("one", "One."),
            Tool::Namespace {
                name: "space".into(),
                description: None,
                tools: vec![function("two", "Two.")],
            },
        ],
        ..tools(Vec::new())
    };
    let named = || ToolChoice::Named {
        name: "two".into(),
        namespace: Some("space".into()),
    };
    check!("choice_none", request(ToolChoice::None));
    check!(
        "choice_none_unknown",
        request(ToolChoice::None),
        json!({"tool_choice": ["auto"]})
    );
    check!("choice_required", request(ToolChoice::Required));
    check!(
        "choice_any",
        request(ToolChoice::Required),
        json!({"tool_choice": ["any"]})
    );
    check!(
        "choice_required_unknown",
        request(ToolChoice::Required),
        json!({"tool_choice": ["auto"], "parallel_tool_calls": false})
    );
    check!("choice_named", request(named()));
    check!(
        "choice_named_by_leaving_out",
        request(named()),
        json!({"tool_choice": ["required"]})
    );
    check!(
        "choice_named_while_thinking",
        request(named()),
        json!({"forced_choice_with_thinking": false, "reasoning_request": "thinking_toggle"})
    );
    check!(
        "choice_allowed",
        request(ToolChoice::Allowed {
            required: true,
            names: vec!["two".into()]
        })
    );
    check!(
        "choice_of_no_tool",
        request(ToolChoice::Named {
            name: "three".into(),
            namespace: None
        })
    );
    check!(
        "choice_hosted",
        request(ToolChoice::Hosted("web_search".into()))
    );
    let fault = render(
        &request(ToolChoice::Hosted("x".into())),
        &ModelFacts::named("m"),
        &Profile::default(),
    )
    .unwrap_err();
    assert_eq!(fault.class, FaultClass::InvalidRequest);
}

#[test]
fn efforts() {
    let lines = |effort: &str, changes: Value| {
        let request = Request {
            reasoning: ReasoningRequest {
                effort: Some(effort.to_owned().into()),
                summary: Some("auto".into()),
                budget_tokens: None,
            },
            ..items(vec![user("Hi.")])
        };
        let all = outline(&request, &profile(changes.clone()), true);
        let fixed = ["model:", "messages:", "stream"];
        let kept = all
            .lines()
            .filter(|line| !fixed.iter().any(|start| line.starts_with(start)));
        format!(
            "{effort} {changes}\n  {}\n",
            kept.collect::<Vec<_>>().join("\n  ")
        )
    };
    let mut table = String::new();
    for changes in [
        json!({}),
        json!({"reasoning_request": "reasoning_effort"}),
        json!({"reasoning_request": "reasoning_effort", "efforts": ["none", "high", "max"]}),
        json!({"reasoning_request": "thinking_toggle", "thinking_extra": {"clear_thinking": false}}),
        json!({"reasoning_request": "thinking_toggle", "efforts": ["low", "high", "max"]}),
        json!({"reasoning_request": "reasoning_object", "efforts": ["minimal", "low", "medium", "high", "xhigh"]}),
        json!({"reasoning_request": "enable_thinking", "efforts": ["low", "medium", "xhigh"]}),
        json!({"reasoning_request": "chat_template"}),
    ] {
        for effort in ["none", "medium", "xhigh", "odd"] {
            table.push_str(&lines(effort, changes.clone()));
        }
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("efforts", table);
    });
}

#[test]
fn formats_and_other_settings() {
    let schema = || OutputFormat::JsonSchema {
        name: "answer".into(),
        description: Some(Text::plain("An answer.")),
        schema: Json::new(r#"{"type":"object"}"#),
        strict: Some(true),
    };
    let request = |format, tools| Request {
        format,
        tools,
        sampling: Sampling {
            temperature: Some(Json::new("0.70")),
            top_p: Some(Json::new("1")),
            logprobs: true,
            top_logprobs: Some(2),
            ..Sampling::default()
        },
        verbosity: Some("low".into()),
        cache_key: Some(Text::plain("thread-1")),
        service_tier: Some("priority".into()),
        ..items(vec![developer("Base."), user("Hi.")])
    };
    check!("format_schema", request(schema(), Vec::new()));
    check!(
        "format_schema_as_object",
        request(schema(), Vec::new()),
        json!({"structured_output": "json_object", "sampling": false, "logprobs": true, "verbosity": true, "service_tier": true,
            "cache_key_field": "prompt_cache_key"})
    );
    check!(
        "format_schema_in_words_beside_tools",
        request(schema(), vec![function("f", "F.")]),
        json!({"structured_output_with_tools": false})
    );
    check!(
        "format_object",
        request(OutputFormat::JsonObject, Vec::new())
    );
    check!(
        "format_object_in_words",
        request(OutputFormat::JsonObject, Vec::new()),
        json!({"structured_output": "prompt"})
    );
}

#[test]
fn preset_fields_are_checked() {
    let unknown: Result<Profile, _> = serde_json::from_value(json!({"no_such_habit": true}));
    assert!(unknown.unwrap_err().to_string().contains("no_such_habit"));
    assert_eq!(profile(json!({})), Profile::default());
}

/// Escaped text is copied as it came, half characters and all.
#[test]
fn text_passes_untouched() {
    let body = r"tab\t \u00e9 \ud83d \/";
    let request = items(vec![said(
        Role::User,
        vec![Part::Text(Text::escaped(body))],
    )]);
    let rendered = render(&request, &ModelFacts::named("m"), &Profile::default()).unwrap();
    let found = String::from_utf8(rendered.body).unwrap();
    assert!(
        found.contains(&format!("\"content\":\"{body}\"")),
        "{found}"
    );
}
