//! What holds for the body of every request, however mangled its history.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

#[path = "support/rules.rs"]
mod rules;

use polywire_conversation::{
    Call, CallInput, Dialect, File, FileContent, Function, Image, Instruction, Item, Json, Message,
    ModelFacts, Opaque, OpaqueKind, Part, Reasoning, ReasoningRequest, Request, Role, Sampling,
    Text, Tool, ToolChoice, ToolResult, VisibleReasoning,
};
use polywire_dialect_messages::{LateInstructions, Profile, render};
use proptest::prelude::*;
use rules::Rules;
use serde_json::{Value, json};

fn part() -> impl Strategy<Value = Part<'static>> {
    let image = |url: &'static str| {
        Part::Image(Image {
            url: Text::plain(url),
            detail: None,
        })
    };
    let file = |content| {
        Part::File(File {
            name: Some(Text::plain("a.txt")),
            media_type: Some("text/plain".into()),
            content,
        })
    };
    prop_oneof![
        4 => "[a-zé\"\n ]{0,4}".prop_map(|text| Part::Text(Text::plain(text))),
        1 => prop::sample::select(vec![r"\ud83d", r"a\n\u00e9", r"\n\u00a0", ""]).prop_map(|body| Part::Text(Text::escaped(body))),
        1 => prop::sample::select(vec!["data:image/png;base64,iVBORw0KGgoAAA", "data:image/png;base64,AA", "https://a.example/x", "x"]).prop_map(image),
        1 => Just(Part::Refusal(Text::plain(""))),
        1 => prop::sample::select(vec![
            FileContent::Stored(Text::plain("file_1")),
            FileContent::Base64(Text::plain("JVBERi0xLjcK")),
            FileContent::Base64(Text::plain("IAo=")),
            FileContent::Text(Text::plain(" ")),
            FileContent::Text(Text::plain("words")),
            FileContent::Url(Text::plain("https://a.example/x.pdf")),
        ]).prop_map(file),
        1 => Just(Part::Unknown { tag: "odd".into(), raw: Json::new("{}") }),
    ]
}

fn parts() -> impl Strategy<Value = Vec<Part<'static>>> {
    prop::collection::vec(part(), 0..3)
}

fn id() -> impl Strategy<Value = String> {
    let made = polywire_conversation::ids::made_from("functions.x:0");
    let ids = ["a", "b", "call_1", "", "with space", "functions.x:0", &made].map(str::to_owned);
    prop::sample::select(ids.to_vec())
}

fn call() -> impl Strategy<Value = Item<'static>> {
    let name = prop::sample::select(vec![
        "get",
        "edit",
        "größe/2",
        "an_extremely_long_tool_name_that_no_provider_takes_as_it_is_because_of_its_length",
    ]);
    let namespace = prop::sample::select(vec![None, Some("mcp__x"), Some("mcp.y")]);
    let input = prop_oneof![
        prop::sample::select(vec![
            "",
            "{}",
            "{\"a\":1}",
            "{",
            "null",
            "[]",
            "text \"quoted\"\n",
            r#"{"a":"\ud83d"}"#,
        ])
        .prop_map(|arguments| CallInput::Arguments(Text::plain(arguments))),
        Just(CallInput::Arguments(Text::escaped(r#"{\"a\":\"\\n\"}"#))),
        "[a-z\"\\\\\n]{0,5}".prop_map(|text| CallInput::Freeform(Text::plain(text))),
        Just(CallInput::Search(Json::new("{\"query\":\"x\"}"))),
        Just(CallInput::Search(Json::new("[]"))),
    ];
    (id(), name, namespace, input).prop_map(|(id, name, namespace, input)| {
        Item::Call(Call {
            id: id.into(),
            name: name.into(),
            namespace: namespace.map(Into::into),
            input,
        })
    })
}

fn reasoning() -> impl Strategy<Value = Item<'static>> {
    let state = prop::sample::select(vec![
        OpaqueKind::Signature,
        OpaqueKind::Redacted,
        OpaqueKind::Item,
    ]);
    let words = prop::collection::vec("[a-z]{0,3}", 0..3);
    (words, prop::collection::vec(state, 0..3)).prop_map(|(words, state)| {
        let state = state.into_iter().map(|kind| Opaque {
            kind,
            state: Text::plain("s"),
        });
        Item::Reasoning(Reasoning {
            visible: VisibleReasoning::Full(words.into_iter().map(Text::plain).collect()),
            sealed: None,
            state: state.collect(),
        })
    })
}

fn item() -> impl Strategy<Value = Item<'static>> {
    let role = prop::sample::select(vec![
        Role::User,
        Role::Assistant,
        Role::Instructor(Instruction::Developer),
        Role::Instructor(Instruction::System),
    ]);
    let result = (id(), parts(), any::<bool>());
    prop_oneof![
        4 => (role, parts()).prop_map(|(role, parts)| Item::Message(Message { role, parts, phase: None })),
        3 => reasoning(),
        4 => call(),
        4 => result.prop_map(|(id, parts, is_error)| Item::Result(ToolResult { call_id: id.into(), parts, tools_loaded: Vec::new(), is_error })),
        1 => Just(Item::Compaction { sealed: None, summary: None }),
        1 => Just(Item::HostedCall { tag: "web_search_call".into(), summary: Text::EMPTY }),
        1 => Just(Item::Unknown { tag: "odd".into(), raw: Json::new("{}") }),
    ]
}

fn profiles() -> impl Strategy<Value = Profile> {
    prop::sample::select(vec![
        json!({}),
        json!({"thinking": "manual", "cache_marks": true, "hosted_web_search": "web_search_20250305"}),
        json!({"thinking": "manual", "thinking_can_be_off": true, "unsigned_thinking": true, "late_instructions": "inline"}),
        json!({"thinking": "manual", "thinking_can_be_off": false, "top_k": false}),
        json!({"thinking": "adaptive", "efforts": ["low", "high"], "forced_choice_with_thinking": true, "structured_output": "output_config"}),
        json!({"thinking": "adaptive", "thinking_can_be_off": false, "cache_marks": true, "images": false, "documents": false}),
    ])
    .prop_map(|changes| serde_json::from_value(changes).unwrap())
}

fn tool(name: &'static str, schema: Option<&'static str>) -> Tool<'static> {
    Tool::Function(Function {
        name: name.into(),
        description: None,
        parameters: schema.map(Json::new),
        strict: None,
        deferred: false,
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool<'static>>> {
    let any = prop::sample::select(vec![
        tool("get", None),
        tool("edit", Some("null")),
        tool(
            "odd",
            Some(r#"{"anyOf":[{"type":"object"},{"type":"string"}]}"#),
        ),
        tool("web_search", Some("[]")),
        tool("größe/2", Some("{}")),
        Tool::Freeform {
            name: "edit".into(),
            description: None,
            grammar: None,
        },
        Tool::Hosted {
            tag: "web_search".into(),
            raw: Json::new(r#"{"type":"web_search","max_uses":3}"#),
        },
    ]);
    prop::collection::vec(any, 0..4)
}

fn choice() -> impl Strategy<Value = ToolChoice<'static>> {
    let named = |name: &'static str| ToolChoice::Named {
        name: name.into(),
        namespace: None,
    };
    prop::sample::select(vec![
        ToolChoice::Unset,
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        named("get"),
        named("nobody"),
        ToolChoice::Allowed {
            required: true,
            names: vec!["edit".into()],
        },
    ])
}

fn wish() -> impl Strategy<Value = ReasoningRequest<'static>> {
    let effort = prop::sample::select(vec![
        None,
        Some("none"),
        Some("low"),
        Some("max"),
        Some("odd"),
    ]);
    let budget = prop::sample::select(vec![
        None,
        None,
        Some(0),
        Some(500),
        Some(5_000),
        Some(u64::MAX),
    ]);
    (effort, budget).prop_map(|(effort, budget_tokens)| ReasoningRequest {
        effort: effort.map(Into::into),
        budget_tokens,
        summary: Some("auto".into()),
    })
}

fn settings() -> impl Strategy<Value = Request<'static>> {
    let limit = prop::sample::select(vec![None, Some(1_000), Some(2_048), Some(100_000)]);
    let number = prop::sample::select(vec![None, Some("0.5"), Some("1"), Some("1.7")]);
    let messages = any::<bool>();
    (
        tools(),
        choice(),
        wish(),
        limit,
        number,
        messages,
        any::<Option<bool>>(),
    )
        .prop_map(
            |(tools, tool_choice, reasoning, output_tokens_max, number, messages, parallel)| {
                Request {
                    dialect: if messages {
                        Dialect::Messages
                    } else {
                        Dialect::Responses
                    },
                    tools,
                    tool_choice,
                    reasoning,
                    output_tokens_max,
                    parallel_tool_calls: parallel,
                    sampling: Sampling {
                        temperature: number.map(Json::new),
                        top_p: number.map(Json::new),
                        top_k: Some(4),
                        ..Sampling::default()
                    },
                    stop: vec![Text::plain("\n"), Text::plain("END")],
                    ..Request::default()
                }
            },
        )
}

fn body(request: &Request<'_>, profile: &Profile) -> Value {
    let rendered = render(request, &ModelFacts::named("m"), profile).unwrap();
    // Strict: half a character in a string is refused, as Anthropic does.
    serde_json::from_slice(&rendered.body).unwrap()
}

/// A turn that is in order: somebody asks, the model thinks and calls, the tools answer, the model says something.
fn orderly_turn() -> impl Strategy<Value = Vec<Item<'static>>> {
    let calls = prop::collection::vec((reasoning(), call()), 0..3);
    (parts(), calls, parts(), "[a-z]{1,4}").prop_map(|(asked, calls, output, answer)| {
        let message = |role, parts| {
            Item::Message(Message {
                role,
                parts,
                phase: None,
            })
        };
        let results: Vec<Item<'static>> = calls
            .iter()
            .filter_map(|(_, call)| match call {
                Item::Call(call) => Some(Item::Result(ToolResult {
                    call_id: call.id.clone(),
                    parts: output.clone(),
                    tools_loaded: Vec::new(),
                    is_error: false,
                })),
                Item::Message(_)
                | Item::Reasoning(_)
                | Item::Result(_)
                | Item::ToolsAdded(_)
                | Item::HostedCall { .. }
                | Item::Compaction { .. }
                | Item::Unknown { .. } => None,
            })
            .collect();
        let mut items = vec![message(Role::User, asked)];
        items.extend(
            calls
                .into_iter()
                .flat_map(|(thought, call)| [thought, call]),
        );
        items.extend(results);
        let text = |words: String| vec![Part::Text(Text::plain(words))];
        items.push(message(Role::Assistant, text(answer)));
        items.push(message(Role::User, text("go on".to_owned())));
        items
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_history_becomes_a_request_that_is_taken(
        items in prop::collection::vec(item(), 0..14),
        settings in settings(),
        profile in profiles(),
    ) {
        let request = Request { items, ..settings };
        rules::check(&body(&request, &profile), Rules {
            inline: profile.late_instructions == LateInstructions::Inline,
            unsigned: profile.unsigned_thinking,
            forced_choice: profile.forced_choice_with_thinking,
        });
    }

    /// What is at stake is the provider's prompt cache.
    #[test]
    fn a_longer_conversation_begins_with_the_bytes_of_the_shorter(
        turns in prop::collection::vec(orderly_turn(), 1..4),
        longer in orderly_turn(),
        settings in settings(),
    ) {
        // What is asked next goes into the last message of the shorter one when that has not been answered.
        let settings = Request { instructions: Some(Text::plain("Be brief.")), ..settings };
        let rendered = |turns: &[Vec<Item<'static>>]| {
            let request = Request { items: turns.concat(), ..settings.clone() };
            render(&request, &ModelFacts::named("m"), &Profile::default()).unwrap().body
        };
        let short = rendered(&turns);
        let text = String::from_utf8(short.clone()).unwrap();
        let behind = ["]}],\"tools\":", "]}],\"max_tokens\":"];
        let end = behind.iter().find_map(|behind| text.rfind(behind)).unwrap();
        let mut all = turns.clone();
        all.push(longer);
        prop_assert!(rendered(&all).starts_with(&short[..end]));
    }

    /// A request that is rendered twice is the same twice.
    #[test]
    fn rendering_depends_on_nothing_but_the_request(
        items in prop::collection::vec(item(), 0..8),
        settings in settings(),
        profile in profiles(),
    ) {
        let request = Request { items, ..settings };
        let render = || render(&request, &ModelFacts::named("m"), &profile).unwrap();
        let (one, two) = (render(), render());
        prop_assert_eq!(one.body, two.body);
        prop_assert_eq!(one.losses, two.losses);
    }
}
