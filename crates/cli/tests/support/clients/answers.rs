//! Answers of every kind, and what the client makes of them.

use polywire_testkit::{ChatStream, RED_PNG_BASE64, ScriptedUpstream, answer};
use serde_json::{Value, json};

use super::play::*;

/// One answer in one body.
pub(crate) async fn text(clients: &[Client], stop: &Value) {
    for played in play_each(clients, "text", || replies(&[greeting()])).await {
        played.assert_saw(&json!([{"text": TEXT.concat(), "stop": stop, "usage": usage()}]));
        assert_greeted(&played);
    }
}

/// One answer through the client's helper for streams.
pub(crate) async fn stream(clients: &[Client], stop: &Value) {
    for played in play_each(clients, "stream", || replies(&[greeting()])).await {
        let seen = json!({"pieces": TEXT, "text": TEXT.concat(), "stop": stop, "usage": usage()});
        played.assert_saw(&json!([seen]));
        assert_greeted(&played);
    }
}

fn assert_greeted(played: &Played) {
    played.assert_requests(1);
    let messages = played.received[0].messages();
    let texts: Vec<_> = messages.iter().map(text_of).collect();
    assert_eq!(texts, ["Be brief.", "Say hello."], "{}", played.client);
}

/// An answer that follows a schema, as an object of the client's own.
pub(crate) async fn parse(clients: &[Client]) {
    let opera = json!({"name": "Sydney", "people": 5_500_000});
    let reply = end(ChatStream::new().text(&opera.to_string()), "stop");
    for played in play_each(clients, "parse", || replies(std::slice::from_ref(&reply))).await {
        played.assert_saw(&json!([{"parsed": opera, "type": "City"}]));
        played.assert_requests(1);
        let format = &played.received[0].json()["response_format"];
        assert_eq!(format["type"], "json_schema", "{}", played.client);
        let properties = &format["json_schema"]["schema"]["properties"];
        assert_eq!(
            properties["name"]["type"], "string",
            "{}: {format}",
            played.client
        );
        assert_eq!(
            properties["people"]["type"], "integer",
            "{}: {format}",
            played.client
        );
    }
}

/// Two calls at once, and their results in the next request.
pub(crate) async fn tools(clients: &[Client], stop: &Value) {
    loop_over_tools(clients, "tools", stop).await;
}

/// The same through a helper that runs the tools by itself.
pub(crate) async fn runner(clients: &[Client], stop: &Value) {
    loop_over_tools(clients, "runner", stop).await;
}

async fn loop_over_tools(clients: &[Client], scenario: &str, stop: &Value) {
    let calls = ChatStream::new()
        .reasoning("Oslo and Rome.")
        .text("I look.")
        .call("call_oslo", "weather", &json!({"city": "Oslo"}))
        .call("call_rome", "weather", &json!({"city": "Rome"}));
    let last = end(ChatStream::new().text("Snow there, sun here."), "stop");
    let script = [end(calls, "tool_calls"), last];
    for played in play_each(clients, scenario, || replies(&script)).await {
        played.assert_saw(&json!([
            {"call": "weather", "arguments": {"city": "Oslo"}},
            {"call": "weather", "arguments": {"city": "Rome"}},
            {"text": "Snow there, sun here.", "stop": stop},
        ]));
        played.assert_requests(2);
        assert_tool_was_offered(&played);
        assert_results_came_back(&played);
    }
}

fn assert_tool_was_offered(played: &Played) {
    for request in &played.received {
        let body = request.json();
        let tools = body["tools"].as_array().unwrap_or_else(|| panic!("{body}"));
        assert_eq!(tools.len(), 1, "{}: {body}", played.client);
        let function = &tools[0]["function"];
        assert_eq!(function["name"], "weather", "{}", played.client);
        assert_eq!(
            function["parameters"]["properties"]["city"]["type"], "string",
            "{}: {function}",
            played.client
        );
    }
}

fn assert_results_came_back(played: &Played) {
    let messages = played.received[1].messages();
    let at = messages
        .iter()
        .position(|message| message["role"] == "assistant")
        .unwrap_or_else(|| panic!("{}: {messages:#?}", played.client));
    assert_eq!(text_of(&messages[at]), "I look.", "{}", played.client);
    let calls: Vec<_> = messages[at]["tool_calls"]
        .as_array()
        .unwrap_or_else(|| panic!("{}: {messages:#?}", played.client))
        .iter()
        .map(|call| {
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            (call["id"].clone(), arguments["city"].clone())
        })
        .collect();
    let expected = [("call_oslo", "Oslo"), ("call_rome", "Rome")];
    assert_eq!(
        calls,
        expected.map(|(id, city)| (id.into(), city.into())),
        "{}",
        played.client
    );
    let results: Vec<_> = messages[at + 1..]
        .iter()
        .map(|message| {
            (
                message["role"].clone(),
                message["tool_call_id"].clone(),
                text_of(message),
            )
        })
        .collect();
    let expected = [("call_oslo", "snow"), ("call_rome", "sun")]
        .map(|(id, result)| ("tool".into(), id.into(), result.to_owned()));
    assert_eq!(results, expected, "{}", played.client);
}

/// The model's reasoning, shown and handed back in the next request.
pub(crate) async fn reasoning(clients: &[Client], first: &Value) {
    let thought = ChatStream::new().reasoning("Let me ").reasoning("think.");
    let script = [end(thought.text("Done."), "stop"), greeting()];
    for played in play_each(clients, "reasoning", || replies(&script)).await {
        let mut expected = first.as_array().cloned().unwrap_or_default();
        expected.push(json!({"text": TEXT.concat()}));
        played.assert_saw(&Value::from(expected));
        played.assert_requests(2);
        let messages = played.received[1].messages();
        let roles: Vec<_> = messages.iter().map(|message| &message["role"]).collect();
        assert_eq!(roles, ["user", "assistant", "user"], "{}", played.client);
        assert_eq!(text_of(&messages[1]), "Done.", "{}", played.client);
    }
}

/// An answer that the limit of tokens ended.
pub(crate) async fn length(clients: &[Client], stop: &Value) {
    let reply = end(ChatStream::new().text("1, 2, 3"), "length");
    for played in play_each(clients, "length", || replies(std::slice::from_ref(&reply))).await {
        played.assert_saw(&json!([{"text": "1, 2, 3", "stop": stop}]));
        played.assert_requests(1);
        let body = played.received[0].json();
        let limits = ["max_tokens", "max_completion_tokens"].map(|name| body[name].as_u64());
        assert!(limits.contains(&Some(64)), "{}: {body}", played.client);
    }
}

/// A model that refuses.
pub(crate) async fn refusal(clients: &[Client], expected: &Value) {
    let delta = json!({"role": "assistant", "content": null, "refusal": "I would rather not."});
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}],
    });
    let reply = end(ChatStream::default().event(&chunk), "stop");
    for played in play_each(clients, "refusal", || replies(std::slice::from_ref(&reply))).await {
        played.assert_saw(&json!([expected]));
        played.assert_requests(1);
    }
}

/// A picture in the question.
pub(crate) async fn image(clients: &[Client]) {
    for played in play_each(clients, "image", || replies(&[answer("Red.")])).await {
        played.assert_saw(&json!([{"text": "Red."}]));
        played.assert_requests(1);
        let messages = played.received[0].messages();
        let parts = messages.last().map(|message| message["content"].clone());
        let parts = parts.unwrap_or_default();
        assert_eq!(
            parts[0]["text"], "Which colour?",
            "{}: {parts}",
            played.client
        );
        assert_eq!(
            parts[1]["image_url"]["url"],
            format!("data:image/png;base64,{RED_PNG_BASE64}"),
            "{}",
            played.client
        );
    }
}

/// A stream with a byte order mark, a call without an id and without arguments, and text after it.
pub(crate) async fn odd(clients: &[Client]) {
    let piece = |delta: Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}],
        })
    };
    let call = json!({"index": 0, "function": {"name": "weather", "arguments": ""}});
    let stream = ChatStream::default()
        .bytes("\u{feff}")
        .event(&piece(json!({"role": "assistant"})))
        .event(&piece(json!({"tool_calls": [call]})))
        .text("I look.");
    let reply = end(stream, "tool_calls");
    for played in play_each(clients, "odd", || replies(std::slice::from_ref(&reply))).await {
        let seen = json!({"named": true, "arguments": "{}", "text": "I look."});
        played.assert_saw(&json!([seen]));
    }
}

/// An answer without anything in it.
pub(crate) async fn empty(clients: &[Client], stop: &Value) {
    let reply = end(ChatStream::new(), "stop");
    let always = || {
        let reply = reply.clone();
        ScriptedUpstream::start(move |_, _| reply.clone())
    };
    for played in play_each(clients, "empty", always).await {
        played.assert_saw(&json!([{"text": "", "stop": stop}]));
    }
}

/// The list of models, as the client reads it.
pub(crate) async fn models(clients: &[Client]) {
    for played in play_each(clients, "models", || replies(&[])).await {
        played.assert_saw(&json!([{"models": ["demo/demo", "house/test-model", "test-model"]}]));
        played.assert_requests(0);
    }
}

/// The number of tokens of a question, which the gateway has to know without asking the model.
pub(crate) async fn count(clients: &[Client]) {
    for played in play_each(clients, "count", || replies(&[])).await {
        played.assert_saw(&json!([{"counted": true}]));
        played.assert_requests(0);
    }
}
