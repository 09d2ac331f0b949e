//! The scenarios, one after the other.

use polywire_catalog::Kind;
use polywire_conversation::FaultClass;
use polywire_gateway::turn::Answer;
use polywire_testkit::{Gate, Reply};
use serde_json::{Value, json};

use crate::Cell;
use crate::answers::{End, Say, reply, reply_in_two};
use crate::bench::{Bench, Turn};
use crate::outgoing::{self, has_number, paths_of, tools};

/// The smallest picture there is.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// The columns of the table.
pub(crate) const SCENARIOS: [&str; 12] = [
    "text",
    "reasoning",
    "one tool",
    "parallel tools",
    "reasoning replay",
    "images",
    "structured output",
    "length stop",
    "refusal",
    "error before the stream",
    "error inside the stream",
    "cancel",
];

/// All of them with one preset, in the order of [`SCENARIOS`].
pub(crate) async fn row(bench: &Bench) -> Vec<Cell> {
    vec![
        text(bench).await,
        reasoning(bench).await,
        one_tool(bench).await,
        parallel_tools(bench).await,
        Box::pin(replay(bench)).await,
        images(bench).await,
        Box::pin(structured(bench)).await,
        length(bench).await,
        refusal(bench).await,
        error_before(bench).await,
        error_inside(bench).await,
        cancel(bench).await,
    ]
}

async fn play(bench: &Bench, say: &Say, body: Value) -> Turn {
    bench.answers(reply(bench.kind, say));
    let turn = bench.turn(body).await;
    outgoing::check(&bench.id, bench.kind, &turn.sent);
    turn
}

fn says(text: &'static str) -> Say {
    Say {
        text,
        ..Say::default()
    }
}

fn look() -> Value {
    let schema =
        json!({"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]});
    json!([{"type": "function", "name": "look", "description": "Looks.", "parameters": schema, "strict": false}])
}

async fn text(bench: &Bench) -> Cell {
    let turn = play(
        bench,
        &says("Good morning."),
        json!({"instructions": "Be kind.", "input": "Hello-17"}),
    )
    .await;
    assert_eq!(turn.reading.text, "Good morning.", "{}", bench.id);
    assert_eq!(turn.reading.finish, Some("stop"), "{}", bench.id);
    for words in ["Be kind.", "Hello-17"] {
        assert_eq!(
            paths_of(&turn.sent, words).len(),
            1,
            "{}: {words}",
            bench.id
        );
    }
    Cell::Yes
}

async fn reasoning(bench: &Bench) -> Cell {
    let say = Say {
        thought: Some("Let me think."),
        ..says("Four.")
    };
    let body = json!({"input": "2+2?", "reasoning": {"effort": "high", "summary": "auto"}});
    let turn = play(bench, &say, body).await;
    assert_eq!(turn.reading.reasoning, "Let me think.", "{}", bench.id);
    assert_eq!(turn.reading.text, "Four.", "{}", bench.id);
    let settings = [
        "reasoning_effort",
        "reasoning",
        "thinking",
        "enable_thinking",
        "chat_template_kwargs",
        "output_config",
        "reasoningEffort",
    ];
    let top = [&turn.sent, &turn.sent["params"], &turn.sent["config"]];
    let asked = settings
        .iter()
        .any(|key| top.iter().any(|object| !object[key].is_null()));
    if asked {
        return Cell::Yes;
    }
    Cell::Cannot(turn.why(&["reasoning", "thinking"]))
}

async fn one_tool(bench: &Bench) -> Cell {
    let say = Say {
        calls: &["call_1"],
        ..says("")
    };
    let turn = play(bench, &say, json!({"input": "Look!", "tools": look()})).await;
    assert_eq!(tools(&turn.sent), ["look"], "{}", bench.id);
    assert_eq!(turn.reading.finish, Some("tool_calls"), "{}", bench.id);
    assert_eq!(turn.reading.calls.len(), 1, "{}", bench.id);
    Cell::Yes
}

async fn parallel_tools(bench: &Bench) -> Cell {
    let say = Say {
        calls: &["call_3", "call_4"],
        ..says("")
    };
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "look", "arguments": "{\"at\":1}"});
    let result = |id: &str, said: &str| json!({"type": "function_call_output", "call_id": id, "output": said});
    let input = json!([
        {"role": "user", "content": "Look twice!"},
        call("call_1"), call("call_2"), result("call_1", "Found-1"), result("call_2", "Found-2"),
    ]);
    let turn = play(bench, &say, json!({"input": input, "tools": look()})).await;
    for words in ["Found-1", "Found-2"] {
        assert_eq!(
            paths_of(&turn.sent, words).len(),
            1,
            "{}: {words}",
            bench.id
        );
    }
    let ids: Vec<&str> = turn.reading.calls.iter().map(|call| &*call.id).collect();
    assert_eq!(ids, ["call_3", "call_4"], "{}", bench.id);
    Cell::Yes
}

/// A thought and its state go back, as much of them as the provider takes.
async fn replay(bench: &Bench) -> Cell {
    let say = Say {
        thought: Some("Thought-17."),
        state: Some("State-17=="),
        calls: &["call_1"],
        ..says("")
    };
    let asks = json!({"role": "user", "content": "Look!"});
    let settings = |input: Value| {
        json!({"input": input, "tools": look(), "reasoning": {"effort": "high", "summary": "auto"},
            "include": ["reasoning.encrypted_content"]})
    };
    let first = play(bench, &say, settings(json!([asks]))).await;
    let mut input = vec![asks];
    input.extend(first.reading.items);
    input.push(json!({"type": "function_call_output", "call_id": "call_1", "output": "Found."}));
    let second = play(bench, &says("Done."), settings(input.into())).await;
    let sent = second.sent.to_string();
    assert!(
        !sent.contains("pw1."),
        "{}: an envelope went out: {sent}",
        bench.id
    );
    if sent.contains("Thought-17.") || sent.contains("State-17==") {
        return Cell::Yes;
    }
    Cell::Cannot(second.why(&["reasoning", "thinking"]))
}

async fn images(bench: &Bench) -> Cell {
    let url = format!("data:image/png;base64,{PIXEL}");
    let content = json!([{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": url}]);
    let body = json!({"input": [{"role": "user", "content": content}]});
    let turn = play(bench, &says("A dot."), body).await;
    if paths_of(&turn.sent, PIXEL).is_empty() {
        return Cell::Cannot(turn.why(&["image"]));
    }
    Cell::Yes
}

async fn structured(bench: &Bench) -> Cell {
    let schema = json!({"type": "object", "properties": {"zebra": {"type": "integer"}},
        "required": ["zebra"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "n", "schema": schema, "strict": true});
    let body = json!({"input": "How many?", "text": {"format": format}});
    let turn = play(bench, &says("{\"zebra\":1}"), body).await;
    assert_eq!(turn.reading.text, "{\"zebra\":1}", "{}", bench.id);
    // As a member it stands in a schema, otherwise in words for the model.
    let is_schema = |path: &String| path.rsplit('.').next() == Some("zebra");
    let paths = paths_of(&turn.sent, "zebra");
    assert!(!paths.is_empty(), "{}: {:#}", bench.id, turn.sent);
    if paths.iter().any(is_schema) {
        return Cell::Yes;
    }
    Cell::InWords(turn.why(&["format", "schema"]))
}

async fn length(bench: &Bench) -> Cell {
    let say = Say {
        end: End::Length,
        ..says("Once upon")
    };
    let turn = play(
        bench,
        &say,
        json!({"input": "A story!", "max_output_tokens": 1777}),
    )
    .await;
    assert_eq!(turn.reading.finish, Some("length"), "{}", bench.id);
    assert_eq!(turn.reading.text, "Once upon", "{}", bench.id);
    if has_number(&turn.sent, 1777) {
        return Cell::Yes;
    }
    Cell::Cannot(turn.why(&["max_output_tokens"]))
}

async fn refusal(bench: &Bench) -> Cell {
    let say = Say {
        refusal: "I would rather not.",
        ..Say::default()
    };
    let turn = play(bench, &say, json!({"input": "Do harm."})).await;
    let reading = turn.reading;
    let told = reading.refusal + &reading.text;
    assert_eq!(told, "I would rather not.", "{}", bench.id);
    let finish = match bench.kind {
        // These say with a part that it is a refusal, the others with the reason to stop.
        Kind::Chat | Kind::Responses | Kind::ChatGpt => Some("stop"),
        Kind::Messages
        | Kind::CommandCode
        | Kind::CodexExec
        | Kind::CodexAppServer
        | Kind::Demo => Some("content_filter"),
    };
    assert_eq!(reading.finish, finish, "{}", bench.id);
    Cell::Yes
}

async fn error_before(bench: &Bench) -> Cell {
    bench.answers(Reply::error(401, "invalid_api_key", "Invalid API key"));
    match bench.begin(json!({"input": "Hello"})).await {
        Answer::Failed { fault, .. } => {
            assert_eq!(fault.class, FaultClass::Auth, "{}: {fault:?}", bench.id);
            assert!(
                fault.message.contains("Invalid API key"),
                "{}: {fault}",
                bench.id
            );
        }
        Answer::Stream { .. } | Answer::FailedStream { .. } | Answer::Whole { .. } => {
            panic!("{}: an answer", bench.id)
        }
    }
    Cell::Yes
}

async fn error_inside(bench: &Bench) -> Cell {
    let say = Say {
        end: End::Error,
        ..says("Once upon")
    };
    let gate = Gate::new();
    bench.answers(reply_in_two(bench.kind, &say, &gate));
    let answer = bench.begin(json!({"input": "A story!"})).await;
    gate.open();
    let turn = bench.end(answer).await;
    let told = turn.reading.error.unwrap();
    assert_eq!(told.kind, "server_error", "{}", bench.id);
    assert!(told.message.contains("gone"), "{}: {told:?}", bench.id);
    assert_eq!(turn.reading.text, "Once upon", "{}", bench.id);
    Cell::Yes
}

async fn cancel(bench: &Bench) -> Cell {
    let say = Say {
        end: End::Never,
        ..says("Once upon")
    };
    bench.answers(reply(bench.kind, &say));
    let answer = bench.begin(json!({"input": "A story!"})).await;
    assert!(matches!(answer, Answer::Stream { .. }), "{}", bench.id);
    let index = bench.upstream.received().len() - 1;
    drop(answer);
    bench.upstream.client_gone(index).await;
    Cell::Yes
}
