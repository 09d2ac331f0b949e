//! How a gateway comes to its end: turns that may end, turns that are cut off, clients that come meanwhile, supervisors that want to know.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use background::{Background, assert_says};
use polywire_testkit::{
    Call, ChatStream, Exchange, Gate, Gateway, Heard, House, Reply, Running, ScriptedUpstream,
    Upgrade, answer, within,
};
use serde_json::json;

#[path = "support/background.rs"]
mod background;

fn gated(gate: &Gate) -> Reply {
    ChatStream::new()
        .text("one")
        .wait(gate)
        .text("two")
        .finish("stop")
        .done()
}

/// Opens streams and waits until something of each has come.
async fn streams(background: &Background, count: usize) -> Vec<Exchange> {
    let mut open = Vec::new();
    for _ in 0..count {
        let mut exchange = background.ask(true).open(background.address()).await;
        exchange.events_until("response.output_text.delta").await;
        open.push(exchange);
    }
    open
}

#[tokio::test]
async fn fifty_open_streams_end_within_the_drain_time() {
    const STREAMS: usize = 50;
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = ScriptedUpstream::start(move |_, _| gated(&script));
    let background = Background::new(upstream, "");
    background.done(&["start"]).await;
    let address = background.address();
    let open = streams(&background, STREAMS).await;

    let stop = Running::start(background.command(&["stop"]));
    stop.stderr_line(&format!("{STREAMS} turns are at work"))
        .await;
    // Whoever comes now is told to come again, in the shape of each dialect; whoever asks how it does is answered.
    let ready = within("the drain to begin", async {
        loop {
            let ready = Call::get("/ready").send(address).await;
            if ready.status == 503 {
                return ready;
            }
        }
    })
    .await;
    assert_eq!(ready.json(), json!({"status": "stopping"}));
    for (path, header) in [
        ("/v1/responses", ("x-none", "none")),
        ("/v1/chat/completions", ("x-none", "none")),
        ("/v1/messages", ("anthropic-version", "2023-06-01")),
    ] {
        let call = Call::post(path, &json!({"model": "test-model"}))
            .header(header.0, header.1)
            .bearer(background.text("token").trim());
        let refused = call.send(address).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(refused.headers.get("retry-after"), Some("5"));
        assert_says(&refused.text(), &["stopping", "try again"]);
    }
    let metrics = Call::get("/metrics").bearer(background.text("token").trim());
    assert_says(
        &metrics.send(address).await.text(),
        &[&format!("polywire_turns_at_work {STREAMS}")],
    );
    assert_eq!(Call::get("/health").send(address).await.status, 200);

    gate.open();
    for mut exchange in open {
        exchange.events_until("response.completed").await;
    }
    let stopped = stop.ended().await;
    assert_eq!(stopped.code(), Some(0), "{stopped:?}");
    assert_eq!(stopped.stdout, ["polywire has stopped"]);
    assert!(
        !stopped.stderr.join("\n").contains("cut off"),
        "{stopped:?}"
    );
    assert_eq!(background.state()["ended"]["turns_cut_off"], 0);
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// Streams that never end are cut off: told by `stop`, in the log, in the receipts, and by no client taken for an end.
async fn cut_off(more: &str, stop: &[&str], reason: &str) {
    let upstream = ScriptedUpstream::start(|_, _| ChatStream::new().text("one").stall());
    let background = Background::new(upstream, more);
    background.done(&["start"]).await;
    let open = streams(&background, 3).await;
    let stopped = background.run(stop).await;
    assert_eq!(stopped.code(), Some(0), "{stopped:?}");
    let said = stopped.stderr.join("\n");
    assert_says(
        &said,
        &["3 turns are at work", "3 turns were cut off", reason],
    );
    assert_eq!(background.state()["ended"]["turns_cut_off"], 3);
    for exchange in open {
        let answer = exchange.rest().await;
        assert!(!answer.whole, "{}", answer.text());
        assert!(!answer.text().contains("response.completed"));
    }
    let log = background.text("gateway.log");
    assert_says(&log, &["warning: 3 turns were cut off", reason]);
    let turns = log.lines().filter(|line| line.contains("turn request_id="));
    let turns: Vec<&str> = turns.collect();
    assert_eq!(turns.len(), 3, "{log}");
    for turn in turns {
        assert_says(turn, &["http_status=503", "error_type"]);
    }
    let receipts = background.done(&["receipts", "--json"]).await;
    assert_eq!(receipts.matches("overloaded").count(), 3, "{receipts}");
    assert!(!receipts.contains("client_left"), "{receipts}");
}

#[tokio::test]
async fn streams_that_do_not_end_are_cut_off_by_a_firm_stop() {
    cut_off("", &["stop", "--timeout", "1"], "a second time").await;
}

#[tokio::test]
async fn streams_that_do_not_end_are_cut_off_by_the_gateway_itself() {
    cut_off("drain_timeout = 1", &["stop"], "within 1 s").await;
}

#[tokio::test]
async fn a_turn_on_a_web_socket_is_cut_off_too() {
    let upstream = ScriptedUpstream::start(|_, _| ChatStream::new().text("one").stall());
    let background = Background::new(upstream, "");
    background.done(&["start"]).await;
    let upgrade = Upgrade::at("/v1/responses").bearer(background.text("token").trim());
    let mut socket = upgrade.open(background.address()).await;
    socket
        .send(&json!({"type": "response.create", "model": "test-model", "input": "hi"}))
        .await;
    while socket.event().await["type"] != "response.output_text.delta" {}
    let stopped = background.run(&["stop", "--timeout", "0"]).await;
    assert_eq!(stopped.code(), Some(0), "{stopped:?}");
    assert_says(
        &stopped.stderr.join("\n"),
        &["1 turn is at work", "1 turn was cut off"],
    );
    assert!(matches!(socket.next().await, Heard::Broken));
    let receipts = background.done(&["receipts", "--json"]).await;
    assert_eq!(receipts.matches("overloaded").count(), 1, "{receipts}");
}

#[tokio::test]
async fn a_spare_connection_keeps_nobody_waiting() {
    let background = Background::new(ScriptedUpstream::start(|_, _| answer("hello")), "");
    background.done(&["start"]).await;
    let spare = std::net::TcpStream::connect(background.address()).unwrap();
    let began = Instant::now();
    background.done(&["stop"]).await;
    // Without care it would be the thirty seconds that a client has for the head of its request.
    assert!(began.elapsed() < Duration::from_secs(20));
    drop(spare);
}

/// What a supervisor hears until these words come.
async fn heard(socket: &tokio::net::UnixDatagram, words: &str) -> String {
    within(words, async {
        loop {
            let mut bytes = [0; 1024];
            let count = socket.recv(&mut bytes).await.unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            if text.contains(words) {
                return text;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_supervisor_hands_over_its_socket_and_is_told() {
    let upstream = ScriptedUpstream::start(|_, _| answer("hello"));
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    );
    let path = house.home.work().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::UnixDatagram::from_std(socket).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut command = by_socket(&house, listener);
    command
        .env("NOTIFY_SOCKET", &path)
        // The socket counts, not the settings.
        .env("POLYWIRE_LISTEN", "127.0.0.1:1");
    let gateway = SocketActivated::start(command);
    let ready = heard(&socket, "READY=1").await;
    assert_says(
        &ready,
        &[&format!("STATUS=listening on http://{address}/v1")],
    );
    assert_eq!(Call::get("/ready").send(address).await.status, 200);
    gateway.terminate();
    assert_says(&heard(&socket, "STOPPING=1").await, &["0 turns at work"]);
    assert!(gateway.ended().success());
    // Ours was the only copy that was left open.
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// `polywire serve`, started as systemd does it: the socket is number 3, and the process that it is meant for is named by its number.
fn by_socket(house: &House, listener: TcpListener) -> tokio::process::Command {
    let script = r#"exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" serve"#;
    let mut command = house.home.command("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_polywire")])
        .env("POLYWIRE_TOKEN", "pw-a-token-for-tests-0123456789")
        .stdin(OwnedFd::from(listener));
    command
}

#[tokio::test]
async fn a_socket_that_everybody_reaches_is_not_served_without_a_token() {
    let upstream = ScriptedUpstream::start(|_, _| answer("hello"));
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    );
    let mut command = by_socket(&house, TcpListener::bind("0.0.0.0:0").unwrap());
    command.env("POLYWIRE_AUTH", "none");
    let refused = command.output().await.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_says(&said, &["would let everybody", "hint:"]);
}

/// A child whose standard input is not ours to choose.
struct SocketActivated(std::process::Child);

impl SocketActivated {
    fn start(command: tokio::process::Command) -> Self {
        Self(command.into_std().spawn().unwrap())
    }

    fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    fn ended(mut self) -> std::process::ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for SocketActivated {
    fn drop(&mut self) {
        // It may have ended; a test that fails leaves nothing behind.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn a_gateway_in_the_foreground_can_log_to_a_file() {
    let upstream = ScriptedUpstream::start(|_, _| answer("hello"));
    let background = Background::new(upstream, "");
    let log = background.house.home.work().join("own.log");
    let mut serve = background.command(&["serve", "--log-file"]);
    serve
        .arg(&log)
        .env("POLYWIRE_TOKEN", "pw-a-token-for-tests-0123456789");
    let gateway = Gateway::start(serve).await;
    let body = json!({"model": "test-model", "input": "hi"});
    let answer = gateway.send(Call::post("/v1/responses", &body)).await;
    let id = answer.headers.get("x-polywire-request-id").unwrap();
    let ended = gateway.stop().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(!ended.stderr.join("\n").contains(id), "{ended:?}");
    assert_says(&std::fs::read_to_string(&log).unwrap(), &[id]);
}
