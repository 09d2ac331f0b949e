//! Summaries in the place of a conversation: asked for by Codex, by item, and by path.

#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them, and say what they did not do"
)]

use polywire_testkit::{
    Call, ChatStream, CodexCli, House, MessagesStream, Received, ScriptedUpstream, SseEvent,
    Tokens, answer,
};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";
const SUMMARY: &str = "SUMMARY: one \"file\" was made.";

/// Over HTTP and over a WebSocket, as an argument for Codex.
const BOTH_TRANSPORTS: [&str; 2] = [
    "-cmodel_providers.polywire.supports_websockets=false",
    "-cmodel_providers.polywire.supports_websockets=true",
];

fn house(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

/// Whether the gateway asks for a summary.
fn is_summary(request: &Received) -> bool {
    request
        .text()
        .contains("Write a summary of this conversation")
}

fn summarising() -> House {
    house(ScriptedUpstream::start(|_, request| {
        if is_summary(request) {
            answer(SUMMARY)
        } else {
            answer("hello")
        }
    }))
}

#[tokio::test]
async fn codex_gets_one_item_and_goes_on_with_it_on_any_provider() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let tokens = Tokens::default();
        let claude = ScriptedUpstream::start(move |_, _| {
            MessagesStream::new(tokens)
                .text("I know.")
                .stop("end_turn", tokens)
        });
        let house = house(ScriptedUpstream::start(|index, request| {
            if is_summary(request) {
                return answer(SUMMARY);
            }
            if index > 0 {
                return answer("Going on.");
            }
            let tools = request.json()["tools"].clone();
            let shell = tools.as_array().unwrap().iter().find_map(|tool| {
                let name = tool["function"]["name"].as_str()?;
                name.ends_with("exec_command").then(|| name.to_owned())
            });
            let tokens = Tokens {
                prompt: 50_000,
                ..Tokens::default()
            };
            ChatStream::new()
                .call(
                    "call_a",
                    &shell.unwrap(),
                    &json!({"cmd": "echo made > made.txt"}),
                )
                .finish("tool_calls")
                .usage(tokens)
                .done()
        }));
        let settings = house.home.config().join("polywire/config.toml");
        let settings = std::fs::read_to_string(settings).unwrap();
        let other = format!(
            "\n[providers.claude]\nkind = \"messages\"\nbase_url = \"{}\"\nkey = \"sk-c\"\nmodels = [\"claude-1\"]\n",
            claude.base_url()
        );
        house
            .home
            .write("config/polywire/config.toml", settings + &other);
        let remote = "-cmodel_providers.polywire.capabilities={remote_compaction=\"v2\"}";
        let limit = "-cmodel_auto_compact_token_limit=20000";
        let run = house
            .exec(&codex, &[over, remote, limit, "make a file"])
            .await;
        assert_eq!(run.ended.code(), Some(0), "{run:#?}");
        assert_eq!(run.messages(), ["Going on."], "{run:#?}");
        assert!(run.events("error").is_empty(), "{run:#?}");
        assert!(house.home.work().join("made.txt").exists());

        let requests = house.upstream.received();
        assert_eq!(requests.len(), 3, "{run:#?}");
        assert!(is_summary(&requests[1]));
        assert!(requests[1].json().get("tools").is_none());
        assert!(requests[1].text().contains("call_a"));
        let written = Value::from(SUMMARY).to_string();
        let written = written.trim_matches('"');
        assert!(
            requests[2].text().contains(written),
            "{}",
            requests[2].text()
        );
        assert!(!requests[2].text().contains("call_a"));
        assert!(!is_summary(&requests[2]));

        // The thread moves to another provider, where the summary opens as well.
        let model = "-cmodel=\"claude/claude-1\"";
        let thread = run.thread_id();
        let moved = house
            .exec(
                &codex,
                &[over, remote, model, "resume", thread, "what was made?"],
            )
            .await;
        assert_eq!(moved.messages(), ["I know."], "{moved:#?}");
        let asked = &claude.received()[0];
        assert!(asked.text().contains(written), "{}", asked.text());
        assert!(asked.text().contains("Going on."));
        assert!(!asked.text().contains("call_a"));
    }
}

#[tokio::test]
async fn a_trigger_is_answered_by_exactly_one_item() {
    let house = summarising();
    let gateway = house.gateway().await;
    let tools = json!([{"type": "function", "name": "look", "parameters": {"type": "object"}}]);
    let input = json!([{"role": "user", "content": "make a file"}, {"type": "compaction_trigger"}]);
    let asked = json!({"model": "test-model", "input": input, "tools": tools, "stream": true});
    let answer = gateway.send(Call::post(RESPONSES, &asked)).await;
    let events: Vec<Value> = answer.events().iter().map(SseEvent::json).collect();
    let of = |kind: &str| -> Vec<&Value> {
        events
            .iter()
            .filter(|event| event["type"] == kind)
            .collect()
    };
    let done = of("response.output_item.done");
    assert_eq!(done.len(), 1, "{events:#?}");
    assert_eq!(done[0]["item"]["type"], "compaction");
    assert!(of("response.output_text.delta").is_empty());
    let response = &of("response.completed")[0]["response"];
    assert_eq!(response["output"], json!([done[0]["item"]]));

    // What goes on from it, goes on from the summary.
    let next =
        json!({"model": "test-model", "input": "go on", "previous_response_id": response["id"]});
    let next = gateway.send(Call::post(RESPONSES, &next)).await;
    assert_eq!(next.status, 200, "{}", next.text());
    let messages = house.upstream.received()[1].messages();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert!(messages[0]["content"].to_string().contains("SUMMARY"));
    assert!(!house.upstream.received()[1].text().contains("make a file"));
}

#[tokio::test]
async fn the_path_for_compaction_gives_an_object_whose_output_is_the_next_input() {
    let house = summarising();
    let gateway = house.gateway().await;
    for path in ["/v1/responses/compact", "/responses/compact"] {
        let asked = json!({"model": "test-model", "stream": true, "input": [{"role": "user", "content": "make a file"}]});
        let compacted = gateway.send(Call::post(path, &asked)).await;
        assert_eq!(compacted.status, 200, "{}", compacted.text());
        let compacted = compacted.json();
        assert_eq!(compacted["object"], "response.compaction");
        assert!(compacted["usage"]["total_tokens"].as_u64() > Some(0));
        check_schema(&compacted);
        let id = compacted["id"].as_str().unwrap();
        let kept = gateway.send(Call::get(&format!("{RESPONSES}/{id}"))).await;
        assert_eq!(kept.status, 404, "{}", kept.text());

        let mut input = compacted["output"].as_array().unwrap().clone();
        input.push(json!({"role": "user", "content": "go on"}));
        let next = json!({"model": "test-model", "input": input});
        let next = gateway.send(Call::post(RESPONSES, &next)).await;
        assert_eq!(next.status, 200, "{}", next.text());
        let last = house.upstream.received().pop().unwrap();
        assert!(last.text().contains("SUMMARY") && last.text().contains("go on"));
    }
    // From an earlier response too, and what is unknown is named.
    let first = json!({"model": "test-model", "input": "make a file"});
    let first = gateway.send(Call::post(RESPONSES, &first)).await.json();
    for (previous, status) in [(&first["id"], 200), (&json!("resp_gone"), 404)] {
        let asked = json!({"model": "test-model", "previous_response_id": previous});
        let compacted = gateway
            .send(Call::post("/v1/responses/compact", &asked))
            .await;
        assert_eq!(compacted.status, status, "{}", compacted.text());
    }
    let last = house.upstream.received().pop().unwrap();
    assert!(is_summary(&last) && last.text().contains("make a file"));
}

/// Checks the object against Open Responses' description, where that lies beside the repository.
fn check_schema(object: &Value) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/reference/openresponses-2026-04-24.openapi.json");
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("NOT CHECKED: there is no `{}`", path.display());
        return;
    };
    let mut schema: Value = serde_json::from_slice(&text).unwrap();
    schema["$ref"] = "#/components/schemas/CompactResource".into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(object)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{object:#}");
}
