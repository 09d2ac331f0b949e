//! What only `/v1/responses` has, and what becomes of it on a provider that has not.

use polywire_testkit::ChatStream;
use serde_json::json;

use super::play::{Client, TEXT, end, greeting, play_each, replies, text_of};

/// A tool that takes free text, which the provider is offered as one with arguments.
pub(crate) async fn custom(clients: &[Client]) {
    let script = "print(\"größer\")\n";
    let call = ChatStream::new().call("call_run", "run", &json!({"input": script}));
    let answers = [
        end(call, "tool_calls"),
        end(ChatStream::new().text("It ran."), "stop"),
    ];
    for played in play_each(clients, "custom", || replies(&answers)).await {
        played.assert_saw(&json!([
            {"kind": "custom_tool_call", "call": "run", "input": script, "streamed": script},
            {"text": "It ran."},
        ]));
        played.assert_requests(2);
        let messages = played.received[1].messages();
        let call = &messages[1]["tool_calls"][0];
        assert_eq!(call["function"]["name"], "run", "{}", played.client);
        let arguments = json!({"input": script}).to_string();
        assert_eq!(
            call["function"]["arguments"], arguments,
            "{}",
            played.client
        );
        let result = json!({"role": "tool", "tool_call_id": "call_run", "content": "ok"});
        assert_eq!(messages[2], result, "{}", played.client);
    }
}

/// Every event and the body have the types that the client's library declares.
pub(crate) async fn schema(clients: &[Client]) {
    let rich = || {
        let stream = ChatStream::new().reasoning("Let me think.").text("I call.");
        let stream = stream.call("call_1", "weather", &json!({"city": "Oslo"}));
        end(stream, "tool_calls")
    };
    let kinds = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.completed",
    ];
    let items = ["reasoning", "message", "function_call"];
    for played in play_each(clients, "schema", || replies(&[rich(), rich()])).await {
        played.assert_saw(&json!([{"kinds": kinds}, {"items": items}]));
    }
}

/// A library that has the server remember its answers, and refers to their items in the next request.
pub(crate) async fn remembered(clients: &[Client]) {
    // The library refers to texts and reasoning; calls it sends whole.
    let text = ChatStream::new().text("I look.");
    let calls = text.call("call_oslo", "weather", &json!({"city": "Oslo"}));
    let answers = [
        end(calls, "tool_calls"),
        end(ChatStream::new().text("Snow."), "stop"),
    ];
    for played in play_each(clients, "remembered", || replies(&answers)).await {
        let call = json!({"call": "weather", "arguments": {"city": "Oslo"}});
        assert_eq!(played.seen[0], call, "{}", played.client);
        assert_eq!(
            played.seen[1]["text"], "Snow.",
            "{}: {:#?}",
            played.client, played.seen
        );
        played.assert_requests(2);
        // What the library only referred to stands in the conversation, before the call.
        let messages = played.received[1].messages();
        let assistant = &messages[messages.len() - 2];
        assert_eq!(assistant["content"], "I look.", "{messages:#?}");
        assert_eq!(assistant["tool_calls"][0]["id"], "call_oslo");
        assert_eq!(messages[messages.len() - 1]["tool_call_id"], "call_oslo");
    }
}

/// Conversations that the gateway remembers, though the provider knows nothing of them.
pub(crate) async fn stored(clients: &[Client]) {
    let answers = [
        greeting(),
        end(ChatStream::new().text("Still here."), "stop"),
    ];
    for played in play_each(clients, "stored", || replies(&answers)).await {
        let seen = &played.seen;
        assert_eq!(seen[0], json!({"text": "Still here."}), "{}", played.client);
        assert_eq!(
            seen[1],
            json!({"retrieved": "Still here."}),
            "{}",
            played.client
        );
        // What the second request added to the conversation, or all of it: both are the input of that response.
        let items = seen[2]["items"].as_array().map_or(0, Vec::len);
        assert!((1..=3).contains(&items), "{}: {seen:#?}", played.client);
        assert_eq!(seen.len(), 6, "{}: {seen:#?}", played.client);
        for error in &seen[3..] {
            assert_eq!(
                error["error"], "NotFoundError",
                "{}: {error}",
                played.client
            );
            assert_eq!(error["status"], 404, "{}: {error}", played.client);
        }
        assert_eq!(
            seen[5]["code"], "previous_response_not_found",
            "{}",
            played.client
        );
        played.assert_requests(2);
        let texts: Vec<_> = played.received[1].messages().iter().map(text_of).collect();
        // Instructions hold for the request that they came with.
        let conversation = [
            "Say hello.".to_owned(),
            TEXT.concat(),
            "And now?".to_owned(),
        ];
        assert_eq!(texts, conversation, "{}", played.client);
    }
}

/// Several turns on one WebSocket.
pub(crate) async fn socket(clients: &[Client]) {
    let answers = [
        greeting(),
        end(ChatStream::new().text("Still here."), "stop"),
    ];
    for played in play_each(clients, "socket", || replies(&answers)).await {
        played.assert_saw(&json!([
            {"kind": "response.completed", "text": TEXT.concat()},
            {"kind": "response.completed", "text": "Still here."},
            {"kind": "error", "code": "previous_response_not_found"},
        ]));
        played.assert_requests(2);
        let texts: Vec<_> = played.received[1].messages().iter().map(text_of).collect();
        let conversation = [
            "Say hello.".to_owned(),
            TEXT.concat(),
            "And now?".to_owned(),
        ];
        assert_eq!(texts, conversation, "{}", played.client);
    }
}

/// The number of tokens of a question, which the gateway has to know without asking the model.
pub(crate) async fn counted(clients: &[Client]) {
    for played in play_each(clients, "counted", || replies(&[])).await {
        played.assert_saw(&json!([{"kind": "response.input_tokens", "counted": true}]));
        played.assert_requests(0);
    }
}
