//! What `polywire run` keeps apart: the run's own token and the user's keys, this user's gateway and those of others, one polywire and its next version.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::{SocketAddr, TcpListener};

use background::{Background, assert_says, ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_testkit::{Call, ChatStream, Running, ScriptedUpstream, within};
use processes::{gateways_of, processes_of, until};
use runs::{house, script};
use tokio::process::Command;

#[path = "support/background.rs"]
mod background;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/runs.rs"]
mod runs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

fn address(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

const TELL_GATEWAY: &str = "echo gateway $OPENAI_BASE_URL";

#[tokio::test]
async fn inside_of_a_run_its_token_is_nobodys_key() {
    let house = house();
    let outside = house.polywire();
    let list = |mut command: Command| {
        command.args(["provider", "list"]);
        command
    };
    let outside = ended(list(outside)).await;
    let inside = ended(script(&house, &format!("exec {PROGRAM} provider list"))).await;
    assert_eq!(inside.code(), Some(0), "{inside:?}");
    assert_eq!(inside.stdout, outside.stdout);
}

#[tokio::test]
async fn what_is_started_inside_of_a_run_has_nothing_of_it() {
    let background = Background::with_answers();
    let script = script(
        &background.house,
        &format!("{PROGRAM} start && {PROGRAM} run -p house -- sleep 600 & sleep 600"),
    );
    let run = Running::start(script);
    run.stdout_line("polywire is running with pid").await;
    until("both gateways", || {
        gateways_of(&background.house.home).len() == 1
    })
    .await;
    for process in processes_of(&background.house.home) {
        let is_gateway = [" serve --background", " run-gateway"]
            .iter()
            .any(|words| process.command.contains(words));
        if !is_gateway {
            continue;
        }
        let environment = std::fs::read(format!("/proc/{}/environ", process.id)).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        for name in ["OPENAI_API_KEY=", "ANTHROPIC_API_KEY=", "POLYWIRE_RUN"] {
            assert!(!environment.contains(name), "{name} in {process:?}");
        }
    }
}

#[tokio::test]
async fn a_new_version_of_polywire_leaves_no_gateway_behind() {
    let house = house();
    let program = house.home.work().join("polywire");
    std::fs::copy(PROGRAM, &program).unwrap();
    let mut command = house.home.command(&program);
    command.args(["run", "-p", "house", "--", "sh", "-c"]).arg(
        "./polywire serve --listen 127.0.0.1:0 </dev/null >/dev/null 2>serve.log & echo left $!; \
         while ! grep -q listens serve.log; do sleep 0.05; done; \
         cp polywire next; mv next polywire",
    );
    command.env("POLYWIRE_TOKEN", "pw-a-token-for-tests-0123456789");
    let run = Running::start(command);
    let left = run.stdout_line("left ").await;
    let left = left.rsplit(' ').next().unwrap().parse().unwrap();
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let gateways = gateways_of(&house.home);
    kill(Pid::from_raw(left), Signal::SIGTERM).unwrap();
    assert_eq!(gateways, [], "{ended:?}");
}

/// Answers as a gateway that has everything, and tells what it was sent. Belongs to that user, who need not exist.
fn stranger(user: u32) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    use std::io::{Read, Write};
    let (listens, listening) = std::sync::mpsc::channel();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Of this thread alone. A socket belongs to whom its maker acts for.
        nix::unistd::setfsuid(user.into());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listens.send(listener.local_addr().unwrap()).unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let body = r#"{"service": "polywire", "status": "ok"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).ok();
            request.truncate(length);
            if tell
                .send(String::from_utf8_lossy(&request).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    (listening.recv().unwrap(), told)
}

#[tokio::test]
async fn the_token_goes_to_nobody_elses_gateway() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can make a socket of another user.
        return;
    }
    let house = house();
    let (theirs, asked) = stranger(65_534);
    let mut command = script(&house, TELL_GATEWAY);
    command
        .env("POLYWIRE_LISTEN", theirs.to_string())
        .env("POLYWIRE_TOKEN", "pw-a-token-for-tests-0123456789");
    let run = ended(command).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_ne!(address(&run.stdout[0]), theirs, "{run:?}");
    assert_says(
        &run.stderr.join("\n"),
        &["note: ", &theirs.to_string(), "another user"],
    );
    for request in asked.try_iter() {
        assert!(!request.contains("pw-a-token"), "{request}");
    }
}

#[tokio::test]
async fn the_gateway_in_the_background_is_used_wherever_it_listens_until_it_stops() {
    let gate = polywire_testkit::Gate::new();
    let script_gate = gate.clone();
    let upstream = ScriptedUpstream::start(move |_, _| {
        let stream = ChatStream::new().text("one").wait(&script_gate);
        stream.text("two").finish("stop").done()
    });
    let background = Background::new(upstream, "");
    background.done(&["start", "--listen", "127.0.0.1:0"]).await;
    let shared = background.address();
    let run = ended(script(&background.house, TELL_GATEWAY)).await;
    assert_eq!(address(&run.stdout[0]), shared, "{run:?}");

    let mut exchange = background.ask(true).open(shared).await;
    exchange.events_until("response.output_text.delta").await;
    let stop = Running::start(background.command(&["stop"]));
    within("the drain to begin", async {
        while Call::get("/ready").send(shared).await.status != 503 {}
    })
    .await;
    let mut command = script(&background.house, TELL_GATEWAY);
    command.env("POLYWIRE_LISTEN", shared.to_string());
    let run = ended(command).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_ne!(address(&run.stdout[0]), shared, "{run:?}");
    gate.open();
    exchange.events_until("response.completed").await;
    assert_eq!(stop.ended().await.code(), Some(0));
}
