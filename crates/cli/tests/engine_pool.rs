//! The workers of an engine: many turns at once, workers that die, clients that leave, queues that are full. By the real Codex.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

#[path = "support/engines.rs"]
#[allow(dead_code, reason = "each test program needs some of it")]
mod engines;

use std::time::Instant;

use engines::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_testkit::{Call, Gate, Reply, ResponsesStream, ScriptedUpstream, within};
use serde_json::json;
use tokio::task::JoinSet;

/// A model that answers each prompt with itself, when the gate is open.
fn echoes(gate: &Gate) -> ScriptedUpstream {
    let gate = gate.clone();
    ScriptedUpstream::start(move |_, request| {
        let request = request.json();
        let items = request["input"].as_array().cloned().unwrap_or_default();
        let prompt = items.last().map(|item| item["content"][0]["text"].clone());
        let prompt = prompt.unwrap_or_default();
        ResponsesStream::new("resp_1")
            .wait(&gate)
            .text("msg_1", prompt.as_str().unwrap_or_default())
            .completed(TOKENS)
    })
}

/// The processes of the engine that speak the protocol: the last of each worker's group.
fn workers(engine: &Engine) -> Vec<Pid> {
    processes_of(&engine.state())
        .iter()
        .filter(|line| line.contains("app-server"))
        .map(|line| Pid::from_raw(line.split(' ').next().unwrap().parse().unwrap()))
        .collect()
}

/// Waits until `look` is true of the process table, which tells nobody when it changes.
async fn until(what: &str, mut look: impl FnMut() -> bool) {
    within(what, async {
        while !look() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn fifty_turns_on_four_workers_of_which_one_is_killed() {
    let gate = Gate::new();
    let Some(engine) = Engine::start(APP_SERVER, echoes(&gate), "workers = 4").await else {
        return;
    };
    let (address, token) = (engine.gateway.address(), engine.gateway.token());
    let mut turns = JoinSet::new();
    for number in 0..50 {
        let call = post_chat(&chat(&format!("turn {number}"))).bearer(token);
        turns.spawn(async move { (number, call.send(address).await) });
    }
    let killing = async {
        // Four turns are at work, the others wait.
        engine
            .house
            .upstream
            .requests_where(4, |request| request.method == "POST")
            .await;
        let victims = workers(&engine);
        assert!(!victims.is_empty());
        kill(victims[0], Signal::SIGKILL).unwrap();
        gate.open();
    };
    let (answers, ()) = within("fifty turns", async {
        tokio::join!(turns.join_all(), killing)
    })
    .await;
    let served = answers
        .iter()
        .filter(|(number, answer)| {
            answer.status == 200 && text_of(answer) == format!("turn {number}")
        })
        .count();
    assert!(served >= 49, "{served} of 50 turns were served");
    engine.stop().await;
}

/// A worker that is killed fails the turn that it has begun to answer, no other one, and is replaced.
#[tokio::test]
async fn a_turn_whose_worker_dies_in_the_middle_fails() {
    let gate = Gate::new();
    let second = gate.clone();
    let upstream = ScriptedUpstream::start(move |index, _| {
        let begun = ResponsesStream::new("resp_1").text_begins("msg_1", "Half an");
        if index == 0 {
            begun.stall()
        } else {
            ResponsesStream::new("resp_2")
                .wait(&second)
                .text("msg_2", "Whole.")
                .completed(TOKENS)
        }
    });
    let Some(engine) = Engine::start(APP_SERVER, upstream, "workers = 2").await else {
        return;
    };
    let stream = |prompt: &str| {
        let mut body = chat(prompt);
        body["stream"] = true.into();
        post_chat(&body).bearer(engine.gateway.token())
    };
    let mut first = stream("one").open(engine.gateway.address()).await;
    while let Some(event) = first.next_event().await {
        if event.data.contains("Half an") {
            break;
        }
    }
    let victims = workers(&engine);
    let other = stream("two").dispatch(engine.gateway.address()).await;
    engine
        .house
        .upstream
        .requests_where(2, |request| request.method == "POST")
        .await;
    // The first worker is the one that was there before the second turn came.
    for victim in victims {
        // A process of the group may be gone with the one before it.
        kill(victim, Signal::SIGKILL).ok();
    }
    let failed = first.rest().await;
    assert!(failed.text().contains("\"error\""), "{}", failed.text());
    assert!(failed.text().contains("process ended"), "{}", failed.text());
    gate.open();
    let whole = other.head().await.rest().await;
    assert!(
        whole.text().contains("Whole.") && whole.text().contains("[DONE]"),
        "{}",
        whole.text()
    );
    let answer = engine.send(post_chat(&chat("three"))).await;
    assert_eq!(text_of(&answer), "Whole.");
    engine.stop().await;
}

/// What an agent has done is not done a second time: not when its process dies before it has said anything, nor when it says nothing.
#[tokio::test]
async fn what_an_agent_has_done_is_not_done_again() {
    for kind in [APP_SERVER, EXEC] {
        for dies in [true, false] {
            let upstream = ScriptedUpstream::start(move |_, request| {
                let request = request.json();
                let items = request["input"].as_array().cloned().unwrap_or_default();
                let has_run = items
                    .iter()
                    .any(|item| item["type"] == "function_call_output");
                let answer = ResponsesStream::new("resp_1");
                match (has_run, dies) {
                    (false, _) => answer
                        .call(
                            "fc_1",
                            "call_1",
                            "exec_command",
                            &json!({"cmd": "echo once >> made.txt"}),
                        )
                        .completed(TOKENS),
                    (true, true) => answer.stall(),
                    (true, false) => answer.completed(TOKENS),
                }
            });
            let Some(engine) = Engine::start(kind, upstream, "agent = true").await else {
                return;
            };
            let told = format!("{kind}, dies {dies}");
            let call = post_chat(&chat("Work.")).bearer(engine.gateway.token());
            let answering = call.send(engine.gateway.address());
            let killing = async {
                if !dies {
                    return;
                }
                let upstream = &engine.house.upstream;
                upstream
                    .requests_where(2, |request| request.method == "POST")
                    .await;
                for line in processes_of(&engine.state()) {
                    let process = line.split(' ').next().unwrap().parse().unwrap();
                    kill(Pid::from_raw(process), Signal::SIGKILL).ok();
                }
            };
            let (answer, ()) = within("the turn", async { tokio::join!(answering, killing) }).await;
            if dies {
                assert_eq!(answer.status, 502, "{told}: {}", answer.text());
                assert_eq!(
                    answer.headers.get("x-should-retry"),
                    Some("false"),
                    "{told}"
                );
            } else {
                assert_eq!(answer.status, 200, "{told}: {}", answer.text());
            }
            let made = std::fs::read_to_string(engine.state().join("workspace/made.txt"));
            assert_eq!(made.unwrap(), "once\n", "{told}");
            assert_eq!(engine.asked().len(), 2, "{told}");
            engine.stop().await;
        }
    }
}

/// A client that leaves interrupts its turn: the model's provider is told at once, and the worker is free for the next turn.
#[tokio::test]
async fn a_client_that_leaves_interrupts_its_turn() {
    for kind in [APP_SERVER, EXEC] {
        let upstream = ScriptedUpstream::start(|index, _| {
            if index == 0 {
                ResponsesStream::new("resp_1")
                    .text_begins("msg_1", "Half an")
                    .stall()
            } else {
                says("Next.")
            }
        });
        let Some(engine) = Engine::start(kind, upstream, "workers = 1").await else {
            return;
        };
        let mut body = chat("one");
        body["stream"] = true.into();
        let call = post_chat(&body).bearer(engine.gateway.token());
        let leaving = call.dispatch(engine.gateway.address()).await;
        engine
            .house
            .upstream
            .requests_where(1, |request| request.method == "POST")
            .await;
        drop(leaving);
        engine.house.upstream.client_gone(0).await;
        assert_eq!(
            text_of(&engine.send(post_chat(&chat("two"))).await),
            "Next.",
            "{kind}"
        );
        if kind == EXEC {
            let state = engine.state();
            until("the process of the first turn to be gone", || {
                processes_of(&state).is_empty()
            })
            .await;
        }
        engine.stop().await;
    }
}

/// A worker that answers nothing any more is given up soon after its client has left, and the next turn gets another one.
#[tokio::test]
async fn a_worker_that_hangs_is_replaced() {
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => ResponsesStream::new("resp_1")
            .text_begins("msg_1", "Half an")
            .stall(),
        _ => says("Next."),
    });
    let Some(engine) = Engine::start(APP_SERVER, upstream, "workers = 1").await else {
        return;
    };
    let call = post_chat(&chat("one")).bearer(engine.gateway.token());
    let leaving = call.dispatch(engine.gateway.address()).await;
    let upstream = &engine.house.upstream;
    upstream
        .requests_where(1, |request| request.method == "POST")
        .await;
    for process in workers(&engine) {
        kill(process, Signal::SIGSTOP).unwrap();
    }
    let began = Instant::now();
    drop(leaving);
    let answer = engine.send(post_chat(&chat("two"))).await;
    assert_eq!(text_of(&answer), "Next.");
    // Five seconds for the interrupt; a call that is waited for to its end would take thirty.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    engine.stop().await;
}

/// What an agent has started ends with its turn, however that ends.
#[tokio::test]
async fn commands_end_with_their_turn() {
    for kind in [APP_SERVER, EXEC] {
        for end in ["the client leaves", "its time is over", "the model is done"] {
            let is_done = end == "the model is done";
            let upstream = ScriptedUpstream::start(move |index, _| {
                if is_done && index > 0 {
                    return says("Done.");
                }
                let yields_after_ms = if is_done { 500 } else { 30_000 };
                let command = json!({"cmd": "echo on > begun.txt; sleep 300", "yield_time_ms": yields_after_ms});
                ResponsesStream::new("resp_1")
                    .call("fc_1", "call_1", "exec_command", &command)
                    .completed(TOKENS)
            });
            let more = match end {
                "its time is over" => "agent = true\ntimeout = 3",
                _ => "agent = true",
            };
            let Some(engine) = Engine::start(kind, upstream, more).await else {
                return;
            };
            let told = format!("{kind}, {end}");
            let begun = engine.state().join("workspace/begun.txt");
            let call = post_chat(&chat("Work.")).bearer(engine.gateway.token());
            let working = async {
                until("the command to run", || begun.exists()).await;
                if end != "the client leaves" {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                answer = call.send(engine.gateway.address()) => {
                    let expected = if is_done { 200 } else { 504 };
                    assert_eq!(answer.status, expected, "{told}: {}", answer.text());
                }
                () = working => {}
            }
            assert!(begun.exists(), "{told}");
            until("the command to end", || {
                let processes = processes_of(&engine.state());
                !processes.iter().any(|line| line.contains("sleep 300"))
            })
            .await;
            engine.stop().await;
        }
    }
}

/// A full queue refuses at once, and nobody waits longer than the settings say; both say when to come back.
#[tokio::test]
async fn a_queue_is_bounded() {
    for kind in [APP_SERVER, EXEC] {
        let gate = Gate::new();
        let more = "workers = 1\nmax_queue = 1\nqueue_timeout = 1";
        let Some(engine) = Engine::start(kind, echoes(&gate), more).await else {
            return;
        };
        let first = post_chat(&chat("one")).bearer(engine.gateway.token());
        let first = first.dispatch(engine.gateway.address()).await;
        engine
            .house
            .upstream
            .requests_where(1, |request| request.method == "POST")
            .await;
        let began = Instant::now();
        let (second, third) = tokio::join!(
            engine.send(post_chat(&chat("two"))),
            engine.send(post_chat(&chat("three"))),
        );
        assert!(began.elapsed().as_secs() < 20, "nobody asks again in vain");
        let mut told = [second, third].map(|answer| {
            assert_eq!(answer.status, 429, "{kind}: {}", answer.text());
            assert_eq!(answer.headers.get("retry-after"), Some("30"), "{kind}");
            answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .to_owned()
        });
        told.sort();
        assert!(told[0].contains("its queue is full"), "{kind}: {told:?}");
        assert!(
            told[1].contains("became free within 1 s"),
            "{kind}: {told:?}"
        );
        gate.open();
        let first = first.head().await.rest().await;
        assert_eq!(text_of(&first), "one", "{kind}");
        engine.stop().await;
    }
}

/// A turn that takes too long is ended, with all that it has started.
#[tokio::test]
async fn a_turn_has_a_time_limit() {
    for kind in [APP_SERVER, EXEC] {
        let upstream = ScriptedUpstream::start(|_, _| Reply::silence());
        let Some(engine) = Engine::start(kind, upstream, "timeout = 2").await else {
            return;
        };
        let answer = engine.send(post_chat(&chat("one"))).await;
        assert_eq!(answer.status, 504, "{kind}: {}", answer.text());
        assert!(
            answer.text().contains("longer than 2 s"),
            "{kind}: {}",
            answer.text()
        );
        engine.house.upstream.client_gone(0).await;
        engine.stop().await;
    }
}

/// Codex would keep what a thread took, about 1 MB, for half an hour after it was left.
#[tokio::test]
async fn a_worker_does_not_grow() {
    let Some(engine) = Engine::start(APP_SERVER, echoes(&open()), "workers = 1").await else {
        return;
    };
    let turns = async |count: usize| {
        for _ in 0..count {
            assert_eq!(text_of(&engine.send(post_chat(&chat("one"))).await), "one");
        }
        let sizes = workers(&engine).into_iter().map(megabytes);
        sizes.sum::<u64>()
    };
    let before = turns(10).await;
    let after = turns(120).await;
    assert!(after < before + 60, "{before} MB before, {after} MB after");
    engine.stop().await;
}

/// How much memory a process has.
fn megabytes(process: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() / 1024
}

/// Threads whose tools never answer are let go: the oldest when there are too many, each when its time is over.
#[tokio::test]
async fn threads_that_wait_are_bounded() {
    let tool = json!({"type": "function", "name": "weather", "parameters": weather()});
    let ask = |prompt: &str| {
        Call::post(
            "/v1/responses",
            &json!({"model": "test-model", "input": prompt, "tools": [tool]}),
        )
    };
    let upstream = ScriptedUpstream::start(|_, _| calls_twice());
    let more = "max_waiting = 2\nwaiting_timeout = 2";
    let Some(engine) = Engine::start(APP_SERVER, upstream, more).await else {
        return;
    };
    for prompt in ["one", "two", "three"] {
        assert_eq!(engine.send(ask(prompt)).await.status, 200);
    }
    let waiting = async || {
        let state = engine.send(Call::get("/ready")).await.json();
        state["engines"][0]["waiting_threads"].as_u64()
    };
    assert_eq!(waiting().await, Some(2));
    within("the threads to be let go", async {
        while waiting().await != Some(0) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    engine.stop().await;
}

/// A gateway that is told to stop lets its turns end, and leaves nothing behind.
#[tokio::test]
async fn a_gateway_that_stops_takes_its_workers_along() {
    let gate = Gate::new();
    let Some(engine) = Engine::start(APP_SERVER, echoes(&gate), "").await else {
        return;
    };
    let call = post_chat(&chat("one")).bearer(engine.gateway.token());
    let turn = call.dispatch(engine.gateway.address()).await;
    engine
        .house
        .upstream
        .requests_where(1, |request| request.method == "POST")
        .await;
    let state = engine.state();
    assert!(!processes_of(&state).is_empty());
    engine.gateway.process().signal(Signal::SIGTERM);
    gate.open();
    assert_eq!(text_of(&turn.head().await.rest().await), "one");
    let ended = engine.gateway.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(processes_of(&state), Vec::<String>::new());
}

/// A gateway that is killed cannot end its workers; they end when they see that nobody speaks to them.
#[tokio::test]
async fn workers_end_when_their_gateway_is_killed() {
    let Some(engine) = Engine::start(APP_SERVER, echoes(&open()), "").await else {
        return;
    };
    assert_eq!(text_of(&engine.send(post_chat(&chat("one"))).await), "one");
    let state = engine.state();
    assert!(!processes_of(&state).is_empty());
    engine.gateway.process().signal(Signal::SIGKILL);
    until("the workers to end", || processes_of(&state).is_empty()).await;
}

fn open() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

/// Settings that change start new workers; turns of the old ones are served to their end.
#[tokio::test]
async fn changed_settings_bring_new_workers() {
    let Some(engine) = Engine::start(APP_SERVER, echoes(&open()), "workers = 1").await else {
        return;
    };
    assert_eq!(text_of(&engine.send(post_chat(&chat("one"))).await), "one");
    let before = workers(&engine);
    let path = engine.house.home.config().join("polywire/config.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    engine.house.home.write(
        "config/polywire/config.toml",
        settings.replace("workers = 1", "workers = 2"),
    );
    assert_eq!(text_of(&engine.send(post_chat(&chat("two"))).await), "two");
    until("the old workers to end", || {
        let now = workers(&engine);
        !now.is_empty() && before.iter().all(|old| !now.contains(old))
    })
    .await;
    engine.stop().await;
}

/// Without Codex or without a login the answer says what is missing and what to do.
#[tokio::test]
async fn what_is_missing_is_told() {
    let Some(engine) = Engine::start(APP_SERVER, ScriptedUpstream::replies(vec![]), "").await
    else {
        return;
    };
    let path = engine.house.home.config().join("polywire/config.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    let line = settings
        .lines()
        .find(|line| line.starts_with("codex = "))
        .unwrap();
    let missing = settings.replace(line, "codex = \"/nowhere/codex\"");
    engine
        .house
        .home
        .write("config/polywire/config.toml", missing);
    let answer = engine.send(post_chat(&chat("one"))).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("/nowhere/codex") && message.contains("npm install -g @openai/codex"),
        "{message}"
    );
    // With a provider of Codex's own choice there has to be a login, or Codex would try in vain for minutes.
    let plain = settings
        .lines()
        .filter(|line| !line.starts_with("codex_config"));
    let plain = plain.collect::<Vec<_>>().join("\n");
    engine
        .house
        .home
        .write("config/polywire/config.toml", plain);
    std::fs::remove_file(engine.house.home.codex_home().join("auth.json")).unwrap();
    let answer = engine.send(post_chat(&chat("one"))).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(
        answer.text().contains("polywire login"),
        "{}",
        answer.text()
    );
    engine.stop().await;
}
