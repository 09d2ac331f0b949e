//! Answers on their way: order, promptness, ends.

use std::time::Duration;

use nix::sys::signal::Signal;
use polywire_testkit::{
    Answer, Call, ChatStream, Gate, House, Reply, ScriptedUpstream, SseEvent, Tokens,
};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";

fn house(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

fn ask(stream: bool) -> Call {
    let tool = json!({"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}});
    let body = json!({"model": "test-model", "input": "hi", "stream": stream, "tools": [tool]});
    Call::post(RESPONSES, &body)
}

/// Reasoning, text and a call.
fn rich_answer() -> Reply {
    ChatStream::new()
        .reasoning("Let me ")
        .reasoning("think.")
        .text("Größe: ")
        .text("\"42\"\n")
        .call("call_1", "look", &json!({"at": "the \"sky\""}))
        .finish("tool_calls")
        .usage(Tokens {
            prompt: 30,
            cached: 10,
            completion: 20,
            reasoning: 5,
        })
        .done()
}

/// Checks what every stream keeps, and gives its events.
fn checked(answer: &Answer) -> Vec<SseEvent> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.headers.get("content-type"),
        Some("text/event-stream")
    );
    assert!(answer.headers.get("x-polywire-request-id").is_some());
    assert!(answer.headers.get("openai-model").is_none());
    assert!(answer.whole);
    let events = answer.events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.name, event.kind());
        assert_eq!(event.json()["sequence_number"], number, "{event:?}");
    }
    let terminal = |event: &&SseEvent| {
        [
            "response.completed",
            "response.incomplete",
            "response.failed",
        ]
        .contains(&event.kind().as_str())
    };
    assert_eq!(events.iter().filter(terminal).count(), 1, "{events:#?}");
    assert!(events.last().as_ref().is_some_and(terminal), "{events:#?}");
    events
}

fn outline(events: &[SseEvent]) -> Vec<String> {
    let mut kinds: Vec<_> = events.iter().map(SseEvent::kind).collect();
    kinds.dedup();
    kinds
}

fn joined(events: &[SseEvent], kind: &str) -> String {
    let deltas = events.iter().filter(|event| event.kind() == kind);
    deltas
        .map(|event| {
            event.json()["delta"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_stream_has_the_documented_order() {
    let house = house(ScriptedUpstream::replies(vec![rich_answer()]));
    let gateway = house.gateway().await;
    let answer = gateway.send(ask(true)).await;
    let events = checked(&answer);
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(outline(&events), expected);
    assert_eq!(
        joined(&events, "response.reasoning_summary_text.delta"),
        "Let me think."
    );
    assert_eq!(
        joined(&events, "response.output_text.delta"),
        "Größe: \"42\"\n"
    );
    let arguments = joined(&events, "response.function_call_arguments.delta");
    let arguments: Value = serde_json::from_str(&arguments).unwrap();
    assert_eq!(arguments, json!({"at": "the \"sky\""}));

    let response = &events.last().unwrap().json()["response"];
    let items: Vec<_> = events
        .iter()
        .filter(|event| event.kind() == "response.output_item.done")
        .map(|event| event.json()["item"].clone())
        .collect();
    assert_eq!(response["output"], Value::from(items));
    assert_eq!(response["output"][2]["call_id"], "call_1");
    let usage = json!({
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 50,
    });
    assert_eq!(response["usage"], usage);
}

#[tokio::test]
async fn the_size_of_the_pieces_does_not_matter() {
    let replies = vec![rich_answer(), rich_answer().trickled()];
    let house = house(ScriptedUpstream::replies(replies));
    let gateway = house.gateway().await;
    let shape = |answer: &Answer| {
        let events = checked(answer);
        let text = joined(&events, "response.output_text.delta");
        let arguments = joined(&events, "response.function_call_arguments.delta");
        let usage = events.last().unwrap().json()["response"]["usage"].clone();
        (outline(&events), text, arguments, usage)
    };
    let whole = gateway.send(ask(true)).await;
    let trickled = gateway.send(ask(true)).await;
    assert_eq!(shape(&whole), shape(&trickled));
}

#[tokio::test]
async fn who_asks_for_one_body_gets_one() {
    let house = house(ScriptedUpstream::replies(vec![
        rich_answer(),
        rich_answer(),
    ]));
    let gateway = house.gateway().await;
    let absent = json!({"model": "test-model", "input": "hi"});
    for call in [ask(false), Call::post(RESPONSES, &absent)] {
        let answer = gateway.send(call).await;
        assert_eq!(answer.headers.get("content-type"), Some("application/json"));
        let body = answer.json();
        assert_eq!(body["object"], "response");
        assert_eq!(body["status"], "completed");
        let kinds: Vec<_> = body["output"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["type"])
            .collect();
        assert_eq!(kinds, ["reasoning", "message", "function_call"]);
        assert_eq!(body["output"][1]["content"][0]["text"], "Größe: \"42\"\n");
        assert_eq!(body["usage"]["total_tokens"], 50);
    }
    // The provider streams all the same, so that an early failure or a departure is noticed.
    assert!(
        house
            .upstream
            .received()
            .iter()
            .all(|request| request.json()["stream"] == true)
    );
}

#[tokio::test]
async fn each_piece_leaves_when_it_arrives() {
    let (first, second) = (Gate::new(), Gate::new());
    let reply = ChatStream::new()
        .text("one")
        .wait(&first)
        .text("two")
        .wait(&second)
        .finish("stop")
        .done();
    let house = house(ScriptedUpstream::replies(vec![reply]));
    let gateway = house.gateway().await;
    let mut exchange = ask(true)
        .bearer(gateway.token())
        .open(gateway.address())
        .await;
    let delta = "response.output_text.delta";
    let one = exchange.events_until(delta).await.pop().unwrap();
    assert_eq!(one.json()["delta"], "one");
    first.open();
    let two = exchange.events_until(delta).await.pop().unwrap();
    assert_eq!(two.json()["delta"], "two");
    second.open();
    exchange.events_until("response.completed").await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_providers_work() {
    let house = house(ScriptedUpstream::start(|index, _| match index {
        0 | 1 => Reply::silence(),
        _ => ChatStream::new().text("one").stall(),
    }));
    let gateway = house.gateway().await;
    let ask = |stream| ask(stream).bearer(gateway.token());
    // Before the first byte: streamed, and in one body.
    for (index, stream) in [true, false].into_iter().enumerate() {
        let sent = ask(stream).dispatch(gateway.address()).await;
        house.upstream.requests(index + 1).await;
        let left = std::time::Instant::now();
        drop(sent);
        let gone = house.upstream.client_gone(index).await;
        assert!(gone - left < Duration::from_secs(1));
    }
    // In the middle: streamed, and in one body.
    let mut exchange = ask(true).open(gateway.address()).await;
    exchange.events_until("response.output_text.delta").await;
    let left = std::time::Instant::now();
    drop(exchange);
    assert!(house.upstream.client_gone(2).await - left < Duration::from_secs(1));
    let sent = ask(false).dispatch(gateway.address()).await;
    house.upstream.requests(4).await;
    drop(sent);
    house.upstream.client_gone(3).await;
}

#[tokio::test]
async fn many_streams_do_not_mix() {
    const STREAMS: usize = 40;
    let gate = Gate::new();
    let house = house(ScriptedUpstream::start({
        let gate = gate.clone();
        move |_, request| {
            let words = request.messages().last().unwrap()["content"].to_string();
            let stream = ChatStream::new().text("You said ");
            stream.wait(&gate).text(&words).finish("stop").done()
        }
    }));
    let gateway = house.gateway().await;
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let body = json!({"model": "test-model", "input": format!("<{number}>"), "stream": true});
        let call = Call::post(RESPONSES, &body).bearer(gateway.token());
        streams.push(call.open(gateway.address()).await);
    }
    house.upstream.requests(STREAMS).await;
    gate.open();
    for (number, stream) in streams.into_iter().enumerate() {
        let events = checked(&stream.rest().await);
        let text = joined(&events, "response.output_text.delta");
        assert_eq!(text, format!("You said \"<{number}>\""));
    }
}

#[tokio::test]
async fn a_stop_lets_turns_end() {
    let gate = Gate::new();
    let reply = ChatStream::new()
        .text("one")
        .wait(&gate)
        .text("two")
        .finish("stop")
        .done();
    let house = house(ScriptedUpstream::replies(vec![reply]));
    let gateway = house.gateway().await;
    let mut exchange = ask(true)
        .bearer(gateway.token())
        .open(gateway.address())
        .await;
    exchange.events_until("response.output_text.delta").await;
    gateway.process().signal(Signal::SIGTERM);
    gateway.process().stderr_line("stopping").await;
    gate.open();
    exchange.events_until("response.completed").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let house = house(ScriptedUpstream::replies(vec![
        ChatStream::new().text("one").stall(),
    ]));
    let gateway = house.gateway().await;
    let mut exchange = ask(true)
        .bearer(gateway.token())
        .open(gateway.address())
        .await;
    exchange.events_until("response.output_text.delta").await;
    gateway.process().signal(Signal::SIGTERM);
    gateway.process().stderr_line("stopping").await;
    gateway.stop().await;
    house.upstream.client_gone(0).await;
}

#[tokio::test]
async fn silence_is_filled_with_events_that_codex_counts() {
    let queued = ChatStream::default().bytes(": queued\n\n").stall();
    let begun = ChatStream::new().text("one").stall();
    let house = house(ScriptedUpstream::replies(vec![
        begun,
        queued,
        Reply::silence(),
    ]));
    let gateway = house.gateway().await;
    let ask = || ask(true).as_codex().bearer(gateway.token());
    let mut begun = ask().open(gateway.address()).await;
    begun.events_until("response.output_text.delta").await;
    let queued = ask().dispatch(gateway.address()).await;
    let silent = ask().dispatch(gateway.address()).await;
    // After the first text the next event is the heartbeat.
    assert_eq!(begun.events_until("response.in_progress").await.len(), 1);
    // Who has waited that long for anything at all gets the beginning of a stream, and heartbeats from then on.
    for sent in [queued, silent] {
        let mut exchange = sent.head().await;
        assert_eq!(exchange.status, 200);
        exchange.events_until("response.in_progress").await;
    }
}
