//! Requests in, bodies and losses out. Every body is checked against the rules of the protocol, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

#[path = "support/rules.rs"]
mod rules;

use polywire_conversation::{
    Call, CallInput, Dialect, File, FileContent, Function, Grammar, Image, Instruction, Item, Json,
    Message, ModelFacts, Opaque, OpaqueKind, OutputFormat, Part, Reasoning, ReasoningRequest,
    Request, Role, Sampling, Text, Tool, ToolChoice, ToolResult, VisibleReasoning,
};
use polywire_dialect_messages::{LateInstructions, Profile, render};
use rules::Rules;
use serde_json::{Value, json};

const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAA";

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

fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str) -> Item<'a> {
    Item::Call(Call {
        id: id.into(),
        name: name.into(),
        namespace: None,
        input: CallInput::Arguments(Text::plain(arguments)),
    })
}

fn result<'a>(call_id: &'a str, parts: Vec<Part<'a>>) -> Item<'a> {
    Item::Result(ToolResult {
        call_id: call_id.into(),
        parts,
        tools_loaded: Vec::new(),
        is_error: false,
    })
}

fn failed<'a>(call_id: &'a str, parts: Vec<Part<'a>>) -> Item<'a> {
    Item::Result(ToolResult {
        call_id: call_id.into(),
        parts,
        tools_loaded: Vec::new(),
        is_error: true,
    })
}

fn declared(name: &str) -> Function<'_> {
    Function {
        name: name.into(),
        description: Some(Text::plain("Does something.")),
        parameters: Some(Json::new(
            r#"{"type":"object","properties":{"x":{"type":"number"}}}"#,
        )),
        strict: Some(true),
        deferred: false,
    }
}

fn function(name: &str) -> Tool<'_> {
    Tool::Function(declared(name))
}

fn with_schema<'a>(name: &'a str, schema: Option<&'a str>) -> Tool<'a> {
    Tool::Function(Function {
        description: None,
        parameters: schema.map(Json::new),
        strict: None,
        ..declared(name)
    })
}

fn image(url: &str) -> Part<'_> {
    Part::Image(Image {
        url: Text::plain(url),
        detail: Some("high".into()),
    })
}

/// Reasoning with these words and this state.
fn thought<'a>(words: &[&'a str], state: &[(OpaqueKind, &'a str)]) -> Item<'a> {
    let opaque = |(kind, state): &(OpaqueKind, &'a str)| Opaque {
        kind: *kind,
        state: Text::plain(*state),
    };
    Item::Reasoning(Reasoning {
        visible: VisibleReasoning::Summary(words.iter().map(|words| Text::plain(*words)).collect()),
        sealed: Some(Text::plain("sealed")),
        state: state.iter().map(opaque).collect(),
    })
}

fn signed<'a>(words: &'a str, signature: &'a str) -> Item<'a> {
    thought(&[words], &[(OpaqueKind::Signature, signature)])
}

fn effort(word: &str) -> ReasoningRequest<'_> {
    ReasoningRequest {
        effort: Some(word.into()),
        budget_tokens: None,
        summary: Some("auto".into()),
    }
}

fn items(items: Vec<Item<'_>>) -> Request<'_> {
    Request {
        items,
        ..Request::default()
    }
}

/// The body, each message, block and tool on a line of its own, and the losses.
fn outline(request: &Request<'_>, changes: Value) -> String {
    let profile: Profile = serde_json::from_value(changes).unwrap();
    let model = ModelFacts {
        output_tokens_max: Some(64_000),
        ..ModelFacts::named("model-1")
    };
    let rendered = match render(request, &model, &profile) {
        Ok(rendered) => rendered,
        Err(fault) => {
            let class = fault.class.name();
            return format!("fault {class} {:?} {}\n", fault.param, fault.message);
        }
    };
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    rules::check(
        &body,
        Rules {
            inline: profile.late_instructions == LateInstructions::Inline,
            unsigned: profile.unsigned_thinking,
            forced_choice: profile.forced_choice_with_thinking,
        },
    );
    let mut lines = String::new();
    for (key, value) in body.as_object().unwrap() {
        match value {
            Value::Array(messages) if key == "messages" => {
                for message in messages {
                    lines.push_str(&format!("{}\n", message["role"].as_str().unwrap()));
                    for block in message["content"].as_array().unwrap() {
                        lines.push_str(&format!("  {block}\n"));
                    }
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    lines.push_str(&format!("{key}: {element}\n"));
                }
            }
            other => lines.push_str(&format!("{key}: {other}\n")),
        }
    }
    for loss in &rendered.losses {
        lines.push_str(&format!("loss ({:?}) {loss}\n", loss.severity));
    }
    lines
}

/// Snapshots what requests become, each under a heading.
fn check(name: &str, cases: Vec<(&str, Request<'_>, Value)>) {
    let mut snapshot = String::new();
    for (heading, request, profile) in cases {
        snapshot.push_str(&format!("== {heading} {profile}\n"));
        snapshot.push_str(&outline(&request, profile));
        snapshot.push('\n');
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, snapshot);
    });
}

fn ordinary() -> Request<'static> {
    Request {
        instructions: Some(Text::plain("Be \"brief\".")),
        items: vec![
            developer("Base prompt."),
            said(
                Role::Instructor(Instruction::System),
                vec![text("One."), text(" "), text("Two.")],
            ),
            said(Role::User, vec![text("# AGENTS.md"), text("<context>")]),
            user("List the files."),
            signed("I should look.", "sig\"1"),
            assistant("Looking."),
            call("call_1", "exec_command", r#"{"cmd":"ls"}"#),
            call("call_2", "exec_command", r#"{"cmd":"pwd"}"#),
            result("call_2", vec![text("/home")]),
            result("call_1", vec![text("a.txt\n"), text("b.txt")]),
            assistant("Two files."),
            user("Thanks."),
        ],
        tools: vec![function("exec_command")],
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: Some(true),
        output_tokens_max: Some(1_000),
        ..Request::default()
    }
}

#[test]
fn ordinary_turns() {
    check(
        "ordinary_turns",
        vec![
            ("plain", ordinary(), json!({})),
            (
                "marked, strict, with more",
                Request {
                    parallel_tool_calls: Some(false),
                    ..ordinary()
                },
                json!({"cache_marks": true, "strict_tools": true, "extra_body": {"top_k": 1, "model": "other", "safe": {"a": null}}}),
            ),
        ],
    );
}

#[test]
fn beginnings_and_ends() {
    let prefill = |words| Request {
        dialect: Dialect::Messages,
        ..items(vec![user("Rhyme."), assistant(words)])
    };
    check(
        "beginnings_and_ends",
        vec![
            ("nothing", items(vec![]), json!({})),
            (
                "instructions only",
                items(vec![developer("Say hi.")]),
                json!({}),
            ),
            (
                "the model begins",
                items(vec![assistant("Hello."), user("Hi.")]),
                json!({}),
            ),
            (
                "the model ends",
                items(vec![user("Rhyme."), assistant("Roses \n")]),
                json!({}),
            ),
            ("an answer begun", prefill("Roses \n"), json!({})),
            (
                "an answer begun, but thinking",
                Request {
                    reasoning: effort("low"),
                    ..prefill("Roses")
                },
                json!({"thinking": "manual"}),
            ),
            (
                "white space",
                items(vec![
                    user(" \n"),
                    user("Hi."),
                    assistant("\u{a0}"),
                    user("So?"),
                    assistant("Well."),
                    user(""),
                ]),
                json!({}),
            ),
            (
                "an open call, then words",
                items(vec![
                    user("Go."),
                    call("c", "f", "{}"),
                    user("Stop!"),
                    user("Please."),
                ]),
                json!({}),
            ),
        ],
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
                vec![text("\"More\"."), text("And more.")],
            ),
        ])
    };
    check(
        "late_instructions",
        vec![
            ("notes", request(), json!({})),
            (
                "in place",
                request(),
                json!({"late_instructions": "inline"}),
            ),
        ],
    );
}

#[test]
fn calls_and_results() {
    let mut history = vec![user("Hi.")];
    let arguments = [
        "",
        "null",
        "{\"a\": 1.0 }",
        "{\"cmd\": ls \"x\\n\"}",
        "[1]",
        "{\"cut\":",
        r#"{"half":"\ud83d","whole":"\ud83d\ude00"}"#,
    ];
    let ids = ["functions.x:0", "call_a|fc_b", "same", "c3", "c4", "", "c6"];
    for (id, arguments) in ids.into_iter().zip(arguments) {
        history.push(call(id, "f", arguments));
    }
    history.extend([
        call("same", "f", "{}"),
        result("c4", Vec::new()),
        result("c3", vec![text("  ")]),
        failed("", vec![text("It broke."), image(PNG)]),
        failed("c6", vec![image(PNG)]),
        result(
            "same",
            vec![text("see"), image(PNG), image("https://a.example/x.png")],
        ),
        result(
            "functions.x:0",
            vec![Part::Text(Text::escaped(r"lone \ud83d half"))],
        ),
        result("gone", vec![text("orphan")]),
    ]);
    check(
        "calls_and_results",
        vec![("all", items(history), json!({}))],
    );
}

#[test]
fn kinds_of_calls_and_tools() {
    let deferred = |name| {
        Tool::Function(Function {
            deferred: true,
            ..declared(name)
        })
    };
    let call_of = |id: &'static str, name: &'static str, namespace: Option<&'static str>, input| {
        Item::Call(Call {
            id: id.into(),
            name: name.into(),
            namespace: namespace.map(Into::into),
            input,
        })
    };
    let freeform = |name: &'static str, grammar: Option<Grammar<'static>>| Tool::Freeform {
        name: name.into(),
        description: grammar.is_some().then(|| Text::plain("Edits \"files\".")),
        grammar,
    };
    let request = Request {
        items: vec![
            user("Hi."),
            call_of(
                "c1",
                "apply_patch",
                None,
                CallInput::Freeform(Text::plain("*** Begin\n\"q\"")),
            ),
            call_of(
                "c2",
                "add",
                Some("mcp__demo"),
                CallInput::Arguments(Text::plain("{}")),
            ),
            call_of(
                "c3",
                "tool_search",
                None,
                CallInput::Search(Json::new(r#"{"query":"mail"}"#)),
            ),
            result("c1", Vec::new()),
            result("c2", vec![text("")]),
            Item::Result(ToolResult {
                call_id: "c3".into(),
                parts: Vec::new(),
                tools_loaded: vec![Tool::Namespace {
                    name: "mail".into(),
                    description: Some(Text::plain("Mail.")),
                    tools: vec![deferred("send"), deferred("read")],
                }],
                is_error: false,
            }),
            Item::ToolsAdded(vec![function("late")]),
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
            Tool::Namespace {
                name: "mcp__demo".into(),
                description: Some(Text::plain("A demo server.")),
                tools: vec![function("add"), function("sub")],
            },
            Tool::Search {
                description: Some(Text::plain("Finds tools.")),
                parameters: None,
            },
            deferred("hidden"),
            with_schema("none", None),
            with_schema("null", Some("null")),
            with_schema("list", Some("[]")),
            with_schema(
                "union",
                Some(
                    r#"{"oneOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}}}]}"#,
                ),
            ),
            with_schema("größe/2", Some(r#"{"type":"object"}"#)),
            Tool::Hosted {
                tag: "file_search".into(),
                raw: Json::new("{}"),
            },
            Tool::Unknown {
                tag: "odd".into(),
                raw: Json::new("{}"),
            },
        ],
        tools_refused: vec!["none".to_owned()],
        ..Request::default()
    };
    check(
        "kinds_of_calls_and_tools",
        vec![("all", request, json!({}))],
    );
}

#[test]
fn tools_of_the_past() {
    let request = || {
        items(vec![
            user("Hi."),
            call("c1", "größe/2", "{}"),
            result("c1", vec![text("big")]),
            call("c2", "look", "{}"),
            call("c3", "look", "{}"),
            result("c2", Vec::new()),
            result("c3", Vec::new()),
            user("Sum up."),
        ])
    };
    check(
        "tools_of_the_past",
        vec![
            ("none offered", request(), json!({})),
            (
                "one demanded that is not there",
                Request {
                    tool_choice: ToolChoice::Required,
                    ..request()
                },
                json!({}),
            ),
            (
                "another offered",
                Request {
                    tools: vec![with_schema("other", None)],
                    tool_choice: ToolChoice::None,
                    parallel_tool_calls: Some(false),
                    ..request()
                },
                json!({}),
            ),
        ],
    );
}

#[test]
fn choices() {
    let request = |tool_choice, parallel_tool_calls| Request {
        items: vec![user("Go.")],
        tools: vec![with_schema("f", None), with_schema("g", None)],
        tool_choice,
        parallel_tool_calls,
        ..Request::default()
    };
    let named = |name: &'static str| ToolChoice::Named {
        name: name.into(),
        namespace: None,
    };
    let thinking = |tool_choice| Request {
        reasoning: effort("low"),
        ..request(tool_choice, None)
    };
    let allowed = ToolChoice::Allowed {
        required: true,
        names: vec!["g".into()],
    };
    check(
        "choices",
        vec![
            ("unset", request(ToolChoice::Unset, Some(true)), json!({})),
            (
                "unset, alone",
                request(ToolChoice::Unset, Some(false)),
                json!({}),
            ),
            (
                "none, alone",
                request(ToolChoice::None, Some(false)),
                json!({}),
            ),
            (
                "required",
                request(ToolChoice::Required, Some(false)),
                json!({}),
            ),
            (
                "alone, unknown",
                request(ToolChoice::Auto, Some(false)),
                json!({"parallel_control": false}),
            ),
            ("named", request(named("g"), None), json!({})),
            ("named, not there", request(named("h"), None), json!({})),
            ("allowed", request(allowed, None), json!({})),
            (
                "hosted",
                request(ToolChoice::Hosted("web_search".into()), None),
                json!({}),
            ),
            (
                "while thinking",
                thinking(named("g")),
                json!({"thinking": "manual"}),
            ),
            (
                "while thinking, possible",
                thinking(named("g")),
                json!({"thinking": "adaptive", "forced_choice_with_thinking": true}),
            ),
        ],
    );
}

#[test]
fn web_search() {
    let request = |raw: &'static str, tool_choice| Request {
        items: vec![user("Go.")],
        tools: vec![
            Tool::Hosted {
                tag: "web_search".into(),
                raw: Json::new(raw),
            },
            with_schema("f", None),
        ],
        tool_choice,
        ..Request::default()
    };
    let responses = r#"{"type":"web_search","external_web_access":true,"filters":{"allowed_domains":["a.example"]},"user_location":{"type":"approximate","city":"Bern"}}"#;
    let messages = r#"{"type":"web_search_20250305","name":"web_search","max_uses":5,"blocked_domains":["b.example"],"cache_control":{"type":"ephemeral"}}"#;
    let own = json!({"hosted_web_search": "web_search_20260209", "cache_marks": true});
    check(
        "web_search",
        vec![
            (
                "of Responses",
                request(responses, ToolChoice::Unset),
                own.clone(),
            ),
            (
                "of Messages, demanded",
                request(messages, ToolChoice::Hosted("web_search".into())),
                own.clone(),
            ),
            (
                "not there",
                request(responses, ToolChoice::Unset),
                json!({}),
            ),
            (
                "a tool of the same name",
                Request {
                    tools: vec![
                        Tool::Hosted {
                            tag: "web_search".into(),
                            raw: Json::new(responses),
                        },
                        with_schema("web_search", None),
                    ],
                    ..request(responses, ToolChoice::Unset)
                },
                own,
            ),
        ],
    );
}

#[test]
fn thinking() {
    let asked = |reasoning| Request {
        reasoning,
        ..items(vec![user("Hi.")])
    };
    let budget = |tokens, limit| Request {
        output_tokens_max: Some(limit),
        ..asked(ReasoningRequest {
            effort: None,
            budget_tokens: Some(tokens),
            summary: None,
        })
    };
    let hidden = || ReasoningRequest {
        summary: Some("none".into()),
        ..effort("high")
    };
    let manual = || json!({"thinking": "manual"});
    let adaptive = || json!({"thinking": "adaptive", "efforts": ["low", "medium", "high", "max"]});
    let always = || json!({"thinking": "adaptive", "thinking_can_be_off": false, "efforts": ["low", "high"]});
    check(
        "thinking",
        vec![
            ("unsaid", asked(ReasoningRequest::default()), manual()),
            ("unknown", asked(effort("high")), json!({})),
            (
                "efforts alone",
                asked(effort("xhigh")),
                json!({"efforts": ["low", "high"]}),
            ),
            ("off", asked(effort("none")), manual()),
            ("minimal", asked(effort("minimal")), manual()),
            ("medium", asked(effort("medium")), manual()),
            ("max", asked(effort("max")), manual()),
            ("odd", asked(effort("a lot")), manual()),
            ("budget", budget(5_000, 6_000), manual()),
            ("budget too small", budget(10, 6_000), manual()),
            ("budget too large", budget(9_000, 6_000), manual()),
            ("no room", budget(9_000, 2_000), manual()),
            ("adaptive", asked(effort("minimal")), adaptive()),
            ("adaptive, hidden", asked(hidden()), adaptive()),
            ("adaptive, off", asked(effort("none")), adaptive()),
            ("adaptive, budget", budget(9_000, 20_000), adaptive()),
            ("always", asked(effort("none")), always()),
        ],
    );
}

#[test]
fn reasoning_of_earlier_turns() {
    use OpaqueKind::{Detail, Redacted, Signature};
    let history = || {
        items(vec![
            user("Hi."),
            signed("Hm.\n", "s1"),
            thought(&[], &[(Redacted, "d1")]),
            thought(&[], &[(Signature, "s2")]),
            thought(&["In ", "pieces."], &[(Signature, "s3")]),
            thought(
                &["One.", "Two."],
                &[(Signature, "s4"), (Redacted, "d2"), (Signature, "s5")],
            ),
            thought(&["Which?"], &[(Signature, "s6"), (Signature, "s7")]),
            thought(&["Elsewhere.", "And there."], &[]),
            thought(&["Of another kind."], &[(Detail, "{}")]),
            assistant("Well."),
            signed("Last.", "s8"),
            user("So?"),
            signed("To nothing.", "s9"),
        ])
    };
    check(
        "reasoning_of_earlier_turns",
        vec![
            ("signed", history(), json!({})),
            ("unsigned", history(), json!({"unsigned_thinking": true})),
        ],
    );
}

#[test]
fn thinking_in_tool_loops() {
    let thinks = |items| Request {
        items,
        tools: vec![with_schema("f", None)],
        reasoning: effort("low"),
        ..Request::default()
    };
    let manual = || json!({"thinking": "manual"});
    let foreign = || {
        vec![
            user("Hi."),
            call("c1", "f", "{}"),
            result("c1", vec![text("1")]),
        ]
    };
    let begun = || {
        vec![
            user("Hi."),
            signed("Hm.", "s1"),
            call("c1", "f", "{}"),
            result("c1", vec![text("1")]),
            call("c2", "f", "{}"),
            result("c2", vec![text("2")]),
        ]
    };
    let answered = || [foreign(), vec![assistant("Done."), user("More.")]].concat();
    let again = || {
        [
            answered(),
            vec![
                signed("Hm.", "s1"),
                call("c2", "f", "{}"),
                result("c2", vec![]),
            ],
        ]
        .concat()
    };
    check(
        "thinking_in_tool_loops",
        vec![
            ("begun without", thinks(foreign()), manual()),
            ("begun with", thinks(begun()), manual()),
            ("answered", thinks(answered()), manual()),
            ("begun with, after one without", thinks(again()), manual()),
            (
                "adaptive",
                thinks(foreign()),
                json!({"thinking": "adaptive"}),
            ),
            (
                "begun without, and forced",
                Request {
                    tool_choice: ToolChoice::Required,
                    ..thinks(foreign())
                },
                manual(),
            ),
        ],
    );
}

#[test]
fn images_documents_and_other_parts() {
    let file = |media_type: Option<&'static str>, content| {
        Part::File(File {
            name: Some(Text::plain("a \"file\"")),
            media_type: media_type.map(Into::into),
            content,
        })
    };
    let base64 = |data: &'static str| FileContent::Base64(Text::plain(data));
    let request = || {
        items(vec![
            said(
                Role::User,
                vec![
                    text("Look:"),
                    image(PNG),
                    image("data:image/png;base64,/9j/4AAQ"),
                    image("data:image/svg+xml;base64,PHN2Zz4"),
                    image("https://a.example/x.png"),
                    file(None, base64("data:application/pdf;base64,JVBERi0xLjcK")),
                    file(Some("text/plain"), base64("aGkK")),
                    file(None, FileContent::Text(Text::plain("plain"))),
                    file(
                        None,
                        FileContent::Url(Text::plain("https://a.example/a.pdf")),
                    ),
                    file(None, FileContent::Stored(Text::plain("file_1"))),
                    Part::Audio(Json::new("{}")),
                    Part::Refusal(Text::plain("No.")),
                    Part::Unknown {
                        tag: "odd".into(),
                        raw: Json::new("{}"),
                    },
                ],
            ),
            said(Role::Assistant, vec![text("Seen."), image(PNG)]),
            call("c", "f", "{}"),
            result("c", vec![image(PNG), file(None, base64("JVBERi0xLjcK"))]),
        ])
    };
    check(
        "images_documents_and_other_parts",
        vec![
            ("taken", request(), json!({})),
            (
                "not taken",
                request(),
                json!({"images": false, "documents": false}),
            ),
            (
                "of a client of the same protocol",
                Request {
                    dialect: Dialect::Messages,
                    ..request()
                },
                json!({}),
            ),
        ],
    );
}

#[test]
fn settings() {
    let request = || Request {
        items: vec![user("Hi.")],
        stop: vec![Text::plain("\n"), Text::plain("END\n")],
        sampling: Sampling {
            temperature: Some(Json::new("1.5")),
            top_p: Some(Json::new("0.9")),
            top_k: Some(40),
            frequency_penalty: Some(Json::new("1")),
            presence_penalty: Some(Json::new("1")),
            seed: Some(Json::new("7")),
            logprobs: true,
            top_logprobs: Some(2),
        },
        verbosity: Some("low".into()),
        cache_key: Some(Text::plain("thread")),
        service_tier: Some("default".into()),
        user: Some(Text::plain("me")),
        metadata: Some(Json::new("{\"a\":1}")),
        output_tokens_max: Some(100_000),
        extra: vec![
            ("container".into(), Json::new("\"c\"")),
            ("temperature".into(), Json::new("2")),
            ("container".into(), Json::new("\"d\"")),
        ],
        ..Request::default()
    };
    let only_top_p = Request {
        sampling: Sampling {
            top_p: Some(Json::new("0.95")),
            temperature: Some(Json::new("1.0")),
            ..Sampling::default()
        },
        reasoning: effort("low"),
        ..items(vec![user("Hi.")])
    };
    let schema = |format| Request {
        format,
        ..items(vec![user("Hi.")])
    };
    let shape = || OutputFormat::JsonSchema {
        name: "shape".into(),
        description: None,
        schema: Json::new(r#"{"type":"object"}"#),
        strict: Some(true),
    };
    check(
        "settings",
        vec![
            ("all", request(), json!({})),
            (
                "all, carried",
                Request {
                    dialect: Dialect::Messages,
                    ..request()
                },
                json!({"service_tier": true, "metadata_user": true, "extra_body": {"container": "p", "speed": "fast"}}),
            ),
            (
                "no sampling",
                request(),
                json!({"sampling": false, "top_k": false}),
            ),
            (
                "while thinking",
                Request {
                    reasoning: effort("low"),
                    ..request()
                },
                json!({"thinking": "manual"}),
            ),
            (
                "what thinking allows",
                only_top_p,
                json!({"thinking": "manual"}),
            ),
            (
                "schema",
                Request {
                    reasoning: effort("low"),
                    ..schema(shape())
                },
                json!({"structured_output": "output_config", "efforts": ["low"]}),
            ),
            ("schema in words", schema(shape()), json!({})),
            (
                "object",
                schema(OutputFormat::JsonObject),
                json!({"structured_output": "output_config"}),
            ),
        ],
    );
}

/// The limit of an answer: the client's, the model's, the profile's.
#[test]
fn limits() {
    let limit = |wanted, most| {
        let request = Request {
            output_tokens_max: wanted,
            ..items(vec![user("Hi.")])
        };
        let model = ModelFacts {
            output_tokens_max: most,
            ..ModelFacts::named("m")
        };
        let rendered = render(&request, &model, &Profile::default()).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        (body["max_tokens"].as_u64().unwrap(), rendered.losses.len())
    };
    assert_eq!(limit(None, None), (32_000, 0));
    assert_eq!(limit(None, Some(8_000)), (8_000, 0));
    assert_eq!(limit(Some(500), Some(8_000)), (500, 0));
    assert_eq!(limit(Some(9_000), Some(8_000)), (8_000, 1));
    assert_eq!(limit(Some(90_000), None), (90_000, 0));
}

/// Where the last two messages of the user are marked, the rest of the body is that of one without marks.
#[test]
fn marks_change_nothing_else() {
    let body = |marks: bool| {
        let profile = Profile {
            cache_marks: marks,
            ..Profile::default()
        };
        let rendered = render(&ordinary(), &ModelFacts::named("m"), &profile).unwrap();
        String::from_utf8(rendered.body).unwrap()
    };
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    assert_eq!(body(true).matches(mark).count(), 4);
    assert_eq!(body(true).replace(mark, ""), body(false));
}
