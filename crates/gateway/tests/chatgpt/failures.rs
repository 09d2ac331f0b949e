//! Failures of the service, as each client hears of them.

use std::time::{SystemTime, UNIX_EPOCH};

use polywire_gateway::turn::Answer;
use polywire_gateway::{Client, ClientDialect};
use polywire_testkit::{Reply, ResponsesStream};
use serde_json::{Value, json};

use crate::bench::{Bench, hello, ways};
use crate::support::clients::{DIALECTS, frames};
use crate::support::stream_bytes;

fn limit(code: &str) -> Value {
    json!({"error": {"type": code, "message": "The usage limit has been reached", "plan_type": "plus",
        "resets_at": 4_102_444_800_u64, "resets_in_seconds": 5400}})
}

#[tokio::test]
async fn the_limit_of_a_plan_is_a_429_with_its_end() {
    for status in [429, 404] {
        let bench = Bench::new(move |_, _| Reply::json(status, &limit("usage_limit_reached")));
        for (dialect, stream) in ways() {
            let (status, told) = bench.ask(dialect, &hello(dialect, stream)).await.error();
            let place = format!("{dialect:?} {stream}: {told:?}");
            assert_eq!(status, 429, "{place}");
            let kind = match dialect {
                ClientDialect::Responses => "usage_limit_reached",
                ClientDialect::Chat => "insufficient_quota",
                ClientDialect::Messages => "rate_limit_error",
            };
            assert_eq!(told.kind, kind, "{place}");
            let words = "The usage limit has been reached (plan `plus`; it is lifted at 2100-01-01 00:00 UTC, in 1 h 30 min)";
            assert!(told.message.ends_with(words), "{place}");
        }
        // Nobody waits for it: one request each.
        assert_eq!(bench.sent().len(), 6);
    }
}

#[tokio::test]
async fn codex_gets_the_limit_in_the_form_that_it_knows() {
    let bench = Bench::new(|_, _| Reply::json(429, &limit("usage_limit_reached")));
    let body = json!({"input": "Hello", "stream": true});
    let Answer::Failed { fault, .. } = bench
        .begin(ClientDialect::Responses, Client::Codex, &body)
        .await
    else {
        panic!("no status");
    };
    let body: Value =
        serde_json::from_slice(&ClientDialect::Responses.render_error(&fault, "turn")).unwrap();
    assert_eq!(body["error"]["type"], "usage_limit_reached");
    assert_eq!(body["error"]["resets_at"], 4_102_444_800_u64);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(u64::from(fault.resets_at.unwrap().get()) > now);
}

/// Table D4: what the service says, and class and status that come of it.
#[tokio::test]
async fn every_failure_has_its_class() {
    let detail = |text: &str| json!({"detail": text});
    let error = |code: &str, message: &str| json!({"error": {"message": message, "type": "invalid_request_error", "code": code}});
    let typed = |kind: &str, message: &str| json!({"error": {"message": message, "type": kind}});
    let rows = [
        (429, limit("usage_limit_reached")),
        (404, limit("usage_limit_reached")),
        (429, typed("usage_not_included", "Not in your plan")),
        (
            429,
            error(
                "rate_limit_exceeded",
                "Rate limit reached. Please try again in 1.2s.",
            ),
        ),
        (503, error("server_is_overloaded", "busy")),
        (503, error("slow_down", "busy")),
        (
            400,
            detail("Selected model is at capacity. Please try a different model."),
        ),
        (
            400,
            error(
                "context_length_exceeded",
                "Your input exceeds the context window of this model.",
            ),
        ),
        (413, detail("Payload too large")),
        (429, error("insufficient_quota", "No money")),
        (402, detail("Payment required")),
        (
            401,
            error("token_invalidated", "Your token was invalidated"),
        ),
        (401, error("account_deactivated", "gone")),
        (400, error("cyber_policy", "This was flagged")),
        (400, detail("Unsupported parameter: max_output_tokens")),
        (
            400,
            detail("The 'gpt-5' model is not supported when using Codex with a ChatGPT account."),
        ),
        (500, detail("Internal error")),
    ];
    let mut told = Vec::new();
    for (status, body) in rows {
        let reply = Reply::json(status, &body);
        let bench = Bench::new(move |_, _| reply.clone());
        let asked = hello(ClientDialect::Chat, false);
        let Answer::Failed { fault, .. } =
            bench.begin(ClientDialect::Chat, Client::Sdk, &asked).await
        else {
            panic!("an answer to {status}");
        };
        let statuses = DIALECTS.map(|dialect| dialect.http_status(&fault).to_string());
        let message = fault
            .message
            .replace(&bench.home.codex_home().display().to_string(), "CODEX_HOME");
        told.push(format!(
            "{status} {body}\n  {} {} | {message}",
            fault.class.name(),
            statuses.join("/")
        ));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_failure_before_the_first_word_is_a_status() {
    let bench = Bench::new(|_, _| {
        ResponsesStream::new("resp_1")
            .event(json!({"type": "codex.rate_limits", "rate_limits": {}}))
            .failed(
                "context_length_exceeded",
                "Your input exceeds the context window of this model.",
            )
    });
    for (dialect, stream) in ways() {
        let (status, told) = bench.ask(dialect, &hello(dialect, stream)).await.error();
        assert_eq!(status, 400, "{dialect:?}: {told:?}");
        assert!(told.message.contains("context window"), "{told:?}");
    }
}

#[tokio::test]
async fn a_failure_inside_the_stream_is_told_in_it() {
    let endings = [
        json!({"type": "error", "error": {"code": "server_error", "message": "gone"}}),
        json!({"type": "error", "code": "server_error", "message": "gone", "param": null}),
    ];
    for ending in endings {
        let bench = Bench::new(move |_, _| {
            ResponsesStream::new("resp_1")
                .text("msg_1", "Once upon")
                .ended(ending.clone())
        });
        for dialect in DIALECTS {
            // Only what has begun is told so; the bench is asked until the words are out.
            let answer = bench
                .begin(dialect, Client::Sdk, &hello(dialect, true))
                .await;
            match answer {
                Answer::Stream { body, .. } => {
                    let text = String::from_utf8(stream_bytes(body).await.to_vec()).unwrap();
                    assert!(
                        text.contains("Once upon") && text.contains("gone"),
                        "{dialect:?}: {text}"
                    );
                    assert!(
                        !text.contains("response.completed") && !text.contains("[DONE]"),
                        "{text}"
                    );
                }
                Answer::Failed { fault, .. } => assert!(fault.message.contains("gone"), "{fault}"),
                Answer::Whole { .. } | Answer::FailedStream { .. } => panic!("{dialect:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_is_no_answer() {
    let bench = Bench::new(|_, _| {
        let whole = ResponsesStream::new("resp_1").text("msg_1", "Once upon");
        whole.ended(json!({"type": "response.in_progress"}))
    });
    for dialect in DIALECTS {
        let answer = bench
            .begin(dialect, Client::Sdk, &hello(dialect, false))
            .await;
        assert!(matches!(answer, Answer::Failed { .. }), "{dialect:?}");
    }
    let answer = bench
        .begin(
            ClientDialect::Responses,
            Client::Codex,
            &hello(ClientDialect::Responses, true),
        )
        .await;
    if let Answer::Stream { body, .. } = answer {
        let last = frames(&stream_bytes(body).await).pop().unwrap();
        assert_eq!(last.0, "response.failed");
    }
}

#[tokio::test]
async fn the_filter_in_front_is_told_with_the_setting_that_may_help() {
    let page = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>";
    for reply in [Reply::html(403, page), Reply::new(404, "text/plain", "")] {
        for chosen in [false, true] {
            let answer = reply.clone();
            let upstream = polywire_testkit::codex_back_end(None, move |_, _| answer.clone());
            let bench = Bench::of(upstream, |provider| {
                provider.model_list = None;
                provider.codex_identity = chosen;
            });
            let body = hello(ClientDialect::Chat, false);
            let (status, told) = bench.ask(ClientDialect::Chat, &body).await.error();
            assert_eq!(status, 502, "{told:?}");
            assert_eq!(
                told.message.contains("codex_identity = true"),
                !chosen,
                "{told:?}"
            );
            assert!(told.message.contains("filter"), "{told:?}");
        }
    }
    // One that says something is the service itself.
    let bench = Bench::new(|_, _| Reply::json(404, &json!({"detail": "Not Found"})));
    let body = hello(ClientDialect::Chat, false);
    let (status, told) = bench.ask(ClientDialect::Chat, &body).await.error();
    assert_eq!(status, 404);
    assert!(!told.message.contains("filter"), "{told:?}");
}
