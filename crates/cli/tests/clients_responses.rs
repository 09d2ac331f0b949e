//! Real client libraries on `/v1/responses`, at the versions that `clients/` pins, on a Chat Completions provider.

#![allow(
    clippy::panic,
    reason = "helpers of tests fail the test that calls them"
)]

use clients::{Client, answers, failures, lowered};
use polywire_testkit::Language::{Node, Python};
use serde_json::json;

#[path = "support/clients/mod.rs"]
#[allow(dead_code, reason = "each test program plays some of the scenarios")]
mod clients;

/// OpenAI's own libraries.
const OPENAI: &[Client] = &[(Python, "openai_responses"), (Node, "openai_responses")];

#[tokio::test]
async fn text() {
    answers::text(OPENAI, "completed").await;
}

#[tokio::test]
async fn a_stream_through_the_helper() {
    answers::stream(OPENAI, "completed").await;
}

#[tokio::test]
async fn an_answer_that_follows_a_schema() {
    answers::parse(OPENAI).await;
}

#[tokio::test]
async fn two_tool_calls_and_their_results() {
    answers::tools(OPENAI, "completed").await;
}

#[tokio::test]
async fn reasoning_is_shown_and_handed_back() {
    let seen = json!([
        {"thoughts": ["Let me ", "think."], "reasoning": "Let me think.", "text": "Done."},
        {"reasoning_tokens": 3},
    ]);
    answers::reasoning(OPENAI, &seen).await;
}

#[tokio::test]
async fn an_answer_that_was_too_long() {
    answers::length(OPENAI, "max_output_tokens").await;
}

#[tokio::test]
async fn a_refusal() {
    let seen = json!({"kind": "refusal", "refusal": "I would rather not."});
    answers::refusal(OPENAI, &seen).await;
}

#[tokio::test]
async fn a_picture() {
    answers::image(OPENAI).await;
}

#[tokio::test]
async fn leaving_in_the_middle() {
    failures::cancel(OPENAI).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_no_success() {
    failures::cut(OPENAI).await;
}

#[tokio::test]
async fn losing_patience() {
    failures::timeout(OPENAI).await;
}

#[tokio::test]
async fn errors_of_the_provider() {
    let expected = [
        json!({"error": "InternalServerError", "status": 502, "code": "invalid_api_key", "type": "authentication_error",
               "message": "Incorrect API key."}),
        json!({"error": "RateLimitError", "status": 429, "code": "rate_limit_exceeded", "message": "Slow down.",
               "retry_after": "60"}),
        json!({"error": "BadRequestError", "status": 400, "code": "context_length_exceeded",
               "message": "maximum context length"}),
        json!({"error": "BadRequestError", "status": 400, "param": "temperature", "message": "at most 2"}),
    ];
    for client in OPENAI {
        failures::errors(*client, &expected).await;
    }
}

#[tokio::test]
async fn errors_of_the_gateway() {
    let expected = [
        json!({"error": "AuthenticationError", "status": 401}),
        json!({"error": "BadRequestError", "status": 400, "param": "input"}),
        json!({"error": "BadRequestError", "status": 400, "param": "stream"}),
    ];
    for client in OPENAI {
        failures::refused(*client, &expected).await;
    }
}

#[tokio::test]
async fn the_list_of_models() {
    answers::models(OPENAI).await;
}

#[tokio::test]
async fn a_tool_that_takes_free_text() {
    lowered::custom(OPENAI).await;
}

#[tokio::test]
async fn events_have_the_types_that_the_library_declares() {
    lowered::schema(&OPENAI[..1]).await;
}
