//! Clients that forget what led to their calls, on providers that insist on it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod support;

use polywire_catalog::{Kind, Provider};
use polywire_gateway::ClientDialect;
use polywire_gateway::turn::Answer;
use polywire_testkit::{ChatStream, Reply, ScriptedUpstream, Step, answer};
use serde_json::{Value, json};
use support::{asked, configuration, gateway, provider};

fn whole(answer: Answer) -> Value {
    match answer {
        Answer::Whole { body, .. } => serde_json::from_slice(&body).unwrap(),
        Answer::Failed { fault, .. } => panic!("{fault}"),
        Answer::Stream { .. } | Answer::FailedStream { .. } => panic!("a stream"),
    }
}

fn chat(messages: &[Value]) -> Value {
    json!({"model": "main", "messages": messages, "reasoning_effort": "high", "tools": [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}},
    ]})
}

fn question() -> Value {
    json!({"role": "user", "content": "is it there?"})
}

/// The next messages of a client that sends back nothing but text and calls.
fn forgetful(first: &Value) -> Vec<Value> {
    let said = &first["choices"][0]["message"];
    let id = &said["tool_calls"][0]["id"];
    vec![
        question(),
        json!({"role": "assistant", "content": said["content"], "tool_calls": said["tool_calls"]}),
        json!({"role": "tool", "tool_call_id": id, "content": "yes"}),
    ]
}

/// A provider that insists on its `reasoning_content`, as DeepSeek does, and a model that thinks before it calls.
fn insisting() -> ScriptedUpstream {
    ScriptedUpstream::start(|_, request| {
        let messages = request.messages();
        let mut calling = messages
            .iter()
            .filter(|message| message["tool_calls"].is_array());
        let complete = calling.all(|message| message["reasoning_content"] == "I should look.");
        let answered = messages.iter().any(|message| message["role"] == "tool");
        match (complete, answered) {
            (false, _) => Reply::error(
                400,
                "invalid_request_error",
                "Missing `reasoning_content` field in the assistant message",
            ),
            (true, true) => answer("It is."),
            (true, false) => ChatStream::new()
                .reasoning("I should ")
                .reasoning("look.")
                .call("call_0", "look", &json!({"at": "it"}))
                .finish("tool_calls")
                .done(),
        }
    })
}

fn deepseek_like(upstream: &ScriptedUpstream) -> Provider {
    let mut provider = provider("one", upstream);
    let habits = [
        ("reasoning_back", "reasoning_content".into()),
        ("reasoning_back_required", true.into()),
        ("reasoning_request", "reasoning_effort".into()),
    ];
    for (key, value) in habits {
        provider.profile.insert(key.to_owned(), value);
    }
    provider
}

#[tokio::test]
async fn reasoning_that_a_chat_client_forgets_is_given_back() {
    let upstream = insisting();
    let first_gateway = gateway(configuration(vec![deepseek_like(&upstream)]));
    let first = whole(asked(&first_gateway, ClientDialect::Chat, &chat(&[question()])).await);
    let next = chat(&forgetful(&first));
    let second = whole(asked(&first_gateway, ClientDialect::Chat, &next).await);
    assert_eq!(second["choices"][0]["message"]["content"], "It is.");
    // Another process remembers nothing: the provider is asked all the same.
    let other = gateway(configuration(vec![deepseek_like(&upstream)]));
    let Answer::Failed { fault, .. } = asked(&other, ClientDialect::Chat, &next).await else {
        panic!("the provider insists");
    };
    assert_eq!(fault.status, 400);
    assert_eq!(upstream.received().len(), 3);
}

/// A provider of Messages with a budget for thinking, which refuses a turn that does not begin with it.
fn thinking() -> ScriptedUpstream {
    ScriptedUpstream::start(|_, request| {
        let body = request.json();
        let messages = body["messages"].as_array().unwrap();
        let thinks = body["thinking"]["type"] == "enabled";
        let said = messages
            .iter()
            .rev()
            .find(|message| message["role"] == "assistant");
        match said {
            None => thought_and_call(),
            Some(said) if thinks && said["content"][0]["type"] != "thinking" => Reply::json(
                400,
                &json!({"type": "error", "error": {"type": "invalid_request_error",
                    "message": "messages.1.content.0.type: Expected `thinking`, but found `tool_use`"}}),
            ),
            Some(_) => message(&[json!({"type": "text", "text": "It is."})], "end_turn"),
        }
    })
}

fn message(content: &[Value], stop: &str) -> Reply {
    Reply::json(
        200,
        &json!({"id": "msg", "type": "message", "role": "assistant", "model": "model", "content": content,
            "stop_reason": stop, "usage": {"input_tokens": 1, "output_tokens": 1}}),
    )
}

fn thought_and_call() -> Reply {
    let blocks = [
        json!({"type": "thinking", "thinking": "I should look.", "signature": "sig-1"}),
        json!({"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "it"}}),
    ];
    message(&blocks, "tool_use")
}

fn anthropic_like(upstream: &ScriptedUpstream) -> Provider {
    let mut provider = Provider {
        kind: Kind::Messages,
        ..provider("one", upstream)
    };
    provider
        .profile
        .insert("thinking".to_owned(), "manual".into());
    provider
}

#[tokio::test]
async fn thinking_that_a_chat_client_forgets_is_given_back() {
    let upstream = thinking();
    let gateway = gateway(configuration(vec![anthropic_like(&upstream)]));
    let first = whole(asked(&gateway, ClientDialect::Chat, &chat(&[question()])).await);
    let next = chat(&forgetful(&first));
    let second = whole(asked(&gateway, ClientDialect::Chat, &next).await);
    assert_eq!(second["choices"][0]["message"]["content"], "It is.");
    let body = upstream.received()[1].json();
    assert_eq!(body["thinking"]["type"], "enabled");
    let block = &body["messages"][1]["content"][0];
    assert_eq!(
        *block,
        json!({"type": "thinking", "thinking": "I should look.", "signature": "sig-1"})
    );
}

fn messages(messages: &[Value]) -> Value {
    json!({"model": "main", "max_tokens": 8000, "messages": messages, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]})
}

#[tokio::test]
async fn thinking_that_a_client_of_messages_forgets_is_given_back() {
    let upstream = thinking();
    let gateway = gateway(configuration(vec![anthropic_like(&upstream)]));
    let first = whole(asked(&gateway, ClientDialect::Messages, &messages(&[question()])).await);
    let call = first["content"]
        .as_array()
        .unwrap()
        .iter()
        .find(|block| block["type"] == "tool_use")
        .unwrap();
    let result = json!({"type": "tool_result", "tool_use_id": call["id"], "content": "yes"});
    let next = messages(&[
        question(),
        json!({"role": "assistant", "content": [call]}),
        json!({"role": "user", "content": [result]}),
    ]);
    let second = whole(asked(&gateway, ClientDialect::Messages, &next).await);
    assert_eq!(second["content"][0]["text"], "It is.");
    let body = upstream.received()[1].json();
    assert_eq!(body["messages"][1]["content"][0]["signature"], "sig-1");
}

#[tokio::test]
async fn thinking_of_another_provider_in_the_middle_of_a_tool_loop_is_no_failure() {
    let upstream = thinking();
    let gateway = gateway(configuration(vec![anthropic_like(&upstream)]));
    let body = messages(&[
        question(),
        json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": "elsewhere", "signature": "foreign"},
            {"type": "tool_use", "id": "toolu_9", "name": "look", "input": {}},
        ]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": "yes"}]}),
    ]);
    let Answer::Whole { body, losses } = asked(&gateway, ClientDialect::Messages, &body).await
    else {
        panic!("no answer");
    };
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["content"][0]["text"], "It is.");
    assert!(losses > 0);
    let sent = upstream.received()[0].text();
    assert!(!sent.contains("foreign"), "{sent}");
}

#[tokio::test]
async fn what_a_stream_showed_is_remembered_too() {
    let frames = [
        json!({"type": "message_start", "message": {"id": "msg", "type": "message", "role": "assistant", "model": "model",
            "content": [], "usage": {"input_tokens": 1, "output_tokens": 0}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "I should look."}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig-1"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"at\": \"it\"}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let upstream = ScriptedUpstream::start(move |index, _| {
        if index > 0 {
            return message(&[json!({"type": "text", "text": "It is."})], "end_turn");
        }
        let frame = |frame: &Value| {
            let name = frame["type"].as_str().unwrap_or_default();
            Step::Bytes(format!("event: {name}\ndata: {frame}\n\n").into_bytes())
        };
        Reply::stream(frames.iter().map(frame).collect())
    });
    let gateway = gateway(configuration(vec![anthropic_like(&upstream)]));
    let mut streamed = messages(&[question()]);
    streamed["stream"] = json!(true);
    support::bodies(asked(&gateway, ClientDialect::Messages, &streamed).await).await;
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "it"}});
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "yes"});
    let next = messages(&[
        question(),
        json!({"role": "assistant", "content": [call]}),
        json!({"role": "user", "content": [result]}),
    ]);
    whole(asked(&gateway, ClientDialect::Messages, &next).await);
    let block = upstream.received()[1].json()["messages"][1]["content"][0].clone();
    assert_eq!(
        block,
        json!({"type": "thinking", "thinking": "I should look.", "signature": "sig-1"})
    );
}
