//! `polywire cleanup` and `doctor` on the gateway in the background: there, silent, gone.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

#[path = "support/background.rs"]
mod background;

use background::Background;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_testkit::{Reply, ScriptedUpstream};
use serde_json::{Value, json};

fn home() -> Background {
    let upstream = ScriptedUpstream::start(|_, _| Reply::json(200, &json!({"data": []})));
    Background::new(upstream, "")
}

/// What `cleanup` does about the record of the gateway.
async fn cleaned(home: &Background) -> Option<Value> {
    let record = home.file("gateway.json");
    let arguments = [
        "cleanup",
        "--json",
        "--yes",
        "--only",
        record.to_str().unwrap(),
    ];
    let ended = home.run(&arguments).await;
    let json: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    json["leftovers"].as_array().unwrap().first().cloned()
}

/// The findings of `doctor` with this name.
async fn told(home: &Background, id: &str) -> Vec<Value> {
    let ended = home.run(&["doctor", "--offline", "--json"]).await;
    let json: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    let checks = json["checks"].as_array().unwrap().iter();
    let findings = checks.flat_map(|check| check["findings"].as_array().unwrap().clone());
    findings.filter(|finding| finding["id"] == id).collect()
}

fn signal(home: &Background, signal: Signal) {
    kill(Pid::from_raw(home.pid()), signal).unwrap();
}

#[tokio::test]
async fn a_gateway_that_runs_is_left_alone_and_told_of_when_it_is_silent() {
    let home = home();
    home.done(&["start"]).await;
    assert_eq!(cleaned(&home).await, None);
    assert_eq!(told(&home, "background").await[0]["severity"], "ok");
    signal(&home, Signal::SIGSTOP);
    assert_eq!(cleaned(&home).await, None);
    let silent = told(&home, "background_silent").await;
    assert_eq!(silent[0]["severity"], "problem", "{silent:?}");
    signal(&home, Signal::SIGCONT);
    assert!(home.state()["running"].is_object());
}

#[tokio::test]
async fn a_gateway_that_is_gone_is_forgotten_and_nothing_else() {
    if !polywire_processes::sees_all_processes() {
        eprintln!("not run: in a container, files with process numbers are kept");
        return;
    }
    let home = home();
    home.done(&["start", "--log", "debug"]).await;
    let before = home.state();
    signal(&home, Signal::SIGKILL);
    let deadline = std::time::Instant::now() + polywire_testkit::DEADLINE;
    let mut told_of = Vec::new();
    while told_of.is_empty() {
        assert!(std::time::Instant::now() < deadline, "it is not told of");
        told_of = told(&home, "stale").await;
        told_of.retain(|finding| finding["place"] == home.file("gateway.json").to_str().unwrap());
    }
    let what = told_of[0]["what"].as_str().unwrap();
    assert!(what.contains("gateway in the background"), "{what}");
    assert_eq!(home.state(), before, "showing changes nothing");

    // Made on another machine that has the same home.
    let mut elsewhere = before.clone();
    elsewhere["running"]["host"] = "elsewhere".into();
    home.write_state(&elsewhere);
    let kept = cleaned(&home).await.unwrap();
    assert_eq!(kept["stale"], false, "{kept:#}");

    home.write_state(&before);
    let done = cleaned(&home).await.unwrap();
    assert_eq!(done["done"], "forgotten", "{done:#}");
    let mut expected = before;
    expected["running"] = Value::Null;
    assert_eq!(home.state(), expected);
    assert_eq!(home.mode("gateway.json"), 0o600);
}
