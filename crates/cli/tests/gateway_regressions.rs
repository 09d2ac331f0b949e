//! Faults that the gateway once had, each held down by the whole program against a provider that provokes it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::os::unix::fs::PermissionsExt;

use fake_codex::told_by_codex;
use polywire_testkit::{
    Answer, Call, ChatStream, Gateway, House, Received, Reply, Running, ScriptedUpstream, SseEvent,
    Tokens, answer,
};
use serde_json::{Value, json};
use told::{ask, told};

#[path = "support/fake_codex.rs"]
mod fake_codex;
#[path = "support/told.rs"]
mod told;

/// The key of the provider of every [`House`].
const KEY: &str = "sk-house";

/// More than the 16 kB that HTTP libraries set aside for a head by default.
const LONG_HEADER_BYTES: usize = 20_000;

/// `{"error":{"message":"Slow down.","code":"rate_limit_exceeded"}}`, compressed by gzip.
const GZIPPED_RATE_LIMIT: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x2d, 0x2a, 0xca,
    0x2f, 0x52, 0xb2, 0xaa, 0x56, 0xca, 0x4d, 0x2d, 0x2e, 0x4e, 0x4c, 0x4f, 0x55, 0xb2, 0x52, 0x0a,
    0xce, 0xc9, 0x2f, 0x57, 0x48, 0xc9, 0x2f, 0xcf, 0xd3, 0x53, 0xd2, 0x51, 0x4a, 0xce, 0x4f, 0x01,
    0x89, 0x15, 0x25, 0x96, 0xa4, 0xc6, 0xe7, 0x64, 0xe6, 0x66, 0x96, 0xc4, 0xa7, 0x56, 0x24, 0xa7,
    0xa6, 0xa6, 0xa4, 0xa6, 0x28, 0xd5, 0xd6, 0x02, 0x00, 0x9c, 0xaf, 0x94, 0x38, 0x3f, 0x00, 0x00,
    0x00,
];

fn house(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

/// A house whose provider always answers the same.
fn monotonous(reply: Reply) -> House {
    house(ScriptedUpstream::start(move |_, _| reply.clone()))
}

/// A house whose model `main` is a route of two targets, `first` and `second`; `reply` is given the target's name and the
/// number of requests that it had before.
fn routed(mut reply: impl FnMut(&str, usize) -> Reply + Send + 'static) -> House {
    let mut asked: Vec<String> = Vec::new();
    let house = house(ScriptedUpstream::start(move |_, request| {
        let target = target_of(request);
        let before = asked.iter().filter(|name| **name == target).count();
        asked.push(target.clone());
        reply(&target, before)
    }));
    let base_url = house.upstream.base_url();
    configure(
        &house,
        &format!(
            "[providers.house]\nkind = \"chat\"\nbase_url = \"{base_url}\"\nkey = \"{KEY}\"\n\
             models = [{{ id = \"first\" }}, {{ id = \"second\" }}]\n\
             [routes.main]\ntargets = [\"house/first\", \"house/second\"]\n"
        ),
    );
    house
}

/// Puts other providers into the settings.
fn configure(house: &House, providers: &str) {
    let settings =
        format!("default_provider = \"house\"\n[server]\nlisten = \"127.0.0.1:0\"\n{providers}");
    house.home.write("config/polywire/config.toml", settings);
}

fn target_of(request: &Received) -> String {
    request.json()["model"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// A request to the route of a [`routed`] house.
fn ask_route() -> Call {
    let body = json!({"model": "main", "input": "hi", "stream": true});
    Call::post("/v1/responses", &body)
}

fn asked(house: &House) -> usize {
    house.upstream.received().len()
}

/// Which targets were asked, in order.
fn targets(house: &House) -> Vec<String> {
    house.upstream.received().iter().map(target_of).collect()
}

/// The answer's last event.
fn last(answer: &Answer) -> Value {
    let event = answer.events().pop();
    event.unwrap_or_else(|| panic!("{answer:?}")).json()
}

/// Fails unless the answer is whole and good, and consists of these words.
#[track_caller]
fn assert_said(answer: &Answer, words: &str) {
    let note = answer.text();
    assert_eq!(told(answer).0, "response.completed/null", "{note}");
    let said = &last(answer)["response"]["output"][0]["content"][0]["text"];
    assert_eq!(said, words, "{note}");
}

/// Ends the gateway and gives what it logged.
async fn log_of(gateway: Gateway) -> String {
    gateway.stop().await.stderr.join("\n")
}

#[tokio::test]
async fn an_overload_told_as_429_is_an_overload() {
    let overloaded = Reply::error(429, "engine_overloaded_error", "The engine is overloaded.");
    let house = monotonous(overloaded.header("retry-after", "60"));
    let gateway = house.gateway().await;
    let codex = gateway.send(ask("hi", true).as_codex()).await;
    let (line, message) = told(&codex);
    assert_eq!(line, "response.failed/server_is_overloaded");
    assert!(message.contains("The engine is overloaded."), "{message}");
    for stream in [true, false] {
        let sdk = gateway.send(ask("hi", stream)).await;
        let line = told(&sdk).0;
        assert_eq!(line, "503 server_error/server_is_overloaded, wait 60");
    }
    assert_eq!(asked(&house), 3, "a minute is not waited for");
}

#[tokio::test]
async fn a_finished_answer_ends_although_the_provider_stays() {
    let finished = || ChatStream::new().text("good").finish("stop");
    let counted = finished().usage(Tokens {
        prompt: 7,
        cached: 3,
        completion: 2,
        reasoning: 1,
    });
    let replies = [finished(), counted];
    let house = house(ScriptedUpstream::start(move |_, request| {
        let counted = request.text().contains("count");
        replies[usize::from(counted)].clone().stall()
    }));
    let gateway = house.gateway().await;
    let (plain, counted, whole) = tokio::join!(
        gateway.send(ask("hi", true)),
        gateway.send(ask("count", true)),
        gateway.send(ask("count", false)),
    );
    for answer in [&plain, &counted] {
        assert_said(answer, "good");
        let in_progress = |event: &&SseEvent| event.kind().ends_with("progress");
        let beats = answer.events().iter().filter(in_progress).count();
        assert_eq!(beats, 1, "it ends before the first heartbeat");
    }
    for usage in [&last(&counted)["response"]["usage"], &whole.json()["usage"]] {
        assert_eq!(usage["input_tokens"], 7, "{usage}");
        assert_eq!(usage["input_tokens_details"]["cached_tokens"], 3, "{usage}");
        assert_eq!(usage["output_tokens"], 2, "{usage}");
        assert_eq!(usage["total_tokens"], 9, "{usage}");
    }
    // The provider is not left waiting.
    for index in 0..3 {
        house.upstream.client_gone(index).await;
    }
}

#[tokio::test]
async fn an_answer_beyond_all_measure_ends_the_providers_work() {
    let piece = "word ".repeat(50_000);
    let endless = (0..40).fold(ChatStream::new(), |stream, _| stream.text(&piece));
    let house = monotonous(endless.stall());
    let gateway = house.gateway().await;
    let calls = [
        ask("hi", true),
        ask("hi", true).as_codex(),
        ask("hi", false),
    ];
    for (index, call) in calls.into_iter().enumerate() {
        let answer = gateway.send(call).await;
        let (line, message) = told(&answer);
        let expected = ["response.failed/", "response.failed/", "502 "][index];
        assert!(line.starts_with(expected), "{line}: {message}");
        assert!(message.contains("8 MiB"), "{message}");
        house.upstream.client_gone(index).await;
    }
    assert_eq!(asked(&house), 3);
}

#[tokio::test]
async fn what_a_failed_attempt_said_is_gone_with_it() {
    let error = json!({"message": "The engine died.", "code": "server_error"});
    let broken = json!({
        "choices": [{"index": 0, "delta": {"content": "half an answer"}}], "error": error,
    });
    let house = house(ScriptedUpstream::replies(vec![
        ChatStream::new().event(&broken).done(),
        Reply::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after", "1"),
        answer("good"),
    ]));
    let gateway = house.gateway().await;
    let answer = gateway.send(ask("hi", true)).await;
    assert_said(&answer, "good");
    assert!(!answer.text().contains("half an answer"));
    assert_eq!(asked(&house), 3);
    let log = log_of(gateway).await;
    assert!(log.contains("finish=\"stop\""), "{log}");
}

#[tokio::test]
async fn each_target_of_a_route_has_its_own_tries() {
    let house = routed(|target, before| match (target, before) {
        ("first", _) | ("second", 0) => Reply::error(500, "internal", "Oops."),
        _ => answer("good"),
    });
    let gateway = house.gateway().await;
    let answer = gateway.send(ask_route()).await;
    assert_said(&answer, "good");
    assert_eq!(
        targets(&house),
        ["first", "first", "first", "second", "second"]
    );
}

#[tokio::test]
async fn text_or_nothing_instead_of_an_answer_is_told_as_such() {
    let table = [
        (
            "upstream error: model overloaded",
            "upstream error: model overloaded",
        ),
        ("", "empty"),
    ];
    for (body, words) in table {
        let house = monotonous(Reply::new(200, "text/plain", body));
        let gateway = house.gateway().await;
        let sdk = "502 server_error/null";
        let calls = [
            (ask("hi", true), sdk),
            (ask("hi", false), sdk),
            (ask("hi", true).as_codex(), "response.failed/invalid_prompt"),
        ];
        for (call, expected) in calls {
            let (line, message) = told(&gateway.send(call).await);
            assert_eq!(line, expected, "{message}");
            assert!(message.contains(words), "{message}");
            assert!(!message.contains("broke off"), "{message}");
        }
        assert_eq!(asked(&house), 3, "such an answer is asked for once");
    }
}

#[tokio::test]
async fn a_compressed_rate_limit_is_waited_out() {
    let limited = Reply::new(429, "application/json", GZIPPED_RATE_LIMIT)
        .header("content-encoding", "gzip")
        .header("retry-after", "1");
    let house = house(ScriptedUpstream::replies(vec![limited, answer("good")]));
    let gateway = house.gateway().await;
    assert_said(&gateway.send(ask("hi", true)).await, "good");
    let times: Vec<_> = house
        .upstream
        .received()
        .iter()
        .map(|request| request.at)
        .collect();
    assert_eq!(times.len(), 2);
    let waited = (times[1] - times[0]).as_secs_f64();
    assert!(waited >= 1.0, "the provider asked for a second: {waited}");
}

#[tokio::test]
async fn a_key_that_a_provider_repeats_goes_no_further() {
    let words = format!("Incorrect API key provided: {KEY}.");
    let refused = Reply::error(401, "invalid_api_key", &words);
    let error = || ChatStream::new().error("invalid_api_key", &words).done();
    let late = ChatStream::new().text("Half an answer");
    let late = late.error("invalid_api_key", &words).done();
    let text = Reply::new(200, "text/plain", words.as_str());
    for reply in [refused, error(), late, text] {
        let house = monotonous(reply);
        let gateway = house.gateway().await;
        for call in [
            ask("hi", true),
            ask("hi", true).as_codex(),
            ask("hi", false),
        ] {
            let answer = gateway.send(call).await;
            let (line, message) = told(&answer);
            assert!(message.contains("provided: ***"), "{line}: {message}");
            assert!(!answer.text().contains(KEY), "{}", answer.text());
        }
        let log = log_of(gateway).await;
        assert!(log.contains("provided: ***"), "{log}");
        assert!(!log.contains(KEY), "{log}");
    }
}

/// How many losses a log line lists.
fn losses_logged(line: &str) -> usize {
    let member = |name: &str| line.split_once(name).map(|(_, rest)| rest);
    let list = member(" lost=").unwrap_or("[]");
    let mut values = serde_json::Deserializer::from_str(list).into_iter::<Vec<String>>();
    let listed = values.next().and_then(Result::ok).unwrap_or_default().len();
    let counted = member(" losses=").unwrap_or_else(|| panic!("no losses in `{line}`"));
    let counted = counted.split(' ').next().unwrap_or_default();
    assert_eq!(counted, listed.to_string(), "{line}");
    listed
}

#[tokio::test]
async fn the_header_counts_the_losses_that_the_log_lists() {
    let body = |prompt: &str, stream: bool| {
        json!({
            "model": "test-model", "input": prompt, "stream": stream, "wishful_thinking": true,
            "tools": [{"type": "web_search"}, {"type": "function", "name": "look"}],
        })
    };
    let house = house(ScriptedUpstream::start(|_, request| {
        if request.text().contains("fail") {
            Reply::error(400, "bad_schema", "Bad tool schema.")
        } else {
            answer("good")
        }
    }));
    let gateway = house.gateway().await;
    for prompt in ["go", "fail"] {
        for stream in [true, false] {
            let call = || Call::post("/v1/responses", &body(prompt, stream));
            for call in [call(), call().as_codex()] {
                let answer = gateway.send(call).await;
                let counted = answer.headers.get("x-polywire-losses");
                let turn = answer.headers.get("x-polywire-request-id").unwrap();
                let line = gateway
                    .process()
                    .stderr_line(&format!("request_id={turn} status="))
                    .await;
                let logged = losses_logged(&line);
                assert_eq!(counted, Some(logged.to_string().as_str()), "{line}");
                for what in ["wishful_thinking", "web_search"] {
                    assert!(line.contains(what), "{what}: {line}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again_unless_a_filter_made_it() {
    for (reason, tries) in [("content_filter", 1), ("stop", 2)] {
        for stream in [true, false] {
            let house = monotonous(ChatStream::new().finish(reason).done());
            let gateway = house.gateway().await;
            let answer = gateway.send(ask("hi", stream)).await;
            let note = format!("{reason} {stream}: {}", answer.text());
            assert_eq!(asked(&house), tries, "{note}");
            assert_eq!(answer.status, 200, "{note}");
            let response = if stream {
                last(&answer)["response"].clone()
            } else {
                answer.json()
            };
            let status = if reason == "stop" {
                "completed"
            } else {
                "incomplete"
            };
            assert_eq!(response["status"], status, "{note}");
        }
    }
}

#[tokio::test]
async fn heads_of_twenty_kilobytes_are_read() {
    let long = "x".repeat(LONG_HEADER_BYTES);
    let house = monotonous(answer("good").header("x-long", &long));
    let gateway = house.gateway().await;
    let call = ask("hi", true)
        .as_codex()
        .header("x-codex-turn-metadata", &long);
    assert_said(&gateway.send(call).await, "good");
    assert_eq!(asked(&house), 1);
}

/// The freeform calls of an answer's last event.
fn custom_calls(answer: &Answer) -> Vec<Value> {
    let output = last(answer)["response"]["output"].clone();
    let mut items = output.as_array().cloned().unwrap_or_default();
    items.retain(|item| item["type"] == "custom_tool_call");
    items
}

#[tokio::test]
async fn a_freeform_call_that_was_cut_is_not_made() {
    let tool = json!({"type": "custom", "name": "apply_patch", "description": "Patches files."});
    let body = json!({"model": "test-model", "input": "hi", "stream": true, "tools": [tool]});
    let call = || Call::post("/v1/responses", &body);
    // As it was asked for, with a backslash that is not doubled, and bare.
    for pieces in [
        ["{\"input\":\"*** Begin Patch\\n*** De", "lete Fi"],
        ["{\"input\":\"*** Begin Patch\\n+\\", "d+"],
        ["*** Begin Patch\n*** De", "lete Fi"],
    ] {
        let cut = ChatStream::new().text("I patch it.");
        let cut = cut.call_pieces("call_1", "apply_patch", &pieces).done();
        let house = monotonous(cut);
        let gateway = house.gateway().await;

        // Codex runs what is done, so it gets a note instead.
        let codex = gateway.send(call().as_codex()).await;
        let note = codex.text();
        assert_eq!(told(&codex).0, "response.completed/null", "{note}");
        let is_done = |event: &SseEvent| {
            event.kind() == "response.output_item.done"
                && event.json()["item"]["type"] == "custom_tool_call"
        };
        assert!(!codex.events().iter().any(is_done), "{note}");
        assert!(custom_calls(&codex).is_empty(), "{note}");
        let said = last(&codex)["response"]["output"].to_string();
        let words = "the call to `apply_patch` was cut off";
        assert!(said.contains(words), "{said}");

        // Others are told in the words of the protocol.
        let sdk = gateway.send(call()).await;
        assert_eq!(told(&sdk).0, "response.incomplete/null");
        let calls = custom_calls(&sdk);
        assert_eq!(calls.len(), 1, "{}", sdk.text());
        assert_eq!(calls[0]["status"], "incomplete", "{}", sdk.text());
        assert_eq!(asked(&house), 2);
    }
}

#[tokio::test]
async fn a_wish_to_be_asked_again_at_once_is_not_obeyed_for_ever() {
    let house = routed(|target, _| match target {
        "first" => {
            Reply::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after", "0")
        }
        _ => answer("good"),
    });
    let gateway = house.gateway().await;
    assert_said(&gateway.send(ask_route()).await, "good");
    let targets = targets(&house);
    assert!(targets.len() <= 10, "{targets:?}");
    assert_eq!(targets.last().map(String::as_str), Some("second"));
}

#[tokio::test]
async fn codex_is_not_sent_to_a_gateway_without_the_key() {
    let house = monotonous(answer("good"));
    let base_url = house.upstream.base_url();
    configure(
        &house,
        &format!(
            "[providers.house]\nkind = \"chat\"\nbase_url = \"{base_url}\"\nkey = {{ env = \"HOUSE_KEY\" }}\n\
             models = [{{ id = \"test-model\" }}]\n"
        ),
    );
    let codex = told_by_codex(&house.home);
    for variables in [&[][..], &[("HOUSE_KEY", KEY)]] {
        let gateway = house.gateway_with(variables).await;
        let mut command = house.polywire();
        command
            .args(["run", "codex", "-p", "house", "--codex"])
            .arg(&codex)
            .env("HOUSE_KEY", KEY)
            .env("POLYWIRE_LISTEN", gateway.address().to_string())
            .env("POLYWIRE_TOKEN", gateway.token());
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(7), "the client's own code: {ended:?}");
        let told = ended.stdout.join("\n");
        assert!(told.contains("base_url=\"http://127.0.0.1:"), "{told}");
        let attached = told.contains(&format!("base_url=\"http://{}/v1\"", gateway.address()));
        assert_eq!(attached, !variables.is_empty(), "{told}");
        gateway.stop().await;
    }
    let log = house.home.state().join("polywire/run.log");
    let mode = log.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}
