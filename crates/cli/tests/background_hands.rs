//! Several hands on the gateway in the background: commands that come while another is at work, is killed, or cannot go through with it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs::File;
use std::net::{SocketAddr, TcpListener};

use background::{Background, assert_says, ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_processes::ProcessId;
use polywire_testkit::{Call, ChatStream, Exchange, Gate, Running, ScriptedUpstream, within};
use serde_json::{Value, json};

#[path = "support/background.rs"]
mod background;

/// One whose turns wait in their midst until the gate is opened.
fn gated(gate: &Gate) -> Background {
    let gate = gate.clone();
    let upstream = ScriptedUpstream::start(move |_, _| {
        ChatStream::new()
            .text("one")
            .wait(&gate)
            .text("two")
            .finish("stop")
            .done()
    });
    Background::new(upstream, "")
}

/// A turn at work.
async fn turn(background: &Background) -> Exchange {
    let mut exchange = background.ask(true).open(background.address()).await;
    exchange.events_until("response.output_text.delta").await;
    exchange
}

/// Waits until the gateway begins nothing any more.
async fn stopping(address: SocketAddr) {
    within("the drain to begin", async {
        while Call::get("/ready").send(address).await.status != 503 {}
    })
    .await;
}

/// A gateway with a turn at work, whose `stop` was killed while it waited.
async fn left_stopping(background: &Background) -> Exchange {
    background.done(&["start"]).await;
    let exchange = turn(background).await;
    let stop = Running::start(background.command(&["stop"]));
    stop.stderr_line("1 turn is at work").await;
    stopping(background.address()).await;
    stop.signal(Signal::SIGKILL);
    stop.ended().await;
    exchange
}

/// Kills the gateway, and waits until it is gone.
async fn crash(background: &Background) {
    let id = ProcessId::of(background.pid().try_into().unwrap());
    let id = id.unwrap().unwrap();
    kill(Pid::from_raw(background.pid()), Signal::SIGKILL).unwrap();
    within("the end of the gateway", async {
        while id.is_alive().unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_stop_waits_for_the_first_and_cuts_nothing_off() {
    let gate = Gate::new();
    let background = gated(&gate);
    let mut exchange = left_stopping(&background).await;
    let again = Running::start(background.command(&["stop"]));
    again.stderr_line("is stopping already").await;
    gate.open();
    exchange.events_until("response.completed").await;
    let stopped = again.ended().await;
    assert_eq!(stopped.code(), Some(0), "{stopped:?}");
    assert_eq!(stopped.stdout, ["polywire has stopped"]);
    assert_eq!(background.state()["ended"]["turns_cut_off"], 0);
}

#[tokio::test]
async fn a_second_stop_is_as_firm_as_it_is_asked_to_be() {
    let background = gated(&Gate::new());
    let exchange = left_stopping(&background).await;
    let stopped = background.run(&["stop", "--timeout", "0"]).await;
    assert_eq!(stopped.code(), Some(0), "{stopped:?}");
    assert_says(&stopped.stderr.join("\n"), &["1 turn was cut off"]);
    assert!(!exchange.rest().await.whole);
}

#[tokio::test]
async fn a_restart_waits_for_a_stop_that_is_under_way() {
    let gate = Gate::new();
    let background = gated(&gate);
    let mut exchange = left_stopping(&background).await;
    let first = background.pid();
    let restart = Running::start(background.command(&["restart"]));
    restart.stderr_line("is stopping already").await;
    gate.open();
    exchange.events_until("response.completed").await;
    let restarted = restart.ended().await;
    assert_eq!(restarted.code(), Some(0), "{restarted:?}");
    assert_ne!(background.pid(), first);
}

#[tokio::test]
async fn a_start_waits_for_one_that_is_stopping() {
    let gate = Gate::new();
    let background = gated(&gate);
    let mut exchange = left_stopping(&background).await;
    let first = background.pid();
    let start = Running::start(background.command(&["start"]));
    start.stderr_line("is stopping").await;
    gate.open();
    exchange.events_until("response.completed").await;
    let started = start.ended().await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    assert_ne!(background.pid(), first);
    assert_says(
        &started.stdout.join("\n"),
        &[&format!("running with pid {}", background.pid())],
    );
}

#[tokio::test]
async fn a_start_does_not_take_one_that_answers_nobody_for_one_that_serves() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    let first = background.pid();
    // As one is that closes its engines: there, and without an ear.
    kill(Pid::from_raw(first), Signal::SIGSTOP).unwrap();
    let start = Running::start(background.command(&["start"]));
    start.stderr_line("does not answer").await;
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    let started = start.ended().await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    assert_ne!(background.pid(), first);
}

#[tokio::test]
async fn status_forgets_nothing_while_another_command_is_at_work() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    crash(&background).await;
    let state = background.state();
    let lock = File::open(background.file("gateway.lock")).unwrap();
    lock.lock().unwrap();
    let status = background.run(&["status"]).await;
    assert_eq!(status.code(), Some(1), "{status:?}");
    assert_says(&status.stderr.join("\n"), &["ended without saying so"]);
    assert_eq!(background.state(), state);
    drop(lock);
    let status = background.run(&["status"]).await;
    assert_says(&status.stderr.join("\n"), &["ended without saying so"]);
    assert_eq!(background.state()["running"], Value::Null);
}

#[tokio::test]
async fn status_tells_of_another_gateway_though_ours_has_crashed() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    crash(&background).await;
    let gateway = background.house.gateway().await;
    let address = gateway.address().to_string();
    let mut state = background.state();
    state["start"]["secret_variables"] = json!([]);
    for text in [state.to_string(), "{}".to_owned()] {
        background
            .house
            .home
            .write("state/polywire/gateway.json", &text);
        let mut status = background.command(&["status"]);
        status.env("POLYWIRE_LISTEN", &address);
        let status = ended(status).await;
        assert_eq!(status.code(), Some(0), "{status:?}");
        assert_says(&status.stdout.join("\n"), &[&address]);
        let why = if text == "{}" {
            "gateway.json"
        } else {
            "ended without saying so"
        };
        assert_says(&status.stderr.join("\n"), &[why]);
    }
    // Where nobody answers, nothing is said of whether one runs.
    let status = background.run(&["status"]).await;
    assert_eq!(status.code(), Some(1), "{status:?}");
    assert!(status.stdout.is_empty(), "{status:?}");
    assert_says(&status.stderr.join("\n"), &["error: ", "gateway.json"]);
    gateway.stop().await;
    std::fs::remove_file(background.file("gateway.json")).unwrap();
}

#[tokio::test]
async fn a_restart_that_cannot_listen_leaves_the_gateway_that_runs() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    let (first, address) = (background.pid(), background.address());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = taken.local_addr().unwrap().to_string();
    let refused = background.run(&["restart", "--listen", &refused]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(&refused.stderr.join("\n"), &["error: port", "hint:"]);
    assert_eq!((background.pid(), background.address()), (first, address));
    assert_eq!(Call::get("/ready").send(address).await.status, 200);
}

#[tokio::test]
async fn a_restart_that_fails_starts_again_what_was_there() {
    let background = Background::with_answers();
    background.done(&["start", "--strict"]).await;
    let first = background.pid();
    let mut restart = background.command(&["restart", "--log", "polywire=no_level"]);
    restart.env("POLYWIRE_STRICT", "1");
    let failed = ended(restart).await;
    assert_eq!(failed.code(), Some(1), "{failed:?}");
    assert_says(
        &failed.stderr.join("\n"),
        &["no_level", "as it was started before"],
    );
    assert_ne!(background.pid(), first);
    let address = background.address();
    assert_eq!(Call::get("/ready").send(address).await.status, 200);
    let start = background.state()["start"].clone();
    assert_eq!(
        (&start["strict"], &start["log"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(start["variables"]["POLYWIRE_STRICT"], Value::Null);
}

#[tokio::test]
async fn a_start_elsewhere_is_not_taken_for_done() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    let here = background.address();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = elsewhere.local_addr().unwrap().to_string();
    let refused = background.run(&["start", "--listen", &elsewhere]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(
        &refused.stderr.join("\n"),
        &[&here.to_string(), &elsewhere, "hint: `polywire restart"],
    );
    let there = background
        .run(&["start", "--listen", &here.to_string()])
        .await;
    assert_eq!(there.code(), Some(0), "{there:?}");
}

#[tokio::test]
async fn a_restart_tells_of_proxies_that_are_others_now() {
    let background = Background::with_answers();
    let mut start = background.command(&["start"]);
    start
        .env("HTTPS_PROXY", "http://user:s3cret@127.0.0.1:9")
        .env("NO_PROXY", "localhost")
        .env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
    assert_eq!(ended(start).await.code(), Some(0));
    let mut restart = background.command(&["restart"]);
    restart
        .env("NO_PROXY", "127.0.0.1")
        .env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        .env("all_proxy", "http://other:s3cret@127.0.0.1:9");
    let restarted = ended(restart).await;
    assert_eq!(restarted.code(), Some(0), "{restarted:?}");
    let said = restarted.stderr.join("\n");
    assert_says(
        &said,
        &[
            "`HTTPS_PROXY` was set",
            "`all_proxy` is set now",
            "`NO_PROXY` is another",
        ],
    );
    assert!(!said.contains("SSL_CERT_FILE"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert!(!background.text("gateway.json").contains("s3cret"));
}
