//! Answers of the service, as each client gets them.

use polywire_gateway::turn::Answer;
use polywire_gateway::{Client, ClientDialect};
use polywire_testkit::{Gate, Received, Reply, ResponsesStream, Step};
use serde_json::{Value, json};

use crate::bench::{Bench, TOKENS, hello, ways};
use crate::support::clients::{self, Input, frames};
use crate::support::stream_bytes;

fn thinker() -> ResponsesStream {
    ResponsesStream::new("resp_1")
        .event(json!({"type": "codex.rate_limits", "rate_limits": {"primary": {"used_percent": 12.0}}}))
        .reasoning("rs_1", "Thinking.", "gAAAA/1==")
        .text("msg_1", "Hello yourself.")
}

#[tokio::test]
async fn everybody_gets_text_thoughts_and_tokens() {
    let bench = Bench::new(|_, _| thinker().completed(TOKENS));
    for (dialect, stream) in ways() {
        let mut body = hello(dialect, stream);
        match dialect {
            ClientDialect::Responses => {
                body["reasoning"] = json!({"summary": "auto", "effort": "low"});
            }
            ClientDialect::Chat => body["reasoning_effort"] = json!("low"),
            ClientDialect::Messages => {
                body["thinking"] = json!({"type": "enabled", "budget_tokens": 2048});
            }
        }
        let got = bench.ask(dialect, &body).await.answer();
        let place = format!("{dialect:?} {stream}");
        assert_eq!(got.text, "Hello yourself.", "{place}");
        assert_eq!(got.reasoning, "Thinking.", "{place}");
        assert_eq!(got.finish, Some("stop"), "{place}");
        let usage = got.usage.unwrap();
        assert_eq!(
            (usage.input, usage.cached, usage.output),
            (100, 60, 7),
            "{place}"
        );
        assert_eq!(
            bench.last_sent().json()["reasoning"]["effort"],
            "low",
            "{place}"
        );
    }
}

/// The items come in their events only, and not in their order.
fn scattered() -> Reply {
    let done = |index: usize, item: Value| json!({"type": "response.output_item.done", "output_index": index, "item": item});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look",
        "arguments": "{\"at\":1}", "status": "completed"});
    let message = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}]});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item":
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}});
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
        "item_id": "msg_1", "delta": "Let me look."});
    let begun = json!({"type": "response.output_item.added", "output_index": 1, "item":
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "", "status": "in_progress"}});
    let pieces = json!({"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc_1", "delta": "{\"at\":1}"});
    ResponsesStream::new("resp_1")
        .event(added)
        .event(delta)
        .event(begun)
        .event(pieces)
        .event(done(1, call))
        .event(done(0, message))
        .completed_without_output(TOKENS)
}

#[tokio::test]
async fn an_empty_output_is_filled_from_the_items_in_their_order() {
    let bench = Bench::new(|_, _| scattered());
    for (dialect, stream) in ways() {
        let mut body = hello(dialect, stream);
        let schema = json!({"type": "object", "properties": {"at": {"type": "integer"}}});
        body["tools"] = match dialect {
            ClientDialect::Responses => {
                json!([{"type": "function", "name": "look", "parameters": schema, "strict": false}])
            }
            ClientDialect::Chat => {
                json!([{"type": "function", "function": {"name": "look", "parameters": schema}}])
            }
            ClientDialect::Messages => json!([{"name": "look", "input_schema": schema}]),
        };
        let answer = bench.begin(dialect, Client::Sdk, &body).await;
        let place = format!("{dialect:?} {stream}");
        let got = match answer {
            Answer::Stream { body, .. } => {
                let bytes = stream_bytes(body).await;
                if dialect == ClientDialect::Responses {
                    let last = frames(&bytes).pop().unwrap().1;
                    let output = last["response"]["output"].as_array().unwrap();
                    let ids: Vec<&Value> = output.iter().map(|item| &item["id"]).collect();
                    assert_eq!(ids, ["msg_1", "fc_1"], "{place}");
                }
                clients::streamed(dialect, &bytes, true)
            }
            Answer::Whole { body, .. } => clients::whole(dialect, &body),
            Answer::Failed { fault, .. } => panic!("{place}: {fault}"),
            Answer::FailedStream { .. } => panic!("{place}"),
        };
        assert_eq!(got.text, "Let me look.", "{place}");
        assert_eq!(got.finish, Some("tool_calls"), "{place}");
        assert_eq!(got.calls.len(), 1, "{place}");
        assert_eq!(got.calls[0].input, Input::Json(json!({"at": 1})), "{place}");
    }
}

#[tokio::test]
async fn what_was_said_before_the_cut_is_kept() {
    let bench = Bench::new(|_, _| {
        ResponsesStream::new("resp_1")
            .text("msg_1", "Once upon")
            .incomplete("max_output_tokens", TOKENS)
    });
    for (dialect, stream) in ways() {
        let got = bench.ask(dialect, &hello(dialect, stream)).await.answer();
        assert_eq!(got.text, "Once upon", "{dialect:?} {stream}");
        assert_eq!(got.finish, Some("length"), "{dialect:?} {stream}");
    }
}

#[tokio::test]
async fn events_of_the_service_itself_reach_codex_only() {
    let reply = || {
        ResponsesStream::new("resp_1")
            .event(json!({"type": "codex.rate_limits", "rate_limits": {}}))
            .event(json!({"type": "codex.response.metadata", "headers": {}}))
            .event(json!({"type": "keepalive"}))
            .text("msg_1", "Hello.")
            .completed(TOKENS)
    };
    let bench = Bench::new(move |_, _| reply());
    for (client, expected) in [(Client::Sdk, false), (Client::Codex, true)] {
        let body = json!({"input": [{"type": "message", "role": "user", "content": "Hi"}], "stream": true});
        let Answer::Stream { body, .. } =
            bench.begin(ClientDialect::Responses, client, &body).await
        else {
            panic!("no stream");
        };
        let frames = frames(&stream_bytes(body).await);
        let has = frames.iter().any(|(name, _)| name == "codex.rate_limits");
        assert_eq!(has, expected, "{client:?}");
        let others = frames.iter().any(|(name, _)| name == "keepalive");
        assert_eq!(others, expected, "{client:?}");
        for (number, (_, event)) in frames.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{client:?}");
        }
        assert_eq!(frames.last().unwrap().0, "response.completed");
    }
}

/// A stream is passed on while it comes.
#[tokio::test]
async fn streams_are_streamed() {
    for dialect in clients::DIALECTS {
        let gate = Gate::new();
        let waits = gate.clone();
        let delta = |text: &str| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": text});
        let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []});
        let script = move |_: usize, _: &Received| {
            let frame = |event: Value| {
                Step::Bytes(
                    format!(
                        "event: {}\ndata: {event}\n\n",
                        event["type"].as_str().unwrap()
                    )
                    .into_bytes(),
                )
            };
            let response = |status: &str| {
                json!({"id": "resp_1", "object": "response", "status": status, "model": "m", "output": [],
                "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
            };
            Reply::stream(vec![
                frame(json!({"type": "response.created", "response": response("in_progress")})),
                frame(
                    json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
                ),
                frame(delta("One, ")),
                Step::Wait(waits.clone()),
                frame(delta("two.")),
                frame(json!({"type": "response.completed", "response": response("completed")})),
            ])
        };
        let bench = Bench::new(script);
        // It begins although the service has not ended.
        let answer = bench
            .begin(dialect, Client::Sdk, &hello(dialect, true))
            .await;
        gate.open();
        let Answer::Stream { body, .. } = answer else {
            panic!("no stream");
        };
        let bytes = stream_bytes(body).await;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (one, two) = (text.find("One, ").unwrap(), text.find("two.").unwrap());
        assert!(one < two, "{dialect:?}: {text}");
    }
}
