//! Real client libraries on `/v1/messages`, at the versions that `clients/` pins, on a Chat Completions provider.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use clients::{Client, answers, failures};
use polywire_testkit::Language::{Node, Python};
use polywire_testkit::Speaks::Messages;
use serde_json::{Value, json};

#[path = "support/clients/mod.rs"]
#[allow(dead_code, reason = "each test program plays some of the scenarios")]
mod clients;

/// Anthropic's own libraries.
const ANTHROPIC: &[Client] = &[
    (Python, "anthropic_messages", Messages),
    (Node, "anthropic_messages", Messages),
];

/// Libraries that are built on them, or beside them.
const AI_SDK: &[Client] = &[(Node, "ai_sdk", Messages)];
const LANGCHAIN: &[Client] = &[(Python, "langchain", Messages)];

/// How each library calls the end of an answer.
fn stops() -> [(&'static [Client], Value); 3] {
    [
        (ANTHROPIC, json!("end_turn")),
        (AI_SDK, json!("stop")),
        (LANGCHAIN, Value::Null),
    ]
}

fn all() -> Vec<Client> {
    [ANTHROPIC, AI_SDK, LANGCHAIN].concat()
}

#[tokio::test]
async fn text() {
    for (clients, stop) in stops() {
        answers::text(clients, &stop).await;
    }
}

#[tokio::test]
async fn a_stream_through_the_helper() {
    for (clients, stop) in stops() {
        answers::stream(clients, &stop).await;
    }
}

#[tokio::test]
async fn an_answer_that_follows_a_schema() {
    answers::parse(&all()).await;
}

#[tokio::test]
async fn two_tool_calls_and_their_results() {
    for (clients, stop) in stops() {
        answers::tools(clients, &stop).await;
    }
}

#[tokio::test]
async fn a_picture() {
    answers::image(&all()).await;
}

#[tokio::test]
async fn an_answer_that_was_too_long() {
    answers::length(ANTHROPIC, &json!("max_tokens")).await;
}

#[tokio::test]
async fn leaving_in_the_middle() {
    failures::cancel(&[ANTHROPIC, AI_SDK].concat()).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_no_success() {
    failures::cut(ANTHROPIC).await;
}

#[tokio::test]
async fn losing_patience() {
    failures::timeout(ANTHROPIC).await;
}

#[tokio::test]
async fn the_helper_that_runs_tools() {
    answers::runner(ANTHROPIC, &json!("end_turn")).await;
}

#[tokio::test]
async fn reasoning_is_shown_and_handed_back() {
    let seen = json!([
        {"thoughts": ["Let me ", "think."], "reasoning": "Let me think.", "text": "Done."},
        {"signed": true},
    ]);
    answers::reasoning(ANTHROPIC, &seen).await;
    answers::reasoning(AI_SDK, &json!([seen[0]])).await;
}

#[tokio::test]
async fn a_refusal() {
    let seen = json!({"kind": "refusal", "refusal": "I would rather not."});
    answers::refusal(ANTHROPIC, &seen).await;
}

#[tokio::test]
async fn errors_of_the_provider() {
    let expected = [
        json!({"error": "InternalServerError", "status": 502, "message": "Incorrect API key."}),
        json!({"error": "RateLimitError", "status": 429, "type": "rate_limit_error", "message": "Slow down.",
               "retry_after": "60"}),
        json!({"error": "BadRequestError", "status": 400, "type": "invalid_request_error",
               "message": "maximum context length"}),
        json!({"error": "BadRequestError", "status": 400, "type": "invalid_request_error", "message": "at most 2"}),
    ];
    for client in ANTHROPIC {
        failures::errors(*client, &expected).await;
    }
}

#[tokio::test]
async fn errors_of_the_gateway() {
    let expected = [
        json!({"error": "AuthenticationError", "status": 401, "type": "authentication_error"}),
        json!({"error": "BadRequestError", "status": 400, "type": "invalid_request_error", "message": "temperature"}),
        json!({"error": "BadRequestError", "status": 400, "type": "invalid_request_error", "message": "stream"}),
    ];
    for client in ANTHROPIC {
        failures::refused(*client, &expected).await;
    }
}

#[tokio::test]
async fn the_number_of_tokens() {
    answers::count(ANTHROPIC).await;
}

#[tokio::test]
async fn the_list_of_models() {
    answers::models(ANTHROPIC).await;
}

#[tokio::test]
async fn a_call_that_lacks_its_id_and_arguments() {
    answers::odd(ANTHROPIC).await;
}

#[tokio::test]
async fn an_empty_answer() {
    answers::empty(ANTHROPIC, &json!("end_turn")).await;
}

#[tokio::test]
async fn an_error_in_the_middle() {
    failures::late(ANTHROPIC).await;
}
