//! What a gateway with an engine tells about itself: readiness, counters, the log. With the real Codex.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

#[path = "support/engines.rs"]
#[allow(dead_code, reason = "each test program needs some of it")]
mod engines;

use engines::*;
use polywire_testkit::{Call, Gateway, ScriptedUpstream};
use serde_json::{Value, json};

/// The JSON lines of a gateway's log that tell of turns.
fn turns(ended: &polywire_testkit::Ended) -> Vec<Value> {
    let lines = ended.stderr.iter();
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["phases_ms"].is_object()).collect()
}

fn number(line: &Value, phase: &str) -> f64 {
    line["phases_ms"][phase]
        .as_f64()
        .unwrap_or_else(|| panic!("no {phase}: {line}"))
}

#[tokio::test]
async fn the_log_tells_each_step_of_a_turn() {
    for kind in [APP_SERVER, EXEC] {
        let upstream = ScriptedUpstream::start(|_, _| says("Fine."));
        let Some(house) = house(kind, upstream, "workers = 1") else {
            return;
        };
        let gateway = house.gateway_with(&[("POLYWIRE_LOG_FORMAT", "json")]).await;
        let engine = Engine { house, gateway };
        let mut body = chat("hi");
        let cwd = engine.state().join("workspace");
        assert_eq!(text_of(&engine.send(post_chat(&body)).await), "Fine.");
        body["metadata"] = json!({"cwd": cwd});
        body["stream"] = true.into();
        assert_eq!(engine.send(post_chat(&body)).await.status, 200);
        body["metadata"] = json!({"cwd": "/"});
        assert_eq!(engine.send(post_chat(&body)).await.status, 400);
        let ended = engine.gateway.stop().await;
        let turns = turns(&ended);
        assert_eq!(turns.len(), 3, "{kind}: {ended:?}");
        let steps: &[&str] = match kind {
            APP_SERVER => &[
                "queue_wait",
                "spawn",
                "thread_start",
                "turn_start",
                "first_output",
                "first_delta",
                "turn_complete",
                "total",
            ],
            _ => &[
                "queue_wait",
                "spawn",
                "input_write",
                "first_output",
                "process_wait",
                "first_delta",
                "turn_complete",
                "total",
            ],
        };
        for turn in &turns[..2] {
            assert_eq!(turn["engine"], kind, "{turn}");
            assert_eq!(turn["status"], "ok", "{turn}");
            let mut sum = 0.0;
            for step in steps {
                let took = number(turn, step);
                if !matches!(*step, "first_delta" | "turn_complete" | "total") {
                    sum += took;
                }
            }
            assert!(sum <= number(turn, "total") + 1.0, "{kind}: {turn}");
            assert!(
                turn["request_id"].is_string() && turn["time_to_first_content_ms"].is_number(),
                "{turn}"
            );
        }
        assert_eq!(turns[0]["stream"], false);
        assert_eq!(turns[1]["stream"], true);
        assert!(
            turns[1]["time_to_first_event_ms"].is_number(),
            "{}",
            turns[1]
        );
        assert!(
            turns[1]["phases_ms"]["cwd_resolve"].is_number(),
            "{}",
            turns[1]
        );
        assert_eq!(turns[2]["status"], "error", "{}", turns[2]);
        assert_eq!(turns[2]["http_status"], 400, "{}", turns[2]);
    }
}

async fn ready(gateway: &Gateway) -> (u16, Value) {
    let answer = Call::get("/ready").send(gateway.address()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn readiness_tells_what_is_missing() {
    let Some(engine) = Engine::start(
        APP_SERVER,
        ScriptedUpstream::start(|_, _| says("Fine.")),
        "",
    )
    .await
    else {
        return;
    };
    let (status, body) = ready(&engine.gateway).await;
    assert_eq!(status, 200, "{body}");
    let state = &body["engines"][0];
    assert_eq!(state["engine"], APP_SERVER, "{body}");
    assert_eq!(
        (&state["pool_started"], &state["login_found"]),
        (&json!(false), &json!(true)),
        "{body}"
    );

    assert_eq!(text_of(&engine.send(post_chat(&chat("hi"))).await), "Fine.");
    let (_, body) = ready(&engine.gateway).await;
    assert_eq!(body["engines"][0]["pool_started"], true, "{body}");
    let counters = engine
        .send(Call::get("/metrics").header("accept", "application/json"))
        .await
        .json();
    assert_eq!(counters["engine"], APP_SERVER, "{counters}");
    assert_eq!(counters["requests_ok"], 1, "{counters}");
    assert_eq!(counters["app_server_pool_started"], true, "{counters}");

    let login = engine.house.home.codex_home().join("auth.json");
    let kept = login.with_extension("kept");
    std::fs::rename(&login, &kept).unwrap();
    let (status, body) = ready(&engine.gateway).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(body["problems"][0]["problem"], "login_missing", "{body}");
    assert!(
        body["problems"][0]["hint"]
            .as_str()
            .unwrap()
            .contains("polywire login"),
        "{body}"
    );
    std::fs::rename(&kept, &login).unwrap();
    assert_eq!(ready(&engine.gateway).await.0, 200);

    // The login is one by key, which is none for the service behind a plan.
    let path = engine.house.home.config().join("polywire/config.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    let plan = format!("{settings}\n[providers.plan]\nkind = \"chatgpt\"\n");
    engine.house.home.write("config/polywire/config.toml", plan);
    let (status, body) = ready(&engine.gateway).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(body["problems"][0]["provider"], "plan", "{body}");
    assert_eq!(body["problems"][0]["problem"], "login_missing", "{body}");

    let line = settings
        .lines()
        .find(|line| line.starts_with("codex = "))
        .unwrap();
    let missing = settings.replace(line, "codex = \"no-codex-anywhere\"");
    engine
        .house
        .home
        .write("config/polywire/config.toml", missing);
    let (status, body) = ready(&engine.gateway).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(
        body["problems"][0]["problem"], "executable_missing",
        "{body}"
    );
    engine.stop().await;
}

/// Messages has a field for metadata too, though its own libraries put only one thing into it.
#[tokio::test]
async fn a_client_of_messages_names_its_directory_as_others_do() {
    let Some(engine) = Engine::start(
        APP_SERVER,
        ScriptedUpstream::start(|_, _| says("Fine.")),
        "",
    )
    .await
    else {
        return;
    };
    let cwd = engine.state().join("workspace");
    let mut body = json!({"model": "test-model", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    body["metadata"] = json!({"user_id": "u"});
    assert_eq!(
        engine.send(Call::post("/v1/messages", &body)).await.status,
        200
    );
    body["metadata"] = json!({"user_id": "u", "cwd": cwd});
    assert_eq!(
        engine.send(Call::post("/v1/messages", &body)).await.status,
        200
    );
    let asked = engine.asked();
    let tools = |request: &Value| request["tools"].as_array().map_or(0, Vec::len);
    assert_eq!((tools(&asked[0]), tools(&asked[1])), (0, 2), "{asked:#?}");
    engine.stop().await;
}
