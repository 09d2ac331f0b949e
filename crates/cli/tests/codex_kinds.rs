//! The real Codex on providers that speak Messages and Responses: an agentic turn whose reasoning state comes back exactly.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use std::fs;

use polywire_testkit::{
    CodexCli, CodexRun, House, MessagesStream, Received, Reply, ResponsesStream, ScriptedUpstream,
    Tokens, mcp_demo,
};
use serde_json::{Value, json};

const POLYWIRE: &str = env!("CARGO_BIN_EXE_polywire");
const PATCH: &str = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-one \"quoted\"\n+two \\ größer\n*** End Patch";
const COMMAND: &str = "printf 'one \"quoted\"\\n' > notes.txt";

/// Over HTTP and over a WebSocket, as an argument for Codex.
const BOTH_TRANSPORTS: [&str; 2] = [
    "-cmodel_providers.polywire.supports_websockets=false",
    "-cmodel_providers.polywire.supports_websockets=true",
];

const TOKENS: Tokens = Tokens {
    prompt: 100,
    cached: 10,
    completion: 7,
    reasoning: 0,
};

fn house(kind: &str, upstream: ScriptedUpstream) -> House {
    let house = House::of_kind(kind, POLYWIRE, env!("CARGO_TARGET_TMPDIR"), upstream);
    let config = format!(
        "check_for_update_on_startup = false\n\n[analytics]\nenabled = false\n\n[mcp_servers.demo]\ncommand = \"{}\"\n",
        mcp_demo(POLYWIRE).display()
    );
    house.home.write("codex/config.toml", config);
    house
}

/// A tool as the provider was offered it.
struct Offered {
    name: String,
    namespace: Option<String>,
}

/// The tool whose name ends in `suffix`, wherever among the tools it stands.
fn tool(request: &Received, suffix: &str) -> Offered {
    fn find(tools: &Value, suffix: &str) -> Option<Offered> {
        tools.as_array()?.iter().find_map(|tool| {
            let name = tool["name"].as_str()?;
            if tool["type"] == "namespace" {
                let namespace = Some(name.to_owned());
                let found = find(&tool["tools"], suffix)?;
                return Some(Offered { namespace, ..found });
            }
            name.ends_with(suffix).then(|| Offered {
                name: name.to_owned(),
                namespace: None,
            })
        })
    }
    let body = request.json();
    find(&body["tools"], suffix).unwrap_or_else(|| panic!("no tool `{suffix}`: {}", body["tools"]))
}

/// What all kinds have in common when the turn is over: the file, the tools' results, the texts, the tokens.
fn assert_done(house: &House, run: &CodexRun, output_tokens: u64) {
    run.assert_clean();
    assert_eq!(run.messages(), ["Now the edit.", "All done: 5."]);
    assert_eq!(run.items("command_execution")[0]["exit_code"], 0);
    assert_eq!(run.items("file_change")[0]["status"], "completed");
    let call = run.items("mcp_tool_call")[0];
    assert_eq!(call["result"]["content"][0]["text"], "5", "{call:#}");
    assert_eq!(run.items("reasoning").len(), 4, "{run:#?}");
    let usage = run.usage();
    assert_eq!(usage["input_tokens"], 400);
    assert_eq!(usage["cached_input_tokens"], 40);
    assert_eq!(usage["output_tokens"], output_tokens);
    let notes = fs::read_to_string(house.home.work().join("notes.txt")).unwrap();
    assert_eq!(notes, "two \\ größer\n");
    assert_eq!(house.upstream.received().len(), 4);
}

fn messages_reply(index: usize, request: &Received) -> Reply {
    let stream = MessagesStream::new(TOKENS)
        .thinking(&format!("Step \"{index}\"."), &format!("c2ln/{index}+=="));
    let call = |stream: MessagesStream, name: &str, input: &Value| {
        let name = tool(request, name).name;
        stream
            .call(&format!("toolu_{index}"), &name, input)
            .stop("tool_use", TOKENS)
    };
    match index {
        0 => call(stream, "exec_command", &json!({"cmd": COMMAND})),
        1 => {
            let stream = stream.redacted("b3BhcXVl").text("Now the edit.");
            call(stream, "apply_patch", &json!({"input": PATCH}))
        }
        2 => call(stream, "add", &json!({"a": 2, "b": 3})),
        3 => stream.text("All done: 5.").stop("end_turn", TOKENS),
        _ => Reply::error(400, "too_many", "one request too many"),
    }
}

#[tokio::test]
async fn signed_thinking_comes_back_to_a_provider_of_messages() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let house = house("messages", ScriptedUpstream::start(messages_reply));
        let run = house
            .exec(&codex, &[over, "make notes and add 2 and 3"])
            .await;
        assert_done(&house, &run, 28);
        let requests = house.upstream.received();
        for request in &requests {
            assert_eq!(request.path, "/v1/messages");
            assert!(request.json()["max_tokens"].is_u64());
        }
        let last = requests[3].messages();
        let assistant: Vec<&Value> = last
            .iter()
            .filter(|message| message["role"] == "assistant")
            .map(|message| &message["content"])
            .collect();
        assert_eq!(assistant.len(), 3, "{last:#?}");
        for (index, content) in assistant.iter().enumerate() {
            let thought = json!({
                "type": "thinking",
                "thinking": format!("Step \"{index}\"."),
                "signature": format!("c2ln/{index}+=="),
            });
            assert_eq!(content[0], thought);
        }
        let opaque = json!({"type": "redacted_thinking", "data": "b3BhcXVl"});
        assert_eq!(assistant[1][1], opaque);
        assert_eq!(assistant[1][2]["text"], "Now the edit.");
        assert_eq!(assistant[1][3]["input"], json!({"input": PATCH}));
        // Each call is answered in the message that follows it.
        for (index, message) in last.iter().enumerate() {
            let calls = message["content"].as_array().unwrap().iter();
            for call in calls.filter(|block| block["type"] == "tool_use") {
                let results = last[index + 1]["content"].to_string();
                assert!(results.contains(call["id"].as_str().unwrap()), "{results}");
            }
        }
    }
}

fn responses_reply(index: usize, request: &Received) -> Reply {
    let stream = ResponsesStream::new(&format!("resp_{index}")).reasoning(
        &format!("rs_{index}"),
        &format!("Step \"{index}\"."),
        &format!("gAAAA/{index}+=="),
    );
    let (item, call_id) = (format!("fc_{index}"), format!("call_{index}"));
    match index {
        0 => stream.call(
            &item,
            &call_id,
            &tool(request, "exec_command").name,
            &json!({"cmd": COMMAND}),
        ),
        1 => {
            let stream = stream.text("msg_1", "Now the edit.");
            let name = tool(request, "apply_patch").name;
            if request.text().contains(r#""type":"custom""#) {
                stream.custom_call("ctc_1", &call_id, &name, PATCH)
            } else {
                stream.call(&item, &call_id, &name, &json!({"input": PATCH}))
            }
        }
        2 => {
            let Offered { name, namespace } = tool(request, "add");
            let numbers = json!({"a": 2, "b": 3});
            match namespace {
                Some(namespace) => {
                    stream.namespaced_call(&item, &call_id, &namespace, &name, &numbers)
                }
                None => stream.call(&item, &call_id, &name, &numbers),
            }
        }
        3 => stream.text("msg_3", "All done: 5."),
        _ => return Reply::error(400, "too_many", "one request too many"),
    }
    .completed(TOKENS)
}

#[tokio::test]
async fn encrypted_reasoning_comes_back_to_a_provider_of_responses() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    // One that knows only what Open Responses publishes, and one that knows all of the protocol, whose bytes pass.
    let providers = [r#"kind = "responses""#, r#"preset = "openai""#];
    for (provider, over) in providers
        .into_iter()
        .flat_map(|provider| BOTH_TRANSPORTS.map(|over| (provider, over)))
    {
        let house = house("responses", ScriptedUpstream::start(responses_reply));
        let settings = house.home.config().join("polywire/config.toml");
        let written = fs::read_to_string(&settings).unwrap();
        let written = written.replace(r#"kind = "responses""#, provider);
        house.home.write("config/polywire/config.toml", written);
        let run = house
            .exec(&codex, &[over, "make notes and add 2 and 3"])
            .await;
        assert_done(&house, &run, 28);
        let requests = house.upstream.received();
        for request in &requests {
            assert_eq!(request.path, "/v1/responses");
            let body = request.json();
            assert_eq!(body["store"], false);
            assert_eq!(body["stream"], true);
            assert!(body.get("previous_response_id").is_none());
            assert!(body.get("client_metadata").is_none(), "{body:#}");
        }
        let last = requests[3].json();
        let input = last["input"].as_array().unwrap();
        let of = |kind: &str| -> Vec<&Value> {
            input.iter().filter(|item| item["type"] == kind).collect()
        };
        let states: Vec<&Value> = of("reasoning")
            .into_iter()
            .map(|item| &item["encrypted_content"])
            .collect();
        assert_eq!(states, ["gAAAA/0+==", "gAAAA/1+==", "gAAAA/2+=="]);
        let (functions, freeform) = (of("function_call"), of("custom_tool_call"));
        let outputs = of("function_call_output").len() + of("custom_tool_call_output").len();
        assert_eq!((functions.len() + freeform.len(), outputs), (3, 3));
        if provider.starts_with("preset") {
            assert_eq!(freeform[0]["input"], PATCH);
            assert_eq!(functions[1]["namespace"], "mcp__demo");
        } else {
            assert_eq!(
                functions[1]["arguments"],
                json!({"input": PATCH}).to_string()
            );
        }
        // What a request repeats of the one before is the same, so that the provider's cache can serve it.
        for pair in requests.windows(2) {
            let (before, after) = (pair[0].json(), pair[1].json());
            let before = before["input"].as_array().unwrap();
            assert_eq!(&after["input"].as_array().unwrap()[..before.len()], before);
        }
    }
}
