//! Real client libraries on `/v1/responses`, at the versions that `clients/` pins, on a Chat Completions provider.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use clients::{Client, answers, failures, lowered};
use polywire_testkit::Language::{Node, Python};
use polywire_testkit::Speaks::Responses;
use serde_json::{Value, json};

#[path = "support/clients/mod.rs"]
#[allow(dead_code, reason = "each test program plays some of the scenarios")]
mod clients;

/// OpenAI's own libraries.
const OPENAI: &[Client] = &[
    (Python, "openai_responses", Responses),
    (Node, "openai_responses", Responses),
];

/// Libraries that are built on them, or beside them.
const AGENTS: &[Client] = &[
    (Python, "openai_agents", Responses),
    (Node, "openai_agents", Responses),
];
const AI_SDK: &[Client] = &[(Node, "ai_sdk", Responses)];
const LANGCHAIN: &[Client] = &[(Python, "langchain", Responses)];

/// How each library calls the end of an answer.
fn stops() -> [(&'static [Client], Value); 4] {
    [
        (OPENAI, json!("completed")),
        (AGENTS, Value::Null),
        (AI_SDK, json!("stop")),
        (LANGCHAIN, Value::Null),
    ]
}

fn all() -> Vec<Client> {
    [OPENAI, AGENTS, AI_SDK, LANGCHAIN].concat()
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
async fn reasoning_is_shown_and_handed_back() {
    let seen = json!([
        {"thoughts": ["Let me ", "think."], "reasoning": "Let me think.", "text": "Done."},
        {"reasoning_tokens": 3},
    ]);
    answers::reasoning(OPENAI, &seen).await;
    answers::reasoning(AI_SDK, &json!([seen[0]])).await;
}

#[tokio::test]
async fn an_answer_that_was_too_long() {
    answers::length(OPENAI, &json!("max_output_tokens")).await;
}

#[tokio::test]
async fn a_refusal() {
    let seen = json!({"kind": "refusal", "refusal": "I would rather not."});
    answers::refusal(OPENAI, &seen).await;
}

#[tokio::test]
async fn a_picture() {
    answers::image(&all()).await;
}

#[tokio::test]
async fn leaving_in_the_middle() {
    failures::cancel(&[OPENAI, AI_SDK].concat()).await;
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

#[tokio::test]
async fn an_answer_that_the_server_is_asked_to_remember() {
    lowered::remembered(AI_SDK).await;
}

#[tokio::test]
async fn a_call_that_lacks_its_id_and_arguments() {
    answers::odd(OPENAI).await;
}

#[tokio::test]
async fn an_empty_answer() {
    answers::empty(OPENAI, &json!("completed")).await;
}

#[tokio::test]
async fn a_conversation_that_the_gateway_remembers() {
    lowered::stored(OPENAI).await;
}

#[tokio::test]
async fn the_number_of_tokens() {
    lowered::counted(OPENAI).await;
}

#[tokio::test]
async fn several_turns_on_one_websocket() {
    lowered::socket(OPENAI).await;
}

#[tokio::test]
async fn an_error_in_the_middle() {
    failures::late(OPENAI).await;
}
