//! Real client libraries on the engines: their provider is the real Codex, whose own model is scripted.
//!
//! A library plays all of its scenarios on one gateway. What it sees is the same as on any other provider (`clients_chat.rs` and
//! its like), but for the sizes of the pieces; what the model is asked has been through Codex.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use clients::{
    Client,
    play::{TEXT, usage},
};
use engines::{APP_SERVER, EXEC};
use guests::{Guest, Played};
use polywire_testkit::Language::{Node, Python};
use polywire_testkit::RED_PNG_BASE64;
use polywire_testkit::Speaks::{self, Chat, Messages, Responses};
use scripted_model::{SCRIPT, SEALED, THOUGHT, items_of, opera};
use serde_json::{Value, json};

#[path = "support/clients/mod.rs"]
#[allow(dead_code, reason = "each test program plays some of the scenarios")]
mod clients;
#[path = "support/engines.rs"]
#[allow(dead_code, reason = "each test program needs some of it")]
mod engines;
#[path = "support/guests.rs"]
mod guests;
#[path = "support/scripted_model.rs"]
mod scripted_model;

/// What a library sees that speaks a dialect.
struct Words {
    stop: Value,
    too_long: &'static str,
    /// What it tells of the thoughts of an answer.
    thought: Value,
}

fn words(speaks: Speaks) -> Words {
    let (stop, too_long, thought) = match speaks {
        Chat => ("stop", "length", json!({"reasoning_tokens": 3})),
        Responses => (
            "completed",
            "max_output_tokens",
            json!({"reasoning_tokens": 3}),
        ),
        Messages => ("end_turn", "max_tokens", json!({"signed": true})),
    };
    Words {
        stop: stop.into(),
        too_long,
        thought,
    }
}

async fn text(guest: &Guest, stop: &Value) {
    let played = guest.play("text").await;
    played.assert(
        &json!([{"text": TEXT.concat(), "stop": stop, "usage": usage()}]),
        1,
    );
    assert_eq!(
        played.texts(0),
        ["Be brief.", "Say hello."],
        "{}",
        played.told
    );
}

/// The app-server gives the pieces of a text as they come, `codex exec` the whole text when it is there.
async fn stream(guest: &Guest, stop: &Value) {
    let played = guest.play("stream").await;
    let pieces = match guest.kind {
        APP_SERVER => json!(TEXT),
        _ => json!([TEXT.concat()]),
    };
    let seen = json!({"pieces": pieces, "text": TEXT.concat(), "stop": stop, "usage": usage()});
    played.assert(&json!([seen]), 1);
    assert_eq!(
        played.texts(0),
        ["Be brief.", "Say hello."],
        "{}",
        played.told
    );
}

async fn parse(guest: &Guest) {
    let played = guest.play("parse").await;
    played.assert(&json!([{"parsed": opera(), "type": "City"}]), 1);
    let format = &played.asked[0]["text"]["format"];
    assert_eq!(format["type"], "json_schema", "{}: {format}", played.told);
    let properties = &format["schema"]["properties"];
    assert_eq!(
        properties["name"]["type"], "string",
        "{}: {format}",
        played.told
    );
    assert_eq!(
        properties["people"]["type"], "integer",
        "{}: {format}",
        played.told
    );
}

async fn image(guest: &Guest) {
    let played = guest.play("image").await;
    played.assert(&json!([{"text": "Red."}]), 1);
    let asked = played.asked[0]["input"].to_string();
    let picture = format!("data:image/png;base64,{RED_PNG_BASE64}");
    assert!(asked.contains(&picture), "{}: {asked}", played.told);
}

/// Two calls at once end the first answer; the thread waits, and goes on in the second request.
async fn tools(guest: &Guest, scenario: &str, stop: &Value) {
    let played = guest.play(scenario).await;
    let seen = json!([
        {"call": "weather", "arguments": {"city": "Oslo"}},
        {"call": "weather", "arguments": {"city": "Rome"}},
        {"text": "Snow there, sun here.", "stop": stop},
    ]);
    played.assert(&seen, 2);
    played.assert_one_thread();
    for asked in &played.asked {
        let tools = &asked["tools"];
        assert_eq!(
            tools.as_array().map(Vec::len),
            Some(1),
            "{}: {tools}",
            played.told
        );
        assert_eq!(tools[0]["name"], "weather", "{}: {tools}", played.told);
        let city = &tools[0]["parameters"]["properties"]["city"];
        assert_eq!(city["type"], "string", "{}: {tools}", played.told);
    }
    assert_results_came_back(&played);
}

fn assert_results_came_back(played: &Played) {
    let asked = &played.asked[1];
    let calls: Vec<_> = items_of(asked, "function_call")
        .iter()
        .map(|call| (call["call_id"].clone(), call["arguments"].clone()))
        .collect();
    let expected = [("call_oslo", "Oslo"), ("call_rome", "Rome")]
        .map(|(id, city)| (json!(id), json!(json!({"city": city}).to_string())));
    assert_eq!(calls, expected, "{}", played.told);
    let mut results: Vec<_> = items_of(asked, "function_call_output")
        .iter()
        .map(|result| format!("{} {}", result["call_id"], result["output"]))
        .collect();
    // In the order in which Codex has taken them.
    results.sort();
    let expected = [r#""call_oslo" "snow""#, r#""call_rome" "sun""#];
    assert_eq!(results, expected, "{}", played.told);
    let thoughts = items_of(asked, "reasoning");
    assert_eq!(thoughts[0]["encrypted_content"], SEALED, "{}", played.told);
}

/// Thoughts are shown, and come back to the model where the dialect has a place for what only its provider can read.
async fn reasoning(guest: &Guest, seen: &[&Value], speaks: Speaks) {
    let played = guest.play("reasoning").await;
    let first = json!({"thoughts": [THOUGHT], "reasoning": THOUGHT, "text": "Done."});
    let mut expected = vec![first];
    expected.extend(seen.iter().copied().cloned());
    expected.push(json!({"text": TEXT.concat()}));
    played.assert(&Value::from(expected), 2);
    assert_eq!(
        played.texts(1),
        ["Think first.", "Done.", "And now?"],
        "{}",
        played.told
    );
    let thoughts = items_of(&played.asked[1], "reasoning");
    let states: Vec<_> = thoughts
        .iter()
        .map(|item| &item["encrypted_content"])
        .collect();
    match speaks {
        Chat => {}
        Responses | Messages => assert_eq!(states, [SEALED], "{}", played.told),
    }
    assert_eq!(
        played.asked[0]["reasoning"]["effort"], "high",
        "{}",
        played.told
    );
}

/// A stream that breaks off is no success.
async fn cut(guest: &Guest) {
    guest.mood.breaks_off(true);
    let played = guest.play("cut").await;
    guest.mood.breaks_off(false);
    assert_eq!(played.seen.len(), 2, "{}: {:#?}", played.told, played.seen);
    assert_eq!(played.seen[0], json!({"piece": "one"}), "{}", played.told);
    assert!(
        played.seen[1]["broken"].is_string(),
        "{}: {}",
        played.told,
        played.seen[1]
    );
    println!("{}", played.seen[1]);
}

async fn length(guest: &Guest, stop: &str) {
    let played = guest.play("length").await;
    played.assert(&json!([{"text": "1, 2, 3", "stop": stop}]), 1);
}

/// A client that leaves ends the model's work at once, and is served again.
async fn leaves(guest: &Guest, scenario: &str, first: Value) {
    let gate = guest.mood.gate();
    let upstream = &guest.engine.house.upstream;
    let played = guest.play_and(scenario, async |before| {
        // The second answer comes only once the first connection is closed, so that not the script's end closes it.
        upstream.client_gone(before).await;
        gate.open();
    });
    let played = played.await;
    played.assert(&json!([first, {"text": "Here again."}]), 2);
}

async fn cancel(guest: &Guest) {
    leaves(guest, "cancel", json!({"piece": "one"})).await;
}

async fn timeout(guest: &Guest) {
    leaves(guest, "timeout", json!({"error": "APITimeoutError"})).await;
}

/// Failures of the model reach the client as what they are, through Codex.
async fn errors(guest: &Guest) {
    let played = guest.play("errors").await;
    let expected = [
        ("InternalServerError", 502, "`polywire login`"),
        ("RateLimitError", 429, "429"),
        ("BadRequestError", 400, "context window"),
        ("BadRequestError", 400, "at most 2"),
    ];
    assert_eq!(
        played.seen.len(),
        expected.len(),
        "{}: {:#?}",
        played.told,
        played.seen
    );
    for (seen, (class, status, message)) in played.seen.iter().zip(expected) {
        assert_eq!(seen["error"], class, "{}: {seen}", played.told);
        assert_eq!(seen["status"], status, "{}: {seen}", played.told);
        let said = seen["message"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{}: {seen}", played.told);
    }
    assert_eq!(played.seen[1]["retry_after"], "30", "{}", played.told);
}

/// A tool that takes free text, which Codex is offered as one with arguments.
async fn custom(guest: &Guest) {
    let played = guest.play("custom").await;
    let call =
        json!({"kind": "custom_tool_call", "call": "run", "input": SCRIPT, "streamed": SCRIPT});
    played.assert(&json!([call, {"text": "It ran."}]), 2);
    played.assert_one_thread();
}

/// All that an official library does, on the app-server.
async fn on_app_server(client: Client) {
    let Some(guest) = Guest::at(APP_SERVER, client).await else {
        return;
    };
    let speaks = client.2;
    let words = words(speaks);
    text(&guest, &words.stop).await;
    stream(&guest, &words.stop).await;
    parse(&guest).await;
    tools(&guest, "tools", &words.stop).await;
    reasoning(&guest, &[&words.thought], speaks).await;
    image(&guest).await;
    length(&guest, words.too_long).await;
    cancel(&guest).await;
    cut(&guest).await;
    errors(&guest).await;
    match speaks {
        Chat => {}
        Responses => custom(&guest).await,
        Messages => tools(&guest, "runner", &words.stop).await,
    }
    guest.engine.stop().await;
}

/// The same on `codex exec`, which takes no tools, and has nothing to say before its texts are whole.
async fn on_exec(client: Client) {
    let Some(guest) = Guest::at(EXEC, client).await else {
        return;
    };
    let words = words(client.2);
    text(&guest, &words.stop).await;
    stream(&guest, &words.stop).await;
    parse(&guest).await;
    image(&guest).await;
    timeout(&guest).await;
    errors(&guest).await;
    guest.engine.stop().await;
}

#[tokio::test]
async fn openai_for_python_on_chat_completions() {
    on_app_server((Python, "openai_chat", Chat)).await;
}

#[tokio::test]
async fn openai_for_node_on_chat_completions() {
    on_app_server((Node, "openai_chat", Chat)).await;
}

#[tokio::test]
async fn openai_for_python_on_responses() {
    on_app_server((Python, "openai_responses", Responses)).await;
}

#[tokio::test]
async fn openai_for_node_on_responses() {
    on_app_server((Node, "openai_responses", Responses)).await;
}

#[tokio::test]
async fn anthropic_for_python() {
    on_app_server((Python, "anthropic_messages", Messages)).await;
}

#[tokio::test]
async fn anthropic_for_node() {
    on_app_server((Node, "anthropic_messages", Messages)).await;
}

#[tokio::test]
async fn openai_for_python_on_exec() {
    on_exec((Python, "openai_chat", Chat)).await;
    on_exec((Python, "openai_responses", Responses)).await;
}

#[tokio::test]
async fn openai_for_node_on_exec() {
    on_exec((Node, "openai_chat", Chat)).await;
    on_exec((Node, "openai_responses", Responses)).await;
}

#[tokio::test]
async fn anthropic_for_python_on_exec() {
    on_exec((Python, "anthropic_messages", Messages)).await;
}

#[tokio::test]
async fn anthropic_for_node_on_exec() {
    on_exec((Node, "anthropic_messages", Messages)).await;
}

/// Libraries that are built on the official ones, or beside them, play their loop over tools.
async fn loop_over_tools(client: Client, stop: Value) {
    let Some(guest) = Guest::at(APP_SERVER, client).await else {
        return;
    };
    tools(&guest, "tools", &stop).await;
    guest.engine.stop().await;
}

#[tokio::test]
async fn the_agents_sdks() {
    for language in [Python, Node] {
        for speaks in [Responses, Chat] {
            loop_over_tools((language, "openai_agents", speaks), Value::Null).await;
        }
    }
}

#[tokio::test]
async fn the_ai_sdk() {
    for speaks in [Responses, Chat, Messages] {
        loop_over_tools((Node, "ai_sdk", speaks), json!("stop")).await;
    }
}

#[tokio::test]
async fn langchain() {
    for speaks in [Responses, Chat, Messages] {
        loop_over_tools((Python, "langchain", speaks), Value::Null).await;
    }
}
