//! The paths of the gateway, who gets in, and which bodies it takes.

#![allow(
    clippy::panic,
    reason = "helpers of tests fail the test that calls them"
)]

use polywire_testkit::{Answer, Call, Gateway, House, ScriptedUpstream, answer};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";

fn house() -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::start(|_, _| answer("hello")),
    )
}

fn body() -> Value {
    json!({"model": "test-model", "input": "hi", "stream": false})
}

/// The error object, after a check that it has the four members that OpenAI's clients read.
fn error(answer: &Answer) -> Value {
    let body = answer.json();
    let error = body["error"]
        .as_object()
        .unwrap_or_else(|| panic!("{body}"));
    let mut members: Vec<_> = error.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["code", "message", "param", "type"], "{body}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{body}"
    );
    assert_eq!(answer.headers.get("content-type"), Some("application/json"));
    body["error"].clone()
}

async fn statuses(gateway: &Gateway, table: Vec<(&str, Call, u16)>) {
    for (name, call, status) in table {
        let answer = call.send(gateway.address()).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        if status >= 400 {
            error(&answer);
        }
    }
}

#[tokio::test]
async fn health_needs_no_token() {
    let house = house();
    let gateway = house.gateway().await;
    for path in ["/health", "/healthz", "/ready"] {
        let answer = Call::get(path).send(gateway.address()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.json()["status"].is_string(), "{path}");
    }
    assert!(house.upstream.received().is_empty());
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_shape_of_the_api() {
    let house = house();
    let gateway = house.gateway().await;
    let token = gateway.token();
    let table = vec![
        ("path", Call::get("/v1/nothing").bearer(token), 404),
        ("root", Call::get("/").bearer(token), 404),
        (
            "method",
            Call::post(RESPONSES, &body())
                .method("DELETE")
                .bearer(token),
            405,
        ),
        (
            "models",
            Call::post("/v1/models", &body()).bearer(token),
            405,
        ),
    ];
    statuses(&gateway, table).await;
}

#[tokio::test]
async fn models_are_listed_for_every_kind_of_client() {
    let house = house();
    let gateway = house.gateway().await;
    for path in [
        "/v1/models",
        "/models",
        "/v1/models?client_version=0.169.0&model=house%2Fnew%2Fone",
    ] {
        let answer = gateway.send(Call::get(path)).await;
        assert_eq!(answer.status, 200, "{path}");
        let body = answer.json();
        assert_eq!(body["object"], "list");
        let names = |list: &str, member: &str| {
            let models = body[list].as_array().unwrap().iter();
            let mut names: Vec<String> = models
                .map(|model| model[member].as_str().unwrap().to_owned())
                .collect();
            names.sort_unstable();
            names
        };
        let ids = names("data", "id");
        assert_eq!(ids, names("models", "slug"));
        let lists = |name: &str| ids.iter().any(|id| id == name);
        assert!(lists("house/test-model") && lists("test-model"), "{ids:?}");
        assert_eq!(lists("house/new/one"), path.contains("new"), "{ids:?}");
        // What Codex's parser asks for in every entry; one that lacks any of these voids the whole list.
        let required = [
            "slug",
            "display_name",
            "supported_reasoning_levels",
            "shell_type",
            "visibility",
            "supported_in_api",
            "priority",
            "support_verbosity",
            "truncation_policy",
            "experimental_supported_tools",
            "base_instructions",
        ];
        for model in body["models"].as_array().unwrap() {
            for member in required {
                assert!(!model[member].is_null(), "{member}: {model}");
            }
        }
    }
}

#[tokio::test]
async fn a_get_without_an_upgrade_has_the_status_at_which_codex_turns_to_http() {
    let house = house();
    let gateway = house.gateway().await;
    let plain = Call::get(RESPONSES).bearer(gateway.token());
    let half = Call::get(RESPONSES)
        .bearer(gateway.token())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket");
    statuses(
        &gateway,
        vec![("no upgrade", plain, 426), ("half of one", half, 426)],
    )
    .await;
}

#[tokio::test]
async fn only_who_has_the_token_and_calls_this_machine_gets_in() {
    let house = house();
    let gateway = house.gateway().await;
    let call = || Call::post(RESPONSES, &body());
    let with_token = || call().bearer(gateway.token());
    let table = vec![
        ("no token", call(), 401),
        ("wrong token", call().bearer("pw-wrong"), 401),
        (
            "token that only begins right",
            call().bearer(&gateway.token()[..9]),
            401,
        ),
        ("no token, models", Call::get("/v1/models"), 401),
        ("token", with_token(), 200),
        (
            "token in the other header",
            call().header("x-api-key", gateway.token()),
            200,
        ),
        (
            "foreign host",
            with_token().header("host", "evil.example"),
            403,
        ),
        (
            "foreign host, health",
            Call::get("/health").header("host", "evil.example"),
            403,
        ),
        (
            "foreign page",
            with_token().header("origin", "https://evil.example"),
            403,
        ),
        ("hidden page", with_token().header("origin", "null"), 403),
        (
            "own page",
            with_token().header("origin", "http://localhost:1234"),
            200,
        ),
        (
            "host by name",
            with_token().header("host", "localhost:1"),
            200,
        ),
    ];
    statuses(&gateway, table).await;
    // The refused ones went no further.
    assert_eq!(house.upstream.received().len(), 4);
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused_by_name() {
    let house = house();
    let gateway = house.gateway().await;
    let deep = format!("{{\"input\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let table: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("empty", b"".to_vec(), None),
        ("malformed", b"{\"model\":".to_vec(), None),
        ("a list", b"[]".to_vec(), None),
        ("a string", b"\"hi\"".to_vec(), None),
        ("a number", b"42".to_vec(), None),
        ("null", b"null".to_vec(), None),
        ("not a number", br#"{"model":"test-model","input":"hi","temperature":NaN}"#.to_vec(), None),
        ("no text", b"{\"model\":\"\xff\",\"input\":\"hi\"}".to_vec(), None),
        ("deep", deep.into_bytes(), None),
        ("rubbish behind", br#"{"model":"test-model","input":"hi"} x"#.to_vec(), None),
        ("model", br#"{"model":42,"input":"hi"}"#.to_vec(), Some("model")),
        ("stream", br#"{"model":"test-model","input":"hi","stream":"yes"}"#.to_vec(), Some("stream")),
        ("input", br#"{"model":"test-model","input":42}"#.to_vec(), Some("input")),
        ("item", br#"{"model":"test-model","input":[{"role":"user","content":"a"},7]}"#.to_vec(), Some("input[1]")),
        ("part", br#"{"model":"test-model","input":[{"role":"user","content":[{"type":"input_text","text":1}]}]}"#.to_vec(), Some("input[0].content[0].text")),
    ];
    for (name, bytes, param) in table {
        for call in [
            Call::post_bytes(RESPONSES, bytes.clone()),
            Call::post_bytes(RESPONSES, bytes.clone()).as_codex(),
        ] {
            let answer = gateway.send(call).await;
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
            let error = error(&answer);
            assert_eq!(error["type"], "invalid_request_error", "{name}: {error}");
            if let Some(param) = param {
                assert_eq!(error["param"], param, "{name}: {error}");
            }
        }
    }
    assert!(house.upstream.received().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let house = house();
    let gateway = house.gateway().await;
    let answer = gateway
        .send(Call::post_bytes(RESPONSES, vec![b' '; (64 << 20) + 1]))
        .await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    error(&answer);
    // The gateway goes on.
    let next = gateway.send(Call::post(RESPONSES, &body())).await;
    assert_eq!(next.status, 200, "{}", next.text());
}

#[tokio::test]
async fn a_body_that_trickles_in_is_a_body() {
    let house = house();
    let gateway = house.gateway().await;
    let words = "größer — 漢字";
    let request = json!({"model": "test-model", "input": words});
    let answer = gateway
        .send(Call::post(RESPONSES, &request).in_chunks(1))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = house.upstream.received();
    assert_eq!(received[0].messages().last().unwrap()["content"], words);
}

#[tokio::test]
async fn unknown_model_names_are_passed_on() {
    let house = house();
    let gateway = house.gateway().await;
    // To the default provider, or to the one whose name stands in front.
    let request = json!({"model": "a-new-model", "input": "hi"});
    assert_eq!(
        gateway.send(Call::post(RESPONSES, &request)).await.status,
        200
    );
    assert_eq!(house.upstream.received()[0].json()["model"], "a-new-model");
    let request = json!({"model": "house/other/name", "input": "hi"});
    assert_eq!(
        gateway.send(Call::post(RESPONSES, &request)).await.status,
        200
    );
    assert_eq!(house.upstream.received()[1].json()["model"], "other/name");
}
