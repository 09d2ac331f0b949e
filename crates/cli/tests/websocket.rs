//! Responses over a WebSocket: prewarm, continuation, errors, limits, and how connections end.

#![allow(
    clippy::panic,
    reason = "helpers of tests fail the test that calls them"
)]

use polywire_testkit::{
    Answer, Call, ChatStream, Gate, Gateway, Heard, House, Reply, ScriptedUpstream, Socket, Tokens,
    Upgrade, answer,
};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";

fn house(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

async fn socket(gateway: &Gateway) -> Socket {
    let upgrade = Upgrade::at(RESPONSES).bearer(gateway.token());
    upgrade.open(gateway.address()).await
}

/// A message that asks for an answer, not to be stored.
fn create(input: &str) -> Value {
    json!({"type": "response.create", "model": "test-model", "input": input, "store": false})
}

fn continuing(input: &str, previous: &str) -> Value {
    let mut message = create(input);
    message["previous_response_id"] = previous.into();
    message
}

/// The id of an answer, which must be complete.
fn completed(events: &[Value]) -> String {
    let last = events.last().unwrap_or(&Value::Null);
    assert_eq!(last["type"], "response.completed", "{events:#?}");
    last["response"]["id"].as_str().unwrap().to_owned()
}

/// The error of an answer that is nothing but one error frame.
fn error(events: &[Value]) -> &Value {
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["type"], "error", "{events:#?}");
    assert!(events[0]["status"].is_u64(), "{events:#?}");
    let members: Vec<_> = events[0]["error"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["message", "type", "param", "code"]);
    &events[0]
}

fn text(events: &[Value]) -> String {
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    deltas.filter_map(|event| event["delta"].as_str()).collect()
}

/// What the upstream was told in one request: each message's role and text.
fn told(house: &House, index: usize) -> Vec<String> {
    let messages = house.upstream.received()[index].messages();
    messages
        .iter()
        .map(|message| {
            let content = message["content"]
                .as_str()
                .map_or_else(|| message["content"][0]["text"].to_string(), str::to_owned);
            format!(
                "{}: {content}",
                message["role"].as_str().unwrap_or_default()
            )
        })
        .collect()
}

fn rich() -> Reply {
    ChatStream::new()
        .reasoning("Let me ")
        .reasoning("see.")
        .text("Here ")
        .text("it is.")
        .call("call_a", "look", &json!({"at": "it"}))
        .finish("tool_calls")
        .usage(Tokens {
            prompt: 20,
            cached: 5,
            completion: 9,
            reasoning: 3,
        })
        .done()
}

/// Events without what is fresh in each answer: ids, which end in 32 digits, and times.
fn without_ids(events: &[Value]) -> Vec<Value> {
    let written = Value::from(events.to_vec()).to_string();
    let is_id = |word: &str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = written.split_inclusive(['_', '"']);
    let words = words.map(|word| {
        let end = word.trim_end_matches(['_', '"']).len();
        if is_id(&word[..end]) {
            format!("ID{}", &word[end..])
        } else {
            word.to_owned()
        }
    });
    let mut events: Vec<Value> = serde_json::from_str(&words.collect::<String>()).unwrap();
    for event in &mut events {
        for time in ["created_at", "completed_at"] {
            if event["response"][time].is_u64() {
                event["response"][time] = 0.into();
            }
        }
    }
    events
}

#[tokio::test]
async fn the_frames_are_those_of_the_stream_over_http() {
    let house = house(ScriptedUpstream::start(|_, _| rich()));
    let gateway = house.gateway().await;
    let mut request = create("look");
    request["tools"] =
        json!([{"type": "function", "name": "look", "parameters": {"type": "object"}}]);
    let over_socket = socket(&gateway).await.ask(&request).await;
    completed(&over_socket);
    request.as_object_mut().unwrap().remove("type");
    request["stream"] = true.into();
    let over_http = gateway.send(Call::post(RESPONSES, &request)).await;
    let over_http: Vec<Value> = over_http
        .events()
        .iter()
        .map(|event| event.json())
        .collect();
    assert!(over_http.len() > 15, "{over_http:#?}");
    assert_eq!(without_ids(&over_socket), without_ids(&over_http));
    let requests = house.upstream.received();
    assert_eq!(requests[0].text(), requests[1].text());
}

#[tokio::test]
async fn a_connection_is_warmed_without_the_provider_and_gone_on_from() {
    let house = house(ScriptedUpstream::start(|index, _| {
        answer(&format!("answer {index}"))
    }));
    let gateway = house.gateway().await;
    let upgrade = Upgrade::at(RESPONSES).bearer(gateway.token()).as_codex();
    let mut socket = upgrade.open(gateway.address()).await;
    let mut warm = create("");
    warm["input"] = json!([{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]}]);
    warm["generate"] = false.into();
    let warmed = socket.ask(&warm).await;
    let warm_id = completed(&warmed);
    let response = &warmed.last().unwrap()["response"];
    assert_eq!(response["output"], json!([]));
    assert_eq!(response["usage"]["total_tokens"], 0);
    assert!(house.upstream.received().is_empty());

    let first = socket.ask(&continuing("one", &warm_id)).await;
    assert_eq!(text(&first), "answer 0");
    let second = socket.ask(&continuing("two", &completed(&first))).await;
    assert_eq!(text(&second), "answer 1");
    completed(&second);
    let begun = ["system: Be kind.", "user: one"];
    assert_eq!(told(&house, 0), begun);
    assert_eq!(
        told(&house, 1),
        [&begun[..], &["assistant: answer 0", "user: two"]].concat()
    );
    // Two threads may go on from one response.
    let other = socket.ask(&continuing("three", &warm_id)).await;
    completed(&other);
    assert_eq!(told(&house, 2), ["system: Be kind.", "user: three"]);
}

#[tokio::test]
async fn what_is_not_stored_is_known_to_its_own_connection_only() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    let mut one = socket(&gateway).await;
    let id = completed(&one.ask(&create("hi")).await);
    let mut other = socket(&gateway).await;
    let refused = other.ask(&continuing("again", &id)).await;
    let refused = error(&refused);
    assert_eq!(refused["status"], 404);
    assert_eq!(refused["error"]["code"], "previous_response_not_found");
    assert!(refused["error"]["message"].as_str().unwrap().contains(&id));
    let over_http = json!({"model": "test-model", "input": "again", "previous_response_id": id});
    let over_http = gateway.send(Call::post(RESPONSES, &over_http)).await;
    assert_eq!(over_http.status, 404, "{}", over_http.text());
    // The connection goes on after an error.
    completed(&other.ask(&create("hi")).await);
    completed(&one.ask(&continuing("again", &id)).await);
    assert_eq!(house.upstream.received().len(), 3);
}

#[tokio::test]
async fn what_is_stored_is_known_to_everybody() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    let mut message = create("hi");
    message.as_object_mut().unwrap().remove("store");
    let id = completed(&socket(&gateway).await.ask(&message).await);
    let mut other = socket(&gateway).await;
    completed(&other.ask(&continuing("again", &id)).await);
    let kept = gateway.send(Call::get(&format!("{RESPONSES}/{id}"))).await;
    assert_eq!(kept.json()["id"], id.as_str());
}

#[tokio::test]
async fn a_continuation_that_fails_is_forgotten() {
    let house = house(ScriptedUpstream::start(|index, _| match index {
        1 => Reply::error(400, "invalid_request_error", "No."),
        3 => ChatStream::new().text("Half").cut(),
        _ => answer("hello"),
    }));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    let id = completed(&socket.ask(&create("hi")).await);
    let refused = socket.ask(&continuing("again", &id)).await;
    assert_eq!(error(&refused)["status"], 400);
    let forgotten = socket.ask(&continuing("again", &id)).await;
    assert_eq!(
        error(&forgotten)["error"]["code"],
        "previous_response_not_found"
    );
    // The same when it fails in the middle of the answer.
    let id = completed(&socket.ask(&create("hi")).await);
    let failed = socket.ask(&continuing("again", &id)).await;
    assert_eq!(failed.last().unwrap()["type"], "response.failed");
    let forgotten = socket.ask(&continuing("again", &id)).await;
    error(&forgotten);
    assert_eq!(house.upstream.received().len(), 4);
}

#[tokio::test]
async fn an_attempt_that_is_repeated_forgets_nothing() {
    let house = house(ScriptedUpstream::start(|index, _| match index {
        1 => Reply::error(503, "overloaded", "Later.").header("retry-after", "0"),
        _ => answer("hello"),
    }));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    let first = completed(&socket.ask(&create("one")).await);
    let second = completed(&socket.ask(&continuing("two", &first)).await);
    completed(&socket.ask(&continuing("three", &second)).await);
    let requests = house.upstream.received().len();
    assert_eq!(requests, 4);
    assert_eq!(told(&house, 3).len(), 5);
}

#[tokio::test]
async fn errors_before_the_answer_are_frames_with_a_status() {
    let house = house(ScriptedUpstream::start(|_, _| {
        Reply::error(429, "rate_limit_exceeded", "Slowly.").header("retry-after", "120")
    }));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    let limited = socket.ask(&create("hi")).await;
    let limited = error(&limited);
    assert_eq!(limited["status"], 429);
    assert!(
        limited["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Slowly.")
    );
    assert!(limited["headers"]["retry-after"].is_string(), "{limited}");

    for (garbage, param) in [
        ("{", "type"),
        ("[1]", "type"),
        ("{}", "type"),
        (r#"{"type":"response.cancel"}"#, "type"),
        (
            r#"{"type":"response.create","model":"test-model","input":7}"#,
            "input",
        ),
        (r#"{"type":"response.create","input":"hi"}"#, "model"),
        (
            r#"{"type":"response.create","model":"test-model","input":[{"type":"item_reference","id":"gone"}]}"#,
            "input[0].id",
        ),
    ] {
        socket.send_text(garbage).await;
        let answer = socket.answer().await;
        let refused = error(&answer);
        assert_eq!(refused["status"], 400, "{garbage}");
        assert_eq!(refused["error"]["param"], param, "{garbage}: {refused}");
    }
    assert_eq!(house.upstream.received().len(), 1);
}

#[tokio::test]
async fn codex_hears_of_the_providers_refusal_as_it_does_over_http() {
    let house = house(ScriptedUpstream::start(|_, _| {
        Reply::error(401, "invalid_api_key", "Incorrect API key.")
    }));
    let gateway = house.gateway().await;
    let upgrade = Upgrade::at(RESPONSES).bearer(gateway.token()).as_codex();
    let events = upgrade
        .open(gateway.address())
        .await
        .ask(&create("hi"))
        .await;
    let failed = events.last().unwrap();
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(failed["response"]["error"]["code"], "invalid_prompt");
}

#[tokio::test]
async fn messages_that_are_no_text_close_the_connection() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    socket.send_binary(b"{}").await;
    assert_eq!(socket.closed().await.0, 1003);
}

#[tokio::test]
async fn a_message_that_is_too_long_closes_the_connection() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    socket.announce(64 * 1024 * 1024 + 1).await;
    let (code, reason) = socket.closed().await;
    assert_eq!((code, reason.as_str()), (1009, "the message is too long"));
}

#[tokio::test]
async fn a_large_message_is_read_whole() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    let input = "x".repeat(3_000_000);
    completed(&socket(&gateway).await.ask(&create(&input)).await);
    assert!(house.upstream.received()[0].text().contains(&input));
}

#[tokio::test]
async fn requests_are_answered_one_after_another() {
    let gate = Gate::new();
    let opened = gate.clone();
    let house = house(ScriptedUpstream::start(move |index, _| {
        let stream = ChatStream::new().text(&format!("answer {index}"));
        if index == 0 {
            stream.wait(&opened).finish("stop").done()
        } else {
            stream.finish("stop").done()
        }
    }));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    socket.send(&create("one")).await;
    loop {
        if socket.event().await["type"] == "response.output_text.delta" {
            break;
        }
    }
    socket.send(&create("two")).await;
    gate.open();
    let first = socket.answer().await;
    completed(&first);
    let second = socket.answer().await;
    completed(&second);
    assert_eq!(text(&second), "answer 1");
    assert_eq!(told(&house, 1), ["user: two"]);
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_sent_away() {
    let house = house(ScriptedUpstream::replies(vec![
        ChatStream::new().text("Well").stall(),
    ]));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    socket.send(&create("one")).await;
    house.upstream.requests(1).await;
    socket.send(&create("two")).await;
    socket.send(&create("three")).await;
    assert_eq!(socket.closed().await.0, 1008);
    house.upstream.client_gone(0).await;
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_provider() {
    for politely in [true, false] {
        let house = house(ScriptedUpstream::replies(vec![
            ChatStream::new().text("Well").stall(),
        ]));
        let gateway = house.gateway().await;
        let mut socket = socket(&gateway).await;
        socket.send(&create("hi")).await;
        loop {
            if socket.event().await["type"] == "response.output_text.delta" {
                break;
            }
        }
        if politely {
            socket.close().await;
        }
        drop(socket);
        house.upstream.client_gone(0).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_stops_the_provider() {
    let house = house(ScriptedUpstream::replies(vec![Reply::silence()]));
    let gateway = house.gateway().await;
    let mut socket = socket(&gateway).await;
    socket.send(&create("hi")).await;
    house.upstream.requests(1).await;
    drop(socket);
    house.upstream.client_gone(0).await;
}

#[tokio::test]
async fn a_gateway_that_stops_lets_the_turn_at_work_end() {
    let gate = Gate::new();
    let reply = ChatStream::new().text("Well").wait(&gate).finish("stop");
    let house = house(ScriptedUpstream::replies(vec![reply.done()]));
    let gateway = house.gateway().await;
    let mut idle = socket(&gateway).await;
    let mut socket = socket(&gateway).await;
    socket.send(&create("hi")).await;
    house.upstream.requests(1).await;
    let stopping = tokio::spawn(gateway.stop());
    let (code, reason) = idle.closed().await;
    assert_eq!((code, reason.as_str()), (1001, "the gateway is stopping"));
    gate.open();
    completed(&socket.answer().await);
    assert_eq!(socket.closed().await.0, 1001);
    assert_eq!(stopping.await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_handshake_is_checked_like_any_request() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    let token = gateway.token();
    let upgrade = || Upgrade::at(RESPONSES);
    let table = [
        ("no token", upgrade(), 401),
        ("wrong token", upgrade().bearer("pw-wrong"), 401),
        (
            "a foreign host",
            upgrade().bearer(token).header("host", "evil.example"),
            403,
        ),
        (
            "a foreign page",
            upgrade()
                .bearer(token)
                .header("origin", "https://evil.example"),
            403,
        ),
        (
            "another protocol",
            upgrade().bearer(token).header("upgrade", "h2c"),
            426,
        ),
    ];
    for (name, upgrade, status) in table {
        match upgrade.try_open(gateway.address()).await {
            Ok(_) => panic!("{name} got in"),
            Err(refused) => assert_eq!(refused.status, status, "{name}: {refused:?}"),
        }
    }
    let plain: Answer = gateway.send(Call::get(RESPONSES)).await;
    assert_eq!(plain.status, 426, "{}", plain.text());
    assert_eq!(plain.headers.get("upgrade"), Some("websocket"));
    let from_own_page = upgrade()
        .bearer(token)
        .header("origin", "http://localhost:3000");
    completed(
        &from_own_page
            .open(gateway.address())
            .await
            .ask(&create("hi"))
            .await,
    );
    for path in ["/responses", RESPONSES] {
        let mut socket = Upgrade::at(path)
            .bearer(token)
            .open(gateway.address())
            .await;
        completed(&socket.ask(&create("hi")).await);
        socket.close().await;
        assert!(matches!(
            socket.next().await,
            Heard::Broken | Heard::Closed(..)
        ));
    }
}
