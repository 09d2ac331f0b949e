//! Real client libraries on the engines: their provider is the real Codex, whose own model is scripted.
//!
//! A library plays its scenarios on one gateway, most of them in one process. What it sees is the same as on any other provider
//! (`clients_chat.rs` and its like), but for the sizes of the pieces; what the model is asked has been through Codex.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use clients::Client;
use clients::play::TEXT;
use engines::{APP_SERVER, EXEC};
use on_engines::{Guest, checks};
use polywire_testkit::Language::{Node, Python};
use polywire_testkit::Speaks::{Chat, Messages, Responses};
use serde_json::{Value, json};

#[path = "support/clients/mod.rs"]
#[allow(dead_code, reason = "each test program plays some of the scenarios")]
mod clients;
#[path = "support/engines.rs"]
#[allow(dead_code, reason = "each test program needs some of it")]
mod engines;
#[path = "support/on_engines/mod.rs"]
mod on_engines;

/// All that an official library does, on the app-server.
async fn on_app_server(client: Client) {
    let Some(guest) = Guest::at(APP_SERVER, client).await else {
        return;
    };
    let (_, _, speaks) = client;
    let words = checks::words(speaks);
    let mut scenarios = vec![
        ("text", 1),
        ("stream", 1),
        ("parse", 1),
        ("tools", 2),
        ("reasoning", 2),
        ("image", 1),
        ("length", 1),
        ("errors", 4),
    ];
    match speaks {
        Chat => {}
        Responses => scenarios.extend([("custom", 2), ("stored", 2), ("socket", 2)]),
        Messages => scenarios.push(("runner", 2)),
    }
    let played = guest.play(&scenarios).await;
    checks::text(&played["text"], &words.stop);
    checks::stream(&played["stream"], &json!(TEXT), &words.stop);
    checks::parse(&played["parse"]);
    checks::tools(&played["tools"], &words.stop);
    checks::reasoning(&played["reasoning"], &words, speaks);
    checks::image(&played["image"]);
    checks::length(&played["length"], words.too_long);
    checks::errors(&played["errors"]);
    match speaks {
        Chat => {}
        Responses => {
            checks::custom(&played["custom"]);
            checks::stored(&played["stored"]);
            checks::socket(&played["socket"]);
        }
        Messages => checks::tools(&played["runner"], &words.stop),
    }
    checks::cancel(&guest).await;
    checks::cut(&guest).await;
    guest.engine.stop().await;
}

/// The same on `codex exec`, which takes no tools, and has nothing to say before its texts are whole.
async fn on_exec(client: Client) {
    let Some(guest) = Guest::at(EXEC, client).await else {
        return;
    };
    let words = checks::words(client.2);
    let scenarios = [
        ("text", 1),
        ("stream", 1),
        ("parse", 1),
        ("image", 1),
        ("errors", 4),
    ];
    let played = guest.play(&scenarios).await;
    checks::text(&played["text"], &words.stop);
    checks::stream(&played["stream"], &json!([TEXT.concat()]), &words.stop);
    checks::parse(&played["parse"]);
    checks::image(&played["image"]);
    checks::errors(&played["errors"]);
    checks::timeout(&guest).await;
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

/// Libraries that are built on the official ones, or beside them, on the app-server.
async fn built_upon(client: Client, stop: &Value) {
    let Some(guest) = Guest::at(APP_SERVER, client).await else {
        return;
    };
    let scenarios = [
        ("text", 1),
        ("stream", 1),
        ("parse", 1),
        ("tools", 2),
        ("image", 1),
    ];
    let played = guest.play(&scenarios).await;
    checks::text(&played["text"], stop);
    checks::stream(&played["stream"], &json!(TEXT), stop);
    checks::parse(&played["parse"]);
    checks::tools(&played["tools"], stop);
    checks::image(&played["image"]);
    guest.engine.stop().await;
}

#[tokio::test]
async fn the_agents_sdks() {
    for language in [Python, Node] {
        for speaks in [Responses, Chat] {
            built_upon((language, "openai_agents", speaks), &Value::Null).await;
        }
    }
}

#[tokio::test]
async fn the_ai_sdk() {
    for speaks in [Responses, Chat, Messages] {
        built_upon((Node, "ai_sdk", speaks), &json!("stop")).await;
    }
}

#[tokio::test]
async fn langchain() {
    for speaks in [Responses, Chat, Messages] {
        built_upon((Python, "langchain", speaks), &Value::Null).await;
    }
}
