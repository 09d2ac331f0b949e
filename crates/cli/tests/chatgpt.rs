//! The whole program on the service behind Codex: the official libraries and the real Codex as clients, a login in a file, and a service
//! that refuses what the real one refuses.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use std::fs;

use polywire_testkit::Language::{Node, Python};
use polywire_testkit::Speaks::{Chat, Messages, Responses};
use polywire_testkit::{
    Call, CodexCli, House, Issuer, Language, Observations, ProxyScript, RED_PNG_BASE64, Received,
    Reply, ResponsesStream, Running, Script, ScriptedProxy, ScriptedUpstream, Speaks, Tokens,
    auth_json, codex_back_end,
};
use serde_json::{Value, json};

const POLYWIRE: &str = env!("CARGO_BIN_EXE_polywire");

/// 25 input tokens of which 10 came from a cache, as the scripts of all clients add them up.
const TOKENS: Tokens = Tokens {
    prompt: 25,
    cached: 10,
    completion: 7,
    reasoning: 3,
};

/// The vendors' own libraries, and how each calls the end of an answer.
const CLIENTS: [(Language, &str, Speaks, &str); 6] = [
    (Python, "openai_responses", Responses, "completed"),
    (Node, "openai_responses", Responses, "completed"),
    (Python, "openai_chat", Chat, "stop"),
    (Node, "openai_chat", Chat, "stop"),
    (Python, "anthropic_messages", Messages, "end_turn"),
    (Node, "anthropic_messages", Messages, "end_turn"),
];

/// A home whose provider `house` is this service, with a login beside it that is not the client's own.
fn house(upstream: ScriptedUpstream, models: &str) -> House {
    let house = House::of_kind("chatgpt", POLYWIRE, env!("CARGO_TARGET_TMPDIR"), upstream);
    let login = house
        .home
        .write("login/auth.json", auth_json("account-1", "first"));
    let settings = format!(
        r#"default_provider = "house"

[server]
listen = "127.0.0.1:0"

[providers.house]
kind = "chatgpt"
base_url = "{}"
codex_home = "{}"
{models}
"#,
        house.upstream.base_url(),
        login.parent().unwrap().display()
    );
    house.home.write("config/polywire/config.toml", settings);
    house
}

const TEST_MODEL: &str = r#"models = [{ id = "test-model", images = true, context_window = 200000, verbosity = true, reasoning_efforts = ["low", "medium", "high"], default_effort = "medium" }]"#;

/// Plays a scenario with each library that is installed; gives what each saw and what the service received.
async fn play(
    scenario: &str,
    script: impl Fn(usize, &Received) -> Reply + Clone + Send + 'static,
    check: impl Fn(&str, &str, &[Value], &[Received]),
) {
    for (language, name, speaks, stop) in CLIENTS {
        let Some(client) = Script::find(language, name, speaks) else {
            continue;
        };
        let house = house(codex_back_end(None, script.clone()), TEST_MODEL);
        let gateway = house.gateway().await;
        let running = client.start(scenario, &house.home, &gateway);
        let seen = Observations::read(running.ended().await).seen;
        check(&client.file(), stop, &seen, &house.upstream.received());
    }
}

fn greeting(_: usize, _: &Received) -> Reply {
    ResponsesStream::new("resp_1")
        .event(json!({"type": "codex.rate_limits", "rate_limits": {}}))
        .text("msg_1", "Grüß \"dich\".")
        .completed_without_output(TOKENS)
}

#[tokio::test]
async fn the_libraries_get_texts_whole_and_in_pieces() {
    let usage = json!({"input": 25, "cached": 10, "output": 7});
    for (scenario, pieces) in [("text", None), ("stream", Some(json!(["Grüß \"dich\"."])))] {
        play(scenario, greeting, |client, stop, seen, received| {
            let mut expected = json!({"text": "Grüß \"dich\".", "stop": stop, "usage": usage});
            if let Some(pieces) = &pieces {
                expected["pieces"] = pieces.clone();
            }
            assert_eq!(seen, [expected], "{client}");
            assert_eq!(received.len(), 1, "{client}");
            let sent = received[0].json();
            assert_eq!(sent["instructions"], "Be brief.", "{client}");
            assert_eq!(
                received[0].headers.get("chatgpt-account-id"),
                Some("account-1")
            );
        })
        .await;
    }
}

#[tokio::test]
async fn the_libraries_run_tools_and_get_objects() {
    let script = |index: usize, _: &Received| {
        if index > 0 {
            return ResponsesStream::new("resp_2")
                .text("msg_2", "Snow there, sun here.")
                .completed(TOKENS);
        }
        ResponsesStream::new("resp_1")
            .reasoning("rs_1", "Oslo and Rome.", "gAAAA/1==")
            .text("msg_1", "I look.")
            .call("fc_1", "call_oslo", "weather", &json!({"city": "Oslo"}))
            .call("fc_2", "call_rome", "weather", &json!({"city": "Rome"}))
            .completed_without_output(TOKENS)
    };
    play("tools", script, |client, stop, seen, received| {
        let expected = [
            json!({"call": "weather", "arguments": {"city": "Oslo"}}),
            json!({"call": "weather", "arguments": {"city": "Rome"}}),
            json!({"text": "Snow there, sun here.", "stop": stop}),
        ];
        assert_eq!(seen, expected, "{client}");
        let second = received[1].json();
        let outputs: Vec<(&Value, &Value)> = second["input"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["type"] == "function_call_output")
            .map(|item| (&item["call_id"], &item["output"]))
            .collect();
        let expected = [
            (&json!("call_oslo"), &json!("snow")),
            (&json!("call_rome"), &json!("sun")),
        ];
        assert_eq!(outputs, expected, "{client}");
        assert!(
            received[1].text().contains("gAAAA/1=="),
            "{client}: its thought did not come back"
        );
    })
    .await;

    let city = json!({"name": "Sydney", "people": 5_500_000});
    let said = city.to_string();
    let script = move |_: usize, _: &Received| {
        ResponsesStream::new("resp_1")
            .text("msg_1", &said)
            .completed(TOKENS)
    };
    play("parse", script, |client, _, seen, received| {
        assert_eq!(seen, [json!({"parsed": city, "type": "City"})], "{client}");
        let format = &received[0].json()["text"]["format"];
        assert_eq!(format["type"], "json_schema", "{client}: {format}");
    })
    .await;
}

#[tokio::test]
async fn the_libraries_show_pictures() {
    let script = |_: usize, _: &Received| {
        ResponsesStream::new("resp_1")
            .text("msg_1", "Red.")
            .completed(TOKENS)
    };
    play("image", script, |client, _, seen, received| {
        assert_eq!(seen, [json!({"text": "Red."})], "{client}");
        let picture = format!("data:image/png;base64,{RED_PNG_BASE64}");
        assert!(received[0].text().contains(&picture), "{client}");
    })
    .await;
}

#[tokio::test]
async fn the_limit_of_a_plan_comes_with_the_time_to_wait() {
    let limit = json!({"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached",
        "plan_type": "plus", "resets_at": null, "resets_in_seconds": 5400}});
    let upstream = codex_back_end(None, move |_, _| Reply::json(404, &limit));
    let house = house(upstream, TEST_MODEL);
    let gateway = house.gateway().await;
    let said = json!([{"role": "user", "content": "Hello"}]);
    for (path, body) in [
        (
            "/v1/responses",
            json!({"model": "test-model", "input": said, "stream": true}),
        ),
        (
            "/v1/chat/completions",
            json!({"model": "test-model", "messages": said}),
        ),
        (
            "/v1/messages",
            json!({"model": "test-model", "messages": said, "max_tokens": 10}),
        ),
    ] {
        let answer = gateway.send(Call::post(path, &body)).await;
        assert_eq!(answer.status, 429, "{path}: {}", answer.text());
        assert_eq!(answer.headers.get("retry-after"), Some("5400"), "{path}");
        assert_eq!(
            answer.headers.get("x-should-retry"),
            Some("false"),
            "{path}"
        );
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            message.contains("it is lifted in 1 h 30 min"),
            "{path}: {message}"
        );
    }
}

#[tokio::test]
async fn the_models_of_the_service_are_listed_for_everybody() {
    let models = json!([{"slug": "gpt-9", "display_name": "GPT-9", "visibility": "list", "supported_in_api": true, "priority": 1,
        "context_window": 300_000}]);
    let house = house(codex_back_end(Some(models), greeting), "");
    let gateway = house.gateway().await;
    let list = gateway
        .send(Call::get("/v1/models?client_version=0.169.0"))
        .await
        .json();
    let ids: Vec<&Value> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!(ids, ["gpt-9", "house/gpt-9", "demo/demo"], "{list:#}");
    assert_eq!(list["models"][0]["slug"], "gpt-9");
    assert_eq!(list["models"][0]["context_window"], 300_000);
    let call = Call::get("/v1/models").header("anthropic-version", "2023-06-01");
    let page = gateway.send(call).await.json();
    assert_eq!(page["data"][0]["id"], "gpt-9", "{page:#}");
}

/// A tool as it was offered, by the end of its name: its name, and the group that it stands in.
/// The login is renewed by the way on which the service is reached, and what the service repeats of a refused token is not told.
#[tokio::test]
async fn a_login_goes_by_the_way_of_its_provider() {
    let issuer = Issuer::start();
    let proxy = ScriptedProxy::start(ProxyScript::default());
    let upstream = ScriptedUpstream::start(|_, request| {
        let token = request.headers.get("authorization").unwrap_or_default();
        Reply::error(401, "token_revoked", &format!("`{token}` is revoked."))
    });
    let models = format!("{TEST_MODEL}\nproxy = \"{}\"", proxy.url());
    let house = house(upstream, &models);
    house
        .home
        .write("login/auth.json", issuer.login_file(Some(-60), 1));
    let renewal = ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", &*issuer.token_url());
    let gateway = house.gateway_with(&[renewal]).await;
    let ask = || {
        gateway.send(Call::post(
            "/v1/responses",
            &json!({"model": "test-model", "input": "hi"}),
        ))
    };
    // The first renewal is for the time, the second for the refusal; the third is refused itself.
    for _ in 0..2 {
        let answer = ask().await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(!answer.text().contains("eyJ"), "{}", answer.text());
        issuer.answer_next(Reply::error(401, "refresh_token_invalidated", "no"));
    }
    assert_eq!(issuer.renewals().len(), 3);
    let targets: Vec<String> = proxy.proxied().into_iter().map(|it| it.target).collect();
    let of_issuer = issuer.upstream().address().to_string();
    assert!(targets.contains(&of_issuer), "{targets:?}");
}

fn tool(request: &Received, suffix: &str) -> (String, Option<String>) {
    fn find(tools: &Value, suffix: &str) -> Option<(String, Option<String>)> {
        tools.as_array()?.iter().find_map(|tool| {
            let name = tool["name"].as_str()?;
            if tool["type"] == "namespace" {
                let (found, _) = find(&tool["tools"], suffix)?;
                return Some((found, Some(name.to_owned())));
            }
            name.ends_with(suffix).then(|| (name.to_owned(), None))
        })
    }
    let body = request.json();
    find(&body["tools"], suffix).unwrap_or_else(|| panic!("no tool `{suffix}`: {}", body["tools"]))
}

const PATCH: &str =
    "*** Begin Patch\n*** Update File: notes.txt\n@@\n-one\n+two \\ größer\n*** End Patch";

fn agent(index: usize, request: &Received) -> Reply {
    let stream = ResponsesStream::new(&format!("resp_{index}"))
        .event(
            json!({"type": "codex.rate_limits", "rate_limits": {"primary": {"used_percent": 3.0}}}),
        )
        .reasoning(
            &format!("rs_{index}"),
            &format!("Step {index}."),
            &format!("gAAAA/{index}+=="),
        );
    let call_id = format!("call_{index}");
    match index {
        0 => stream.call(
            "fc_0",
            &call_id,
            &tool(request, "exec_command").0,
            &json!({"cmd": "echo one > notes.txt"}),
        ),
        1 => stream.text("msg_1", "Now the edit.").custom_call(
            "ctc_1",
            &call_id,
            &tool(request, "apply_patch").0,
            PATCH,
        ),
        2 => stream.text("msg_2", "All done."),
        _ => return Reply::error(400, "too_many", "one request too many"),
    }
    .completed_without_output(TOKENS)
}

/// The whole loop: Codex over HTTP and over a WebSocket, its bytes kept, its reasoning state going back, its own headers and metadata
/// staying here.
#[tokio::test]
async fn codex_works_through_another_login() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for sockets in ["false", "true"] {
        let house = house(codex_back_end(None, agent), TEST_MODEL);
        house.home.write(
            "codex/config.toml",
            "check_for_update_on_startup = false\n\n[analytics]\nenabled = false\n",
        );
        let over = format!("-cmodel_providers.polywire.supports_websockets={sockets}");
        let run = house.exec(&codex, &[&over, "make notes"]).await;
        run.assert_clean();
        assert_eq!(run.messages(), ["Now the edit.", "All done."]);
        assert_eq!(run.items("command_execution")[0]["exit_code"], 0);
        assert_eq!(run.items("file_change")[0]["status"], "completed");
        assert_eq!(run.usage()["input_tokens"], 75);
        let notes = fs::read_to_string(house.home.work().join("notes.txt")).unwrap();
        assert_eq!(notes, "two \\ größer\n");
        let requests = house.upstream.received();
        assert_eq!(requests.len(), 3);
        for request in &requests {
            let body = request.json();
            assert!(body.get("client_metadata").is_none(), "{body:#}");
            let header = |name: &str| request.headers.get(name);
            assert_eq!(header("originator"), Some("polywire"));
            assert_eq!(header("x-codex-turn-metadata"), None);
            assert_eq!(header("session-id"), body["prompt_cache_key"].as_str());
            assert!(header("session-id").is_some());
        }
        let last = requests[2].json();
        let states: Vec<&Value> = last["input"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["type"] == "reasoning")
            .map(|item| &item["encrypted_content"])
            .collect();
        assert_eq!(states, ["gAAAA/0+==", "gAAAA/1+=="], "{sockets}");
        // What a request repeats of the one before is the same, so that the service's cache can serve it.
        for pair in requests.windows(2) {
            let (before, after) = (pair[0].json(), pair[1].json());
            let before = before["input"].as_array().unwrap();
            assert_eq!(&after["input"].as_array().unwrap()[..before.len()], before);
        }
    }
}

/// Codex stops at the limit of a plan, and says when to come back in its own words.
#[tokio::test]
async fn codex_is_told_of_the_limit_in_a_way_that_it_knows() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let limit = json!({"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached",
        "plan_type": "plus", "resets_at": 4_102_444_800_u64}});
    for sockets in ["false", "true"] {
        let limit = limit.clone();
        let house = house(
            codex_back_end(None, move |_, _| Reply::json(429, &limit)),
            TEST_MODEL,
        );
        let over = format!("-cmodel_providers.polywire.supports_websockets={sockets}");
        let run = house.exec(&codex, &[&over, "hello"]).await;
        let told = format!("{:?} {:?}", run.events("error"), run.events("turn.failed"));
        assert!(told.contains("usage limit"), "{sockets}: {run:#?}");
        // Nothing is repeated.
        assert_eq!(house.upstream.received().len(), 1, "{sockets}: {told}");
    }
}

/// A login that is not there is told before Codex starts.
#[tokio::test]
async fn without_a_login_codex_is_not_started() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let house = house(codex_back_end(None, greeting), TEST_MODEL);
    let settings = fs::read_to_string(house.home.config().join("polywire/config.toml")).unwrap();
    let line = settings
        .lines()
        .find(|line| line.starts_with("codex_home"))
        .unwrap();
    let settings = settings.replace(line, "codex_home = \"/nowhere\"");
    house.home.write("config/polywire/config.toml", settings);
    let ended = Running::start(house.codex(&codex, &[])).ended().await;
    assert!(!ended.status.success());
    let told = ended.stderr.join("\n");
    assert!(
        told.contains("there is no Codex login at `/nowhere/auth.json`"),
        "{told}"
    );
    assert!(told.contains("polywire login"), "{told}");
    let mut command = house.polywire();
    command.args(["config", "show"]);
    let shown = Running::start(command).ended().await.stdout.join("\n");
    assert!(shown.contains("login missing"), "{shown}");
}
