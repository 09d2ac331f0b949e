//! What a running `polywire serve` leaves in its log, tells to whoever asks how it is, and which way it takes to a provider.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use polywire_testkit::{
    Call, ChatStream, Gateway, House, ProxyScript, Reply, Running, ScriptedProxy, ScriptedUpstream,
    answer,
};
use serde_json::{Value, json};

const SECRETS: [&str; 5] = [
    "a-private-prompt",
    "a-private-answer",
    "sk-house",
    "pw-a-token",
    "p%40ss",
];

fn house(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

fn ask(stream: bool) -> Call {
    let messages = json!([{"role": "user", "content": "a-private-prompt"}]);
    Call::post(
        "/v1/chat/completions",
        &json!({"model": "test-model", "messages": messages, "stream": stream}),
    )
}

/// A request that cannot be carried whole.
fn ask_much() -> Call {
    let body = json!({
        "model": "test-model", "input": "a-private-prompt", "stream": true, "store": false, "wishful_thinking": true,
    });
    Call::post("/v1/responses", &body)
}

/// Some turns of every kind; gives the log.
async fn log_of_turns(format: &str) -> Vec<String> {
    let house = house(ScriptedUpstream::replies(vec![
        answer("a-private-answer"),
        answer("a-private-answer"),
        Reply::error(400, "bad_request", "The model says no."),
        ChatStream::new().text("a-private-answer").stall(),
    ]));
    let gateway = house.gateway_with(&[("POLYWIRE_LOG_FORMAT", format)]).await;
    for (call, status) in [
        (ask_much(), 200),
        (ask(false), 200),
        (ask(true), 400),
        (
            Call::post_bytes("/v1/responses", "{\"input\": \"a-private-prompt\""),
            400,
        ),
    ] {
        assert_eq!(gateway.send(call).await.status, status);
    }
    let mut left = ask(true)
        .bearer(gateway.token())
        .open(gateway.address())
        .await;
    left.next_event().await;
    drop(left);
    house.upstream.client_gone(3).await;
    gateway.stop().await.stderr
}

fn assert_keeps_secrets(lines: &[String]) {
    for line in lines {
        for secret in SECRETS {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
    }
}

#[tokio::test]
async fn every_line_of_a_json_log_is_an_object_and_each_turn_has_one() {
    let lines = log_of_turns("json").await;
    assert_keeps_secrets(&lines);
    let objects: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for object in &objects {
        for member in ["timestamp", "level", "logger", "message"] {
            assert!(object[member].is_string(), "{member}: {object}");
        }
    }
    let said = |text: &str| {
        let mut messages = objects
            .iter()
            .filter_map(|object| object["message"].as_str());
        messages.any(|message| message.starts_with(text))
    };
    assert!(said("polywire listens on http://"));
    assert!(said("provider `house`: The model says no."));
    let turns: Vec<&Value> = objects
        .iter()
        .filter(|object| object["message"] == "turn")
        .collect();
    let shapes: Vec<String> = turns.iter().map(|turn| shape(turn)).collect();
    insta::assert_snapshot!(shapes.join("\n"));
    let streamed = turns[0];
    let at = |name: &str| streamed[name].as_u64().unwrap();
    assert!(at("time_to_first_content_ms") <= at("time_to_first_event_ms"));
    let phases = &streamed["phases_ms"];
    let took = |name: &str| phases[name].as_f64().unwrap();
    assert!(took("first_delta") <= took("turn_complete"), "{phases}");
    assert!(took("turn_complete") <= took("total"), "{phases}");
    assert!(took("send") <= took("first_delta"), "{phases}");
    // The names that the provider or the client gave, and no text of theirs.
    assert_eq!(streamed["lost"].as_array().unwrap().len(), 1);
}

/// A turn's line without what differs from run to run: numbers of milliseconds only say that they are there.
fn shape(turn: &Value) -> String {
    let mut turn = turn.clone();
    let members = turn.as_object_mut().unwrap();
    for name in ["timestamp", "request_id", "logger"] {
        assert!(members.shift_remove(name).is_some(), "{name}");
    }
    for (name, value) in members.iter_mut() {
        if name.starts_with("time_to_") {
            *value = "N".into();
        }
        if name == "phases_ms" {
            let phases = value.as_object_mut().unwrap();
            phases.values_mut().for_each(|took| *took = "N".into());
        }
    }
    turn.to_string()
}

#[tokio::test]
async fn a_log_for_people_says_the_same() {
    let lines = log_of_turns("text").await;
    assert_keeps_secrets(&lines);
    let turns: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains(": turn request_id="))
        .collect();
    assert_eq!(turns.len(), 5, "{lines:#?}");
    for (turn, what) in [
        (
            0,
            "status=\"ok\" finish=\"stop\" http_status=200 stream=true model=\"test-model\" target=\"house/test-model\" engine=\"chat\" dialect=\"responses\" attempts=1 phases_ms={\"",
        ),
        (0, " usage={\"input\":"),
        (0, " losses=1 lost=[\""),
        (1, "stream=false"),
        (
            2,
            "status=\"error\" error_type=\"invalid_request\" http_status=400",
        ),
        (
            3,
            "status=\"error\" error_type=\"invalid_request\" http_status=400 stream=false dialect=\"responses\" attempts=0",
        ),
        (4, "status=\"client_left\" stream=true"),
    ] {
        assert!(turns[turn].contains(what), "{what}: {}", turns[turn]);
    }
}

#[tokio::test]
async fn the_real_program_tells_how_it_is() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    gateway.send(ask(false)).await;
    let ready = Call::get("/ready").send(gateway.address()).await;
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, r#"{"status":"ready"}"#)
    );
    assert_eq!(
        Call::get("/metrics").send(gateway.address()).await.status,
        401
    );
    let page = gateway.send(Call::get("/metrics")).await.text();
    assert!(page.contains("\npolywire_requests_ok_total 1\n"), "{page}");
    let json = Call::get("/metrics").header("accept", "application/json");
    let counters = gateway.send(json).await.json();
    // The token was missing once.
    assert_eq!(counters["requests_total"], 2);
    assert_eq!(counters["errors_by_status"], json!({"401": 1}));
}

/// A settings file whose provider is at a name that no resolver knows, so that only a proxy leads there.
fn settings(proxy: Option<&str>) -> String {
    let proxy = proxy.map_or_else(String::new, |proxy| format!("proxy = \"{proxy}\""));
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
[providers.house]
kind = "chat"
base_url = "http://provider.invalid/v1"
models = ["test-model"]
{proxy}
"#
    )
}

#[tokio::test]
async fn a_provider_s_own_proxy_stands_above_the_environment() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let [usual, own] = [(); 2].map(|()| {
        ScriptedProxy::start(ProxyScript {
            leads_to: Some(house.upstream.address()),
            authorization: None,
        })
    });
    let with_password = own.url_of("user:p%40ss");
    let mut log = Vec::new();
    for (proxy, status, by_usual, by_own) in [
        (None, 200, 1, 0),
        (Some(with_password.as_str()), 200, 1, 1),
        (Some("none"), 502, 1, 1),
    ] {
        house
            .home
            .write("config/polywire/config.toml", settings(proxy));
        let gateway: Gateway = house.gateway_with(&[("HTTP_PROXY", &usual.url())]).await;
        assert_eq!(gateway.send(ask(false)).await.status, status, "{proxy:?}");
        let asked = (usual.proxied().len(), own.proxied().len());
        assert_eq!(asked, (by_usual, by_own), "{proxy:?}");
        log.extend(gateway.stop().await.stderr);
    }
    for proxied in usual.proxied().iter().chain(&own.proxied()) {
        assert_eq!(proxied.target, "provider.invalid:80");
    }
    assert_keeps_secrets(&log);
}

#[tokio::test]
async fn the_settings_are_shown_without_the_password_of_a_proxy() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let proxy = "http://user:p%40ss@proxy.example:3128";
    house
        .home
        .write("config/polywire/config.toml", settings(Some(proxy)));
    let mut command = house.polywire();
    command.args(["--log-format", "json", "config", "show"]);
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_keeps_secrets(&ended.stdout);
    let shows = |name: &str, value: &str, origin: &str| {
        let words = |line: &String| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)) && words.next() == Some(value) && line.ends_with(origin)
        };
        assert!(
            ended.stdout.iter().any(words),
            "{name}: {:#?}",
            ended.stdout
        );
    };
    shows("log_format", "json", "command line (--log-format)");
    shows(
        "providers.house.proxy",
        "http://***@proxy.example:3128",
        "config.toml",
    );
}
