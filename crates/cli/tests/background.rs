//! A gateway in the background: `start`, `stop`, `restart`, `status`, `logs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::TcpListener;

use background::{Background, assert_says, ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use polywire_processes::ProcessId;
use polywire_testkit::{Call, Running, ScriptedUpstream, TempHome, answer, within};
use serde_json::{Value, json};

#[path = "support/background.rs"]
mod background;

#[tokio::test]
async fn it_starts_tells_how_it_is_and_stops() {
    let background = Background::with_answers();
    let stopped = background.run(&["status"]).await;
    assert_eq!(stopped.code(), Some(1), "{stopped:?}");
    assert_eq!(stopped.stdout, ["polywire is stopped"]);

    let started = background.done(&["start"]).await;
    let (pid, base) = (
        background.pid(),
        format!("http://{}/v1", background.address()),
    );
    assert_says(
        &started,
        &[
            &format!("polywire is running with pid {pid}"),
            &format!("{base}/responses"),
            &format!("{base}/chat/completions"),
            &format!("{base}/messages"),
            "<redacted>",
            "house (default)",
            "gateway.json",
            "gateway.log",
        ],
    );
    assert!(
        !started.contains(background.text("token").trim()),
        "{started}"
    );
    for name in ["gateway.json", "gateway.log", "gateway.lock"] {
        assert_eq!(background.mode(name), 0o600, "{name}");
    }
    // A session of its own: closing the terminal does not end it.
    assert_eq!(getsid(Some(Pid::from_raw(pid))), Ok(Pid::from_raw(pid)));

    let answer = background.ask(false).send(background.address()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let status = background.done(&["status"]).await;
    assert_says(
        &status,
        &[&format!("pid {pid} for"), &base, "0 at work", "house"],
    );
    assert!(!status.contains("gateway.json"), "{status}");
    let verbose = background.done(&["status", "--verbose"]).await;
    assert_says(
        &verbose,
        &["gateway.json", "1, of which 1 went well", "version"],
    );
    let told: Value = serde_json::from_str(&background.done(&["status", "--json"]).await).unwrap();
    assert_eq!(told["running"], true);
    assert_eq!(told["pid"], pid);
    assert_eq!(told["ready"], true);
    assert_eq!(told["turns_at_work"], 0);
    assert_eq!(told["providers"], json!(["house", "demo"]));

    let again = background.run(&["start"]).await;
    assert_eq!(again.code(), Some(0), "{again:?}");
    assert_says(
        &again.stdout.join("\n"),
        &["already running", &pid.to_string(), &base],
    );
    assert_eq!(background.pid(), pid);

    assert_eq!(background.done(&["stop"]).await, "polywire has stopped");
    assert_eq!(background.state()["running"], Value::Null);
    assert_eq!(background.state()["ended"]["turns_cut_off"], 0);
    assert_eq!(background.done(&["stop"]).await, "polywire is not running");
    let status = background.run(&["status", "--json"]).await;
    assert_eq!(status.code(), Some(1), "{status:?}");
    let told: Value = serde_json::from_str(&status.stdout.join("\n")).unwrap();
    assert_eq!(
        (&told["running"], &told["crashed"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn two_starts_at_once_start_one() {
    let background = Background::with_answers();
    let starts: [_; 3] = std::array::from_fn(|_| Running::start(background.command(&["start"])));
    let mut said = Vec::new();
    for start in starts {
        let ended = start.ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        said.push(ended.stdout[0].clone());
    }
    let pid = background.pid();
    let count = |words: &str| said.iter().filter(|said| said.contains(words)).count();
    assert_eq!(count(&format!("is running with pid {pid}")), 1, "{said:?}");
    assert_eq!(
        count(&format!("already running with pid {pid}")),
        2,
        "{said:?}"
    );
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_told_in_its_own_words() {
    let background = Background::with_answers();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let failed = background
        .run(&["start", "--listen", &address.to_string()])
        .await;
    assert_eq!(failed.code(), Some(1), "{failed:?}");
    assert!(failed.stdout.is_empty(), "{failed:?}");
    let own_pid = format!("pid {}", std::process::id());
    let port = address.port().to_string();
    let said = failed.stderr.join("\n");
    assert_says(
        &said,
        &["error: port", &port, "another program", "hint:", "--listen"],
    );
    assert_says(&said, &[&own_pid]);
    assert_says(&background.text("gateway.log"), &["another program"]);

    background.house.home.write("state/polywire/token", "short");
    let failed = background.run(&["start"]).await;
    assert_eq!(failed.code(), Some(1), "{failed:?}");
    assert_says(
        &failed.stderr.join("\n"),
        &["error: ", "usable token", "hint:"],
    );
    std::fs::remove_file(background.file("token")).unwrap();

    let status = background.run(&["status"]).await;
    assert_eq!(status.stdout, ["polywire is stopped"], "{status:?}");

    // One that runs in the foreground is neither started again nor stopped from here.
    let gateway = background.house.gateway().await;
    let address = gateway.address().to_string();
    let with = |arguments: &[&str]| {
        let mut command = background.command(arguments);
        command.env("POLYWIRE_LISTEN", &address);
        command
    };
    let refused = ended(with(&["start"])).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(
        &refused.stderr.join("\n"),
        &["already running on", "with pid"],
    );
    let refused = ended(with(&["stop"])).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(&refused.stderr.join("\n"), &["has not started", "hint:"]);
    let status = ended(with(&["status"])).await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert_says(&status.stdout.join("\n"), &[&address]);
    gateway.stop().await;
}

#[tokio::test]
async fn one_that_listens_everywhere_is_warned_of_and_called_on_loopback() {
    let background = Background::with_answers();
    let started = background.run(&["start", "--listen", "0.0.0.0:0"]).await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    assert_says(
        &started.stderr.join("\n"),
        &["warning: listening on 0.0.0.0", "other machines", "token"],
    );
    let base = format!("http://127.0.0.1:{}/v1", background.address().port());
    assert_says(&started.stdout.join("\n"), &[&base]);
    assert_says(&background.done(&["status"]).await, &[&base, "0 at work"]);
    let mut open = background.command(&["start", "--listen", "0.0.0.0:0"]);
    open.env("POLYWIRE_AUTH", "none");
    assert_eq!(ended(open).await.code(), Some(1));
}

#[tokio::test]
async fn a_crash_is_told_once_and_a_new_start_follows() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    let crash = async || {
        let id = ProcessId::of(background.pid().try_into().unwrap());
        let id = id.unwrap().unwrap();
        kill(Pid::from_raw(background.pid()), Signal::SIGKILL).unwrap();
        within("the end of the gateway", async {
            while id.is_alive().unwrap() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    let first = background.pid();
    crash().await;
    let status = background.run(&["status"]).await;
    assert_eq!(status.code(), Some(1), "{status:?}");
    let said = status.stderr.join("\n");
    assert_says(
        &said,
        &[
            &first.to_string(),
            "ended without saying so",
            "polywire logs",
        ],
    );
    let status = background.run(&["status"]).await;
    assert!(status.stderr.is_empty(), "told once: {status:?}");

    background.done(&["start"]).await;
    crash().await;
    let stop = background.run(&["stop"]).await;
    assert_eq!(stop.code(), Some(0), "{stop:?}");
    assert_says(&stop.stderr.join("\n"), &["ended without saying so"]);
    background.done(&["start"]).await;
    crash().await;
    let start = background.run(&["start"]).await;
    assert_eq!(start.code(), Some(0), "{start:?}");
    assert_says(&start.stderr.join("\n"), &["ended without saying so"]);
    assert_says(&background.done(&["status"]).await, &["is running"]);
}

#[tokio::test]
async fn a_number_that_belongs_to_another_program_now_is_left_alone() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    let state = background.state();
    background.done(&["stop"]).await;
    let mut sleep = background.house.home.command("sleep");
    sleep.arg("600");
    let sleep = Sleeping(sleep.into_std().spawn().unwrap());
    let id = ProcessId::of(sleep.id()).unwrap().unwrap();
    let with = |process: Value| {
        let mut state = state.clone();
        state["running"]["process"] = process;
        state
    };
    let mut other_time = state["running"]["process"].clone();
    other_time["pid"] = json!(id.pid());
    // The number alone, and then the moment too: a gateway that would have become another program.
    for process in [other_time, serde_json::to_value(&id).unwrap()] {
        for (command, code) in [("stop", 0), ("status", 1)] {
            background.write_state(&with(process.clone()));
            let ended = background.run(&[command]).await;
            assert_eq!(ended.code(), Some(code), "{ended:?}");
            let said = ended.stderr.join("\n");
            assert_says(&said, &[&id.pid().to_string(), "`sleep`", "left alone"]);
            assert!(id.is_alive().unwrap());
            assert_eq!(background.state()["running"], Value::Null);
        }
    }
}

#[tokio::test]
async fn a_gateway_of_another_machine_is_neither_stopped_nor_forgotten() {
    let background = Background::with_answers();
    background.done(&["start"]).await;
    let mut state = background.state();
    background.done(&["stop"]).await;
    state["running"]["host"] = json!("another-machine");
    background.write_state(&state);
    for command in ["status", "stop", "start", "restart"] {
        let refused = background.run(&[command]).await;
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        assert_says(
            &refused.stderr.join("\n"),
            &["runs on `another-machine`", "hint:", "gateway.json"],
        );
        assert_eq!(background.state(), state);
    }
    std::fs::remove_file(background.file("gateway.json")).unwrap();
}

/// A child of this test, killed when it is dropped.
struct Sleeping(std::process::Child);

impl Sleeping {
    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).unwrap();
    }
}

#[tokio::test]
async fn a_restart_does_again_what_was_asked_for() {
    let background = Background::with_answers();
    let nothing = background.run(&["restart"]).await;
    assert_eq!(nothing.code(), Some(1), "{nothing:?}");
    assert_says(
        &nothing.stderr.join("\n"),
        &[
            "state file not found",
            "gateway.json",
            "hint:",
            "polywire start",
        ],
    );

    let mut start = background.command(&["start", "--strict", "--log", "debug"]);
    start
        .env("POLYWIRE_LOG_FORMAT", "json")
        // Meant from here, wherever the gateway works.
        .env("POLYWIRE_STORE", "own.sqlite3")
        .env("POLYWIRE_TOKEN", "pw-of-the-environment-1");
    assert_eq!(ended(start).await.code(), Some(0));
    let store = background.house.home.work().join("own.sqlite3");
    assert!(store.exists());
    let store = format!("POLYWIRE_STORE={}", store.display());
    let first = background.pid();

    // A mistake leaves the gateway that runs alone.
    let refused = background.run(&["restart", "-p", "nowhere"]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(&refused.stderr.join("\n"), &["no provider `nowhere`"]);
    assert_eq!(background.pid(), first);

    let restarted = background.run(&["restart", "--log", "info"]).await;
    assert_eq!(restarted.code(), Some(0), "{restarted:?}");
    assert_says(
        &restarted.stdout.join("\n"),
        &["--log info", "--strict", "POLYWIRE_LOG_FORMAT=json", &store],
    );
    assert_says(
        &restarted.stderr.join("\n"),
        &["`POLYWIRE_TOKEN` was set", "not now"],
    );
    assert_ne!(background.pid(), first);
    let log = background.text("gateway.log");
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_says(last["message"].as_str().unwrap(), &["providers: house"]);

    // It also starts one that was stopped.
    background.done(&["stop"]).await;
    let started = background.done(&["restart", "-p", "demo"]).await;
    assert_says(&started, &["demo (default)", "--log info", "--strict"]);
}

#[tokio::test]
async fn no_secret_is_where_others_or_later_readers_find_it() {
    let background = Background::with_answers();
    let secrets = [
        "pw-secret-of-the-environment",
        "sk-secret-of-zai",
        "sk-house",
    ];
    let mut start = background.command(&["start", "--log", "trace"]);
    start
        .env("POLYWIRE_TOKEN", secrets[0])
        .env("ZAI_API_KEY", secrets[1]);
    let started = ended(start).await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    let call = Call::post(
        "/v1/responses",
        &json!({"model": "test-model", "input": "hi"}),
    );
    let answer = call.bearer(secrets[0]).send(background.address()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let arguments = std::fs::read(format!("/proc/{}/cmdline", background.pid())).unwrap();
    let verbose = background.done(&["status", "--verbose"]).await;
    assert_says(&verbose, &["POLYWIRE_TOKEN, ZAI_API_KEY"]);
    let places = [
        ("argv", String::from_utf8(arguments).unwrap()),
        ("state", background.text("gateway.json")),
        ("log", background.text("gateway.log")),
        ("summary", started.stdout.join("\n")),
        ("status", verbose),
    ];
    for (place, text) in places {
        for secret in secrets {
            assert!(!text.contains(secret), "{place}: {text}");
        }
    }
}

#[tokio::test]
async fn a_log_that_is_not_there_is_told() {
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    let mut logs = home.command(env!("CARGO_BIN_EXE_polywire"));
    logs.arg("logs");
    let ended = ended(logs).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_says(
        &ended.stderr.join("\n"),
        &["no log yet", "hint:", "journalctl"],
    );
}

#[tokio::test]
async fn the_log_is_followed_through_its_changes_of_file() {
    const TURNS: usize = 30;
    let background = Background::new(ScriptedUpstream::start(|_, _| answer("hello")), "");
    let settings = background.house.home.config().join("polywire/config.toml");
    let mut settings = std::fs::read_to_string(settings).unwrap();
    settings.push_str("\n[log_file]\nmax_mb = 1\nkeep = 2\n");
    background
        .house
        .home
        .write("config/polywire/config.toml", settings);
    // Room for a few turns, so that the file changes while they are followed.
    let filled = "filled\n".repeat((1_000_000 - 3000) / 7);
    background
        .house
        .home
        .write("state/polywire/gateway.log", filled);
    background.done(&["start"]).await;
    let following = Running::start(background.command(&["logs", "-f", "-n", "1"]));
    following.stdout_line("providers: house").await;
    let mut ids = Vec::new();
    for _ in 0..TURNS {
        let answer = background.ask(false).send(background.address()).await;
        ids.push(
            answer
                .headers
                .get("x-polywire-request-id")
                .unwrap()
                .to_owned(),
        );
    }
    for id in &ids {
        following.stdout_line(id).await;
    }
    following.interrupt();
    let followed = following.ended().await;
    assert_eq!(followed.code(), Some(0), "{followed:?}");
    let turns: Vec<&String> = followed
        .stdout
        .iter()
        .filter(|line| line.contains("request_id="))
        .collect();
    assert_eq!(turns.len(), TURNS, "each once");
    assert!(background.text("gateway.log.1").starts_with("filled\n"));
    assert_eq!(background.mode("gateway.log.1"), 0o600);
    assert!(background.file("gateway.log").metadata().unwrap().len() < 100_000);
    // The last lines are shown from both files.
    let shown = background
        .done(&["logs", "-n", &(TURNS + 1).to_string()])
        .await;
    assert_eq!(shown.lines().count(), TURNS + 1);
    assert_says(&shown, &[ids.first().unwrap(), ids.last().unwrap()]);
}
