//! What the service is asked.

use polywire_conversation::envelope::Envelope;
use polywire_gateway::ClientDialect;
use polywire_testkit::{Received, Reply, ResponsesStream};
use serde_json::{Value, json};

use crate::bench::{Bench, MODEL, TOKENS, hello, ways};
use crate::support::clients::list;

/// The smallest picture there is.
const PICTURE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

fn fine(_: usize, _: &Received) -> Reply {
    ResponsesStream::new("resp_1")
        .text("msg_1", "Fine.")
        .completed(TOKENS)
}

#[tokio::test]
async fn we_say_who_we_are_and_whose_login_it_is() {
    let bench = Bench::new(fine);
    for (dialect, stream) in ways() {
        bench.ask(dialect, &hello(dialect, stream)).await.answer();
        let sent = bench.last_sent();
        let header = |name: &str| sent.headers.get(name).map(str::to_owned);
        assert_eq!(sent.path, "/v1/responses");
        assert_eq!(header("originator").as_deref(), Some("polywire"));
        assert!(header("user-agent").unwrap().starts_with("polywire/"));
        assert_eq!(header("chatgpt-account-id").as_deref(), Some("account-1"));
        assert!(header("authorization").unwrap().contains(".first"));
        assert_eq!(header("session-id"), None);
        assert_eq!(header("x-openai-fedramp"), None);
        assert_eq!(sent.json()["model"], MODEL);
    }
}

#[tokio::test]
async fn the_identity_of_codex_is_a_choice() {
    let upstream = polywire_testkit::codex_back_end(None, fine);
    let bench = Bench::of(upstream, |provider| {
        provider.model_list = None;
        provider.codex_identity = true;
    });
    bench
        .ask(ClientDialect::Chat, &hello(ClientDialect::Chat, true))
        .await
        .answer();
    let sent = bench.last_sent();
    assert_eq!(sent.headers.get("originator"), Some("codex_cli_rs"));
    let agent = sent.headers.get("user-agent").unwrap();
    assert!(
        agent.starts_with("codex_cli_rs/0.169.0 (") && agent.contains(") polywire/"),
        "{agent}"
    );
}

#[tokio::test]
async fn the_conversation_goes_by_its_key() {
    let bench = Bench::new(fine);
    for (dialect, stream) in ways().filter(|(dialect, _)| *dialect != ClientDialect::Messages) {
        let mut body = hello(dialect, stream);
        body["prompt_cache_key"] = json!("thread-17");
        bench.ask(dialect, &body).await.answer();
        let sent = bench.last_sent();
        assert_eq!(sent.headers.get("session-id"), Some("thread-17"));
        assert_eq!(sent.headers.get("thread-id"), Some("thread-17"));
    }
}

/// Everything that a client of Responses may send and the service refuses, on the way that keeps the bytes and on the other.
#[tokio::test]
async fn what_would_be_refused_is_left_out_and_told() {
    let bench = Bench::new(fine);
    let refused = json!({
        "input": "Hello", "max_output_tokens": 1000, "temperature": 0.5, "top_p": 0.9, "metadata": {"a": "b"}, "user": "me",
        "safety_identifier": "me", "truncation": "auto", "prompt_cache_retention": "24h", "context_management": [],
        "stream_options": {"include_obfuscation": false}, "service_tier": "flex", "parallel_tool_calls": true, "store": true,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"], "top_logprobs": 3, "max_tool_calls": 4,
        "background": false, "instructions": null, "unheard_of": 1,
    });
    let mut told = Vec::new();
    // `minimal` is no effort of the model, so that the second request cannot keep its bytes.
    for (name, effort) in [("native", "low"), ("rendered", "minimal")] {
        let mut body = refused.clone();
        body["reasoning"] = json!({"effort": effort});
        bench.ask(ClientDialect::Responses, &body).await.answer();
        let sent = bench.last_sent().json();
        assert_eq!(sent["reasoning"]["effort"], "low", "{name}");
        assert!(!sent["instructions"].as_str().unwrap().is_empty(), "{name}");
        assert_eq!(sent["input"][0]["content"][0]["text"], "Hello", "{name}");
        told.push(format!("{name}\n{}", bench.losses().join("\n")));
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test]
async fn tiers_go_by_the_name_that_the_service_knows() {
    let bench = Bench::new(fine);
    for (tier, expected) in [
        ("fast", json!("priority")),
        ("priority", json!("priority")),
        ("auto", Value::Null),
        ("default", Value::Null),
    ] {
        for (dialect, stream) in ways().filter(|(dialect, _)| *dialect != ClientDialect::Messages) {
            let mut body = hello(dialect, stream);
            body["service_tier"] = json!(tier);
            bench.ask(dialect, &body).await.answer();
            assert_eq!(
                bench.last_sent().json()["service_tier"],
                expected,
                "{dialect:?} {tier}"
            );
            assert!(
                bench.losses().iter().all(|loss| !loss.contains("tier")),
                "{tier}"
            );
        }
    }
}

/// The bytes of a client that sends what Codex sends stay as they were, but for what the service insists on.
#[tokio::test]
async fn plain_requests_keep_their_bytes() {
    let bench = Bench::new(fine);
    let item = r#"{"type":"message", "id":"msg_1", "role":"user","content":[{"type":"input_text","text":"Hi  \u00e9"}]}"#;
    let body = format!(
        r#"{{"model":"{MODEL}", "stream":true, "instructions":"Be kind.", "input":[{item}], "store":false, "include":["reasoning.encrypted_content"],
        "tools":[{{"type":"custom","name":"patch"}}], "tool_choice":"auto", "parallel_tool_calls":true, "text":{{"verbosity":"low"}}}}"#
    );
    let accepted = polywire_gateway::turn::Accepted {
        turn_id: "turn".to_owned(),
        dialect: ClientDialect::Responses,
        client: polywire_gateway::Client::Sdk,
        body: body.clone().into(),
        memory: None,
        compact: false,
    };
    polywire_gateway::turn::run(&bench.gateway, accepted).await;
    assert_eq!(bench.last_sent().text(), body);
}

#[tokio::test]
async fn ids_roles_and_parts_are_those_that_the_service_takes() {
    let bench = Bench::new(fine);
    let long = format!("msg_{}", "x".repeat(80));
    let said = |id: &str| {
        json!({"type": "message", "id": id, "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Said.", "annotations": []}]})
    };
    let input = json!([
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "Hello", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
        said("msg_good"), said("other_bad"), said(&long),
        {"type": "function_call", "id": "call_as_id", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "id": "out_1", "call_id": "c1", "output": "Seen."},
        {"type": "message", "role": "user", "content": "Go on"},
    ]);
    bench
        .ask(
            ClientDialect::Responses,
            &json!({"input": input, "stream": true}),
        )
        .await
        .answer();
    let sent = bench.last_sent().json();
    let ids: Vec<&Value> = list(&sent["input"]).map(|item| &item["id"]).collect();
    assert_eq!(ids[1], "msg_good", "{sent:#}");
    assert!(
        ids.iter()
            .enumerate()
            .all(|(at, id)| at == 1 || id.is_null()),
        "{sent:#}"
    );

    // Messages of the system, first and in the middle.
    let input = json!([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Go on"},
    ]);
    bench
        .ask(ClientDialect::Responses, &json!({"input": input}))
        .await
        .answer();
    let sent = bench.last_sent().json();
    assert_eq!(sent["instructions"], "Be brief.");
    let roles: Vec<&Value> = list(&sent["input"]).map(|item| &item["role"]).collect();
    assert_eq!(roles, ["user", "developer", "user"]);
}

#[tokio::test]
async fn hosted_search_goes_by_its_present_name() {
    let bench = Bench::new(fine);
    for name in [
        "web_search",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    ] {
        let body = json!({"input": "News?", "tools": [{"type": name, "search_context_size": "low"}], "tool_choice": {"type": name}});
        bench.ask(ClientDialect::Responses, &body).await.answer();
        let sent = bench.last_sent().json();
        assert_eq!(
            sent["tools"],
            json!([{"type": "web_search", "search_context_size": "low"}]),
            "{name}"
        );
        assert_eq!(sent["tool_choice"], json!({"type": "web_search"}), "{name}");
    }
    // The search of another protocol becomes the same one.
    let mut body = hello(ClientDialect::Messages, true);
    let place = json!({"type": "approximate", "city": "Bern"});
    body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 3,
        "allowed_domains": ["example.org"], "user_location": place}]);
    bench.ask(ClientDialect::Messages, &body).await.answer();
    let sent = bench.last_sent().json();
    let filters = json!({"allowed_domains": ["example.org"]});
    let expected = json!([{"type": "web_search", "filters": filters, "user_location": place}]);
    assert_eq!(sent["tools"], expected);
    let losses = bench.losses();
    assert!(
        losses.contains(&"degraded tools[0].max_uses".to_owned()),
        "{losses:?}"
    );
}

#[tokio::test]
async fn chat_and_messages_ask_for_everything() {
    let bench = Bench::new(fine);
    let schema = json!({"type": "object", "properties": {"zebra": {"type": "integer"}}, "required": ["zebra"], "additionalProperties": false});
    let chat = json!({
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": "{\"at\":2}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Found-1"},
            {"role": "tool", "tool_call_id": "call_2", "content": "Found-2"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": schema}}], "parallel_tool_calls": true,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}},
        "max_completion_tokens": 100, "temperature": 0.1, "stop": ["END"], "seed": 7, "n": 1, "user": "me", "reasoning_effort": "minimal",
        "metadata": {"a": "b"}, "store": true, "logit_bias": {},
    });
    let messages = json!({
        "system": "Be kind.", "max_tokens": 100, "temperature": 0.1, "top_k": 5, "stop_sequences": ["END"], "metadata": {"user_id": "me"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is it?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE.split(',').nth(1).unwrap()}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
                {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {"at": 2}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Found-1"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "Found-2"}]},
        ],
        "tools": [{"name": "look", "input_schema": schema}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    });
    let mut told = Vec::new();
    for (dialect, body) in [
        (ClientDialect::Chat, chat),
        (ClientDialect::Messages, messages),
    ] {
        let got = bench.ask(dialect, &body).await.answer();
        assert_eq!(got.text, "Fine.");
        let sent = bench.last_sent().json();
        assert_eq!(sent["instructions"], "Be kind.", "{dialect:?}");
        let items: Vec<&str> = list(&sent["input"])
            .map(|item| item["type"].as_str().unwrap())
            .collect();
        let expected = [
            "message",
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output",
        ];
        assert_eq!(items, expected, "{dialect:?}");
        assert_eq!(
            sent["input"][0]["content"][1]["image_url"], PICTURE,
            "{dialect:?}"
        );
        assert_eq!(sent["text"]["format"]["schema"], schema, "{dialect:?}");
        told.push(format!("{dialect:?}\n{}", bench.losses().join("\n")));
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

/// State goes back to the account that it came from, whatever token is shown; with the bytes kept and with the request written anew.
#[tokio::test]
async fn reasoning_state_belongs_to_the_account() {
    let script = |_: usize, _: &Received| {
        ResponsesStream::new("resp_1")
            .reasoning("rs_1", "Thinking.", "gAAAA/1==")
            .text("msg_1", "Hello.")
            .completed(TOKENS)
    };
    for effort in ["low", "minimal"] {
        let bench = Bench::new(script);
        let begin = json!({"role": "user", "content": "Hello"});
        let first = bench
            .ask(ClientDialect::Responses, &json!({"input": [begin]}))
            .await
            .answer();
        let sealed = &first.sealed[0];
        let envelope = Envelope::open(sealed).unwrap();
        assert!(
            !envelope.minter.account.contains("account-1"),
            "the account stands in the open"
        );
        let mut input = vec![begin];
        input.extend(first.items);
        input.push(json!({"role": "user", "content": "Go on"}));
        let again = json!({"input": input, "reasoning": {"effort": effort}});
        let states = || -> Vec<String> {
            let sent = bench.last_sent().json();
            let found = list(&sent["input"]).filter_map(|item| item["encrypted_content"].as_str());
            found.map(str::to_owned).collect()
        };
        for (account, token, expected) in [
            ("account-1", "first", true),
            ("account-1", "second", true),
            ("account-2", "third", false),
        ] {
            bench.home.write(
                "codex/auth.json",
                polywire_testkit::auth_json(account, token),
            );
            bench.ask(ClientDialect::Responses, &again).await.answer();
            let expected = if expected {
                vec!["gAAAA/1=="]
            } else {
                Vec::new()
            };
            assert_eq!(states(), expected, "{effort} {account} {token}");
        }
    }
}
