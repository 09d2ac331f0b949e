//! What clients are told when a provider fails: Codex in the words that it understands, others by HTTP.

#![allow(
    clippy::panic,
    reason = "helpers of tests fail the test that calls them"
)]

use std::collections::HashMap;

use polywire_testkit::{
    Answer, ChatStream, Framing, House, Received, Reply, ScriptedUpstream, answer,
};
use serde_json::{Value, json};
use told::{ask, told};

#[path = "support/told.rs"]
mod told;

/// A way to fail, and what becomes of it.
struct Fault {
    /// Also the prompt, by which the upstream knows how to fail.
    name: &'static str,
    reply: Reply,
    /// Words that every client must find in the message.
    words: &'static str,
    /// What an SDK is told, and after how many requests to the provider.
    sdk: (&'static str, usize),
    /// What Codex is told, and after how many requests to the provider.
    codex: (&'static str, usize),
}

fn fault(
    name: &'static str,
    reply: Reply,
    words: &'static str,
    sdk: (&'static str, usize),
    codex: (&'static str, usize),
) -> Fault {
    Fault {
        name,
        reply,
        words,
        sdk,
        codex,
    }
}

/// Failures before the first byte of the answer.
fn early_faults() -> Vec<Fault> {
    let error = Reply::error;
    let begun = ChatStream::new;
    vec![
        fault(
            "wrong key",
            error(401, "invalid_api_key", "Incorrect API key."),
            "Incorrect API key.",
            ("502 authentication_error/invalid_api_key", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "not allowed",
            error(403, "forbidden", "Not in your plan."),
            "Not in your plan.",
            ("502 authentication_error/forbidden", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "no model",
            error(404, "model_not_found", "No such model."),
            "No such model.",
            ("404 invalid_request_error/model_not_found", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "bad request",
            error(400, "bad_schema", "Bad tool schema."),
            "Bad tool schema.",
            ("400 invalid_request_error/bad_schema", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "too long",
            error(
                400,
                "context_length_exceeded",
                "The maximum context length is 9.",
            ),
            "maximum context length",
            ("400 invalid_request_error/context_length_exceeded", 1),
            ("response.failed/context_length_exceeded", 1),
        ),
        fault(
            "no money",
            error(429, "insufficient_quota", "Your quota is used up."),
            "quota is used up",
            ("429 insufficient_quota/insufficient_quota", 1),
            ("429 insufficient_quota/insufficient_quota", 1),
        ),
        fault(
            "long limit",
            error(429, "rate_limit_exceeded", "Slow down.").header("retry-after", "3600"),
            "Slow down.",
            ("429 rate_limit_error/rate_limit_exceeded, wait 60", 1),
            ("429 rate_limit_error/rate_limit_exceeded, wait 60", 1),
        ),
        fault(
            "long overload",
            error(503, "overloaded", "Busy.").header("retry-after", "3600"),
            "Busy.",
            ("503 server_error/server_is_overloaded, wait 60", 1),
            ("response.failed/server_is_overloaded", 1),
        ),
        fault(
            "broken",
            error(500, "internal", "Oops."),
            "Oops.",
            ("502 server_error/internal", 3),
            ("response.failed/server_error", 3),
        ),
        fault(
            "edge page",
            Reply::html(
                403,
                "<html><head><title>Just a moment...</title></head></html>",
            ),
            "Just a moment...",
            ("502 server_error/null", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "page instead of an answer",
            Reply::html(200, "<html><head><title>Log in</title></head></html>"),
            "Log in",
            ("502 server_error/null", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "error body with status 200",
            Reply::json(
                200,
                &json!({"error": {"message": "No such model.", "code": "model_not_found"}}),
            ),
            "No such model.",
            ("404 invalid_request_error/model_not_found", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "error as first event",
            begun()
                .error(
                    "context_length_exceeded",
                    "The maximum context length is 9.",
                )
                .open_ended(),
            "maximum context length",
            ("400 invalid_request_error/context_length_exceeded", 1),
            ("response.failed/context_length_exceeded", 1),
        ),
        fault(
            "cut before any text",
            begun().cut(),
            "broke off",
            ("502 server_error/null", 3),
            ("response.failed/server_error", 3),
        ),
        fault(
            "reset before any text",
            begun().reset(),
            "broke off",
            ("502 server_error/null", 3),
            ("response.failed/server_error", 3),
        ),
        fault(
            "compressed",
            answer("hi").header("content-encoding", "gzip"),
            "gzip",
            ("502 server_error/null", 1),
            ("response.failed/invalid_prompt", 1),
        ),
        fault(
            "elsewhere",
            Reply::html(302, "moved").header("location", "https://other.example/"),
            "other.example",
            ("502 server_error/null", 1),
            ("response.failed/invalid_prompt", 1),
        ),
    ]
}

fn prompt_of(request: &Received) -> String {
    let content = request
        .messages()
        .last()
        .map(|message| message["content"].clone());
    content
        .and_then(|text| text.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A house whose upstream knows by the prompt how to fail.
fn house(replies: HashMap<&'static str, Reply>) -> House {
    let upstream = ScriptedUpstream::start(move |_, request| {
        let prompt = prompt_of(request);
        replies
            .get(prompt.as_str())
            .cloned()
            .unwrap_or_else(|| panic!("no reply to `{prompt}`"))
    });
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

fn asked(house: &House, prompt: &str) -> usize {
    house
        .upstream
        .received()
        .iter()
        .filter(|request| prompt_of(request) == prompt)
        .count()
}

/// The calls that a stream gave out as finished items.
fn calls(answer: &Answer) -> Vec<Value> {
    let events = answer.events().into_iter();
    events
        .filter(|event| event.kind() == "response.output_item.done")
        .map(|event| event.json()["item"].clone())
        .filter(|item| item["type"] == "function_call")
        .collect()
}

fn check(case: &Fault, caller: &str, expected: &str, answer: &Answer) {
    let (line, message) = told(answer);
    let note = format!("`{}` as {caller}: {}", case.name, answer.text());
    assert_eq!(line, expected, "{note}");
    assert!(message.contains(case.words), "{note}");
    assert!(
        !message.contains("sk-house") && !message.contains('<'),
        "{note}"
    );
}

#[tokio::test]
async fn failures_before_the_first_byte() {
    let faults = early_faults();
    let house = house(
        faults
            .iter()
            .map(|case| (case.name, case.reply.clone()))
            .collect(),
    );
    let gateway = house.gateway().await;
    for case in &faults {
        let answer = gateway.send(ask(case.name, true)).await;
        check(case, "an SDK", case.sdk.0, &answer);
        assert_eq!(asked(&house, case.name), case.sdk.1, "{}", case.name);
        let answer = gateway.send(ask(case.name, true).as_codex()).await;
        check(case, "Codex", case.codex.0, &answer);
        let in_all = case.sdk.1 + case.codex.1;
        assert_eq!(asked(&house, case.name), in_all, "{}", case.name);
    }
    // Without a stream everybody is told by HTTP.
    for case in faults.iter().filter(|case| case.sdk.1 == 1) {
        let answer = gateway.send(ask(case.name, false)).await;
        check(case, "an SDK without a stream", case.sdk.0, &answer);
    }
}

#[tokio::test]
async fn short_limits_are_waited_out_inside() {
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::replies(vec![
            Reply::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after", "1"),
            Reply::error(429, "rate_limit_exceeded", "Slow down."),
            Reply::error(503, "overloaded", "Busy."),
            answer("At last."),
        ]),
    );
    let gateway = house.gateway().await;
    let answer = gateway.send(ask("hi", true)).await;
    assert_eq!(
        told(&answer).0,
        "response.completed/null",
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("At last."));
    let times: Vec<_> = house
        .upstream
        .received()
        .iter()
        .map(|request| request.at)
        .collect();
    assert_eq!(times.len(), 4);
    assert!(
        (times[1] - times[0]).as_secs_f64() >= 1.0,
        "the provider asked for a second"
    );
}

#[tokio::test]
async fn failures_in_mid_stream_are_never_an_answer() {
    let begun = || ChatStream::new().text("Half an answer");
    let table = [
        ("cut", begun().cut()),
        ("reset", begun().reset()),
        ("no finish", begun().open_ended()),
        (
            "error event",
            begun()
                .error("server_error", "The engine died.")
                .open_ended(),
        ),
        (
            "broken json",
            begun().bytes("data: {\"choices\":[{\"del\n\n").cut(),
        ),
        (
            "short body",
            begun().cut().framing(Framing::Claimed(100_000)),
        ),
        (
            "cut in a call",
            begun().call_pieces("call_1", "look", &["{\"at\":"]).cut(),
        ),
    ];
    let house = house(table.iter().cloned().collect());
    let gateway = house.gateway().await;
    for (name, _) in &table {
        let sdk = gateway.send(ask(name, true)).await;
        let kinds: Vec<_> = sdk
            .events()
            .iter()
            .map(polywire_testkit::SseEvent::kind)
            .collect();
        let end = [&kinds[kinds.len() - 2], &kinds[kinds.len() - 1]];
        assert_eq!(end, ["error", "response.failed"], "{name}: {kinds:?}");
        assert!(sdk.text().contains("Half an answer"), "{name}");
        let message = &sdk.events().pop().unwrap().json()["response"]["output"][0];
        // A call that has begun says that the text before it was whole.
        let cut_in_text = *name != "cut in a call";
        let status = if cut_in_text {
            "incomplete"
        } else {
            "completed"
        };
        assert_eq!(message["status"], status, "{name}: {message}");

        let codex = gateway.send(ask(name, true).as_codex()).await;
        assert_eq!(
            told(&codex).0,
            "response.failed/server_error",
            "{name}: {}",
            codex.text()
        );
        assert!(
            codex.events().iter().all(|event| event.kind() != "error"),
            "{name}"
        );
        // A call that was cut off is not offered to Codex at all, and to others as what it is.
        assert!(calls(&codex).is_empty(), "{name}: {}", codex.text());
        assert!(
            calls(&sdk)
                .iter()
                .all(|call| call["status"] == "incomplete"),
            "{name}"
        );
        // Nothing is tried again once the client has seen a part of it.
        assert_eq!(asked(&house, name), 2, "{name}");

        let whole = gateway.send(ask(name, false)).await;
        assert_ne!(whole.status, 200, "{name}: {}", whole.text());
    }
}

#[tokio::test]
async fn odd_forms_of_a_good_answer_are_read() {
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "good"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    let good = || ChatStream::new().text("good").finish("stop");
    let table = [
        ("json", Reply::json(200, &whole)),
        (
            "json called a stream",
            Reply::json(200, &whole).content_type("text/event-stream"),
        ),
        (
            "stream called html",
            good().done().content_type("text/html"),
        ),
        (
            "stream called octets",
            good().done().content_type("application/octet-stream"),
        ),
        ("no end mark", good().open_ended()),
        ("until close", good().done().framing(Framing::UntilClose)),
        (
            "reset after the end mark",
            good().bytes("data: [DONE]\n\n").reset(),
        ),
        (
            "error after the finish",
            good().error("late", "Too late.").open_ended(),
        ),
        (
            "comments",
            ChatStream::new()
                .bytes(": wait\n\n")
                .text("good")
                .finish("stop")
                .done(),
        ),
        ("carriage returns", Reply::stream(Vec::new())),
    ];
    let mut replies: HashMap<_, _> = table.iter().cloned().collect();
    let chunk =
        json!({"choices": [{"index": 0, "delta": {"content": "good"}, "finish_reason": "stop"}]});
    let lines = format!("\u{feff}data:{chunk}\r\n\r\ndata: [DONE]\r\n\r\n");
    replies.insert(
        "carriage returns",
        Reply::new(200, "text/event-stream", lines),
    );
    let house = house(replies);
    let gateway = house.gateway().await;
    for (name, _) in &table {
        let answer = gateway.send(ask(name, true)).await;
        assert_eq!(
            told(&answer).0,
            "response.completed/null",
            "{name}: {}",
            answer.text()
        );
        assert!(answer.text().contains("good"), "{name}");
        let answer = gateway.send(ask(name, false)).await;
        assert_eq!(
            answer.json()["output"][0]["content"][0]["text"],
            "good",
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_once_more_and_then_passed_on() {
    let empty = || ChatStream::new().finish("stop").done();
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::replies(vec![empty(), answer("words"), empty(), empty()]),
    );
    let gateway = house.gateway().await;
    let answer = gateway.send(ask("hi", true)).await;
    assert!(answer.text().contains("words"), "{}", answer.text());
    let answer = gateway.send(ask("hi", true)).await;
    assert_eq!(
        told(&answer).0,
        "response.completed/null",
        "{}",
        answer.text()
    );
    assert_eq!(house.upstream.received().len(), 4);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_named() {
    let house = house(HashMap::new());
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    house.home.write(
        "config/polywire/config.toml",
        format!(
            "default_provider = \"house\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
             [providers.house]\nkind = \"chat\"\nbase_url = \"http://{closed}/v1\"\nkey = \"k\"\n"
        ),
    );
    let gateway = house.gateway().await;
    let answer = gateway.send(ask("hi", true)).await;
    let (line, message) = told(&answer);
    assert_eq!(line, "502 server_error/null");
    assert!(
        message.contains("`house`") && message.contains(&closed.to_string()),
        "{message}"
    );
    let answer = gateway.send(ask("hi", true).as_codex()).await;
    assert_eq!(told(&answer).0, "response.failed/server_error");
}
