//! The real Codex CLI on a Chat Completions provider: what it does on disk, what it prints, what the provider received.

#![allow(
    clippy::panic,
    reason = "helpers of tests fail the test that calls them"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use polywire_testkit::{
    ChatStream, CodexCli, House, RED_PNG, RED_PNG_BASE64, Received, Reply, ScriptedUpstream,
    Tokens, Tree, answer, mcp_demo,
};
use serde_json::{Value, json};

const POLYWIRE: &str = env!("CARGO_BIN_EXE_polywire");
const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

fn house(upstream: ScriptedUpstream) -> House {
    let house = House::new(POLYWIRE, HOMES, upstream);
    let config = format!(
        "# The user's own settings, which stay as they are.\ncheck_for_update_on_startup = false\n\n\
         [analytics]\nenabled = false\n\n\
         [mcp_servers.demo]\ncommand = \"{}\"\n",
        mcp_demo(POLYWIRE).display()
    );
    house.home.write("codex/config.toml", config);
    house
        .home
        .write("codex/other.config.toml", "model = \"another\"\n");
    house.home.write("codex/AGENTS.md", "Be kind.\n");
    house
}

/// Over HTTP and over a WebSocket, as an argument for Codex. The second is what `run` asks for.
const BOTH_TRANSPORTS: [&str; 2] = [
    "-cmodel_providers.polywire.supports_websockets=false",
    "-cmodel_providers.polywire.supports_websockets=true",
];

fn configuration(house: &House) -> Tree {
    let tree = Tree::codex_configuration(&house.home.codex_home());
    assert!(tree.paths().len() >= 3, "{tree:?}");
    tree
}

fn tokens(prompt: u64) -> Tokens {
    Tokens {
        prompt,
        cached: 10,
        completion: 7,
        reasoning: 2,
    }
}

/// The wire name of the tool that ends in `suffix`, as the provider was offered it.
fn tool_name(request: &Received, suffix: &str) -> String {
    tools(request)
        .iter()
        .filter_map(|tool| tool["function"]["name"].as_str())
        .find(|name| name.ends_with(suffix))
        .unwrap_or_else(|| panic!("no tool `{suffix}`: {:#?}", tools(request)))
        .to_owned()
}

fn tools(request: &Received) -> Vec<Value> {
    request.json()["tools"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn calls(call: ChatStream, prompt: u64) -> Reply {
    call.finish("tool_calls").usage(tokens(prompt)).done()
}

/// Every tool message follows the assistant message that holds its call, with nothing but other results in between.
fn assert_results_follow_calls(request: &Received) {
    let mut open: Vec<Value> = Vec::new();
    for message in request.messages() {
        if message["role"] == "tool" {
            let found = open.iter().position(|id| *id == message["tool_call_id"]);
            open.remove(found.unwrap_or_else(|| panic!("a result without its call: {message}")));
            continue;
        }
        assert!(open.is_empty(), "calls without results before {message}");
        let calls = message["tool_calls"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        open = calls.into_iter().map(|call| call["id"].clone()).collect();
    }
    assert!(open.is_empty(), "calls without results: {open:?}");
}

/// What only Codex and the gateway have to know does not reach the provider.
fn assert_private(request: &Received) {
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(
        request.headers.get("authorization"),
        Some("Bearer sk-house")
    );
    for (name, value) in &request.headers.0 {
        let name = name.to_ascii_lowercase();
        let telling = ["originator", "session", "thread", "codex"];
        assert!(
            !telling.iter().any(|word| name.contains(word)),
            "{name}: {value}"
        );
        assert!(!value.contains("codex"), "{name}: {value}");
    }
    let body = request.json();
    assert_eq!(body["model"], "test-model");
    assert_eq!(body["stream"], true);
    for key in [
        "client_metadata",
        "prompt_cache_key",
        "include",
        "store",
        "input",
    ] {
        assert!(body.get(key).is_none(), "{key}: {}", body[key]);
    }
}

/// Each request repeats the messages of the one before it, so that the provider's prompt cache can serve them.
fn assert_prefixes(requests: &[Received]) {
    for pair in requests.windows(2) {
        let (before, after) = (pair[0].messages(), pair[1].messages());
        assert_eq!(after[..before.len().min(after.len())], before[..]);
        assert_eq!(tools(&pair[0]), tools(&pair[1]));
    }
}

#[tokio::test]
async fn one_turn_runs_a_command_edits_a_file_and_calls_an_mcp_tool() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let patch = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-one \"quoted\"\n+two \\ größer\n*** End Patch";
        let house = house(ScriptedUpstream::start(move |index, request| {
            let stream = ChatStream::new().reasoning("Let me ").reasoning("see.");
            match index {
                0 => calls(
                    stream.call(
                        "call_a",
                        &tool_name(request, "exec_command"),
                        &json!({"cmd": "printf 'one \"quoted\"\\n' > notes.txt"}),
                    ),
                    100,
                ),
                1 => calls(
                    stream.text("Now the edit.").call(
                        "call_b",
                        &tool_name(request, "apply_patch"),
                        &json!({"input": patch}),
                    ),
                    200,
                ),
                2 => calls(
                    stream.call(
                        "call_c",
                        &tool_name(request, "add"),
                        &json!({"a": 2, "b": 3}),
                    ),
                    300,
                ),
                3 => stream
                    .text("All ")
                    .text("done: 5.")
                    .finish("stop")
                    .usage(tokens(400))
                    .done(),
                _ => Reply::error(400, "too_many", "one request too many"),
            }
        }));
        let before = configuration(&house);
        let run = house
            .exec(&codex, &[over, "make notes and add 2 and 3"])
            .await;
        run.assert_clean();
        assert_eq!(run.messages(), ["Now the edit.", "All done: 5."]);
        assert_eq!(run.items("reasoning").len(), 4, "{run:#?}");
        assert_eq!(run.items("command_execution")[0]["exit_code"], 0);
        assert_eq!(run.items("file_change")[0]["status"], "completed");
        let call = run.items("mcp_tool_call")[0];
        assert_eq!(call["result"]["content"][0]["text"], "5", "{call:#}");
        let usage = json!({
            "input_tokens": 1000,
            "cached_input_tokens": 40,
            "cache_write_input_tokens": 0,
            "output_tokens": 28,
            "reasoning_output_tokens": 8,
        });
        assert_eq!(run.usage(), &usage);
        let notes = fs::read_to_string(house.home.work().join("notes.txt")).unwrap();
        assert_eq!(notes, "two \\ größer\n");

        let requests = house.upstream.received();
        assert_eq!(requests.len(), 4);
        for request in &requests {
            assert_private(request);
            assert_results_follow_calls(request);
        }
        assert_prefixes(&requests);
        let last = requests[3].text();
        assert!(last.contains("call_a") && last.contains("call_b") && last.contains("call_c"));
        let result = requests[3].messages().pop().unwrap();
        assert_eq!(result["tool_call_id"], "call_c");
        assert!(result["content"].to_string().contains('5'), "{result}");
        before.assert_same(&configuration(&house));
        let log = fs::read_to_string(house.home.state().join("polywire/run.log")).unwrap();
        let sockets = log.matches("a client opened a WebSocket").count();
        assert_eq!(sockets > 0, over.ends_with("true"), "{log}");
    }
}

#[tokio::test]
async fn calls_of_one_answer_run_side_by_side() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let house = house(ScriptedUpstream::start(|index, request| match index {
            0 => {
                let shell = tool_name(request, "exec_command");
                let stream = ChatStream::new()
                    .text("Two at once.")
                    .call("call_a", &shell, &json!({"cmd": "echo a > a.txt"}))
                    .call("call_b", &shell, &json!({"cmd": "echo b > b.txt; exit 3"}));
                calls(stream, 50)
            }
            _ => answer("Both ran."),
        }));
        let run = house.exec(&codex, &[over, "run two commands"]).await;
        run.assert_clean();
        assert_eq!(run.messages(), ["Two at once.", "Both ran."]);
        for name in ["a", "b"] {
            let text = fs::read_to_string(house.home.work().join(format!("{name}.txt"))).unwrap();
            assert_eq!(text.trim(), name);
        }
        let requests = house.upstream.received();
        assert_results_follow_calls(&requests[1]);
        let messages = requests[1].messages();
        let assistant = messages
            .iter()
            .find(|message| message["tool_calls"].is_array())
            .unwrap();
        assert_eq!(assistant["tool_calls"].as_array().unwrap().len(), 2);
        assert_eq!(assistant["content"], "Two at once.");
    }
}

#[tokio::test]
async fn a_conversation_is_resumed() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let house = house(ScriptedUpstream::start(|index, request| match index {
            0 => {
                let shell = tool_name(request, "exec_command");
                let stream = ChatStream::new().reasoning("Look first.").call(
                    "call_a",
                    &shell,
                    &json!({"cmd": "echo seen"}),
                );
                calls(stream, 100)
            }
            1 => answer("First answer."),
            _ => answer("Second answer."),
        }));
        let before = configuration(&house);
        let first = house.exec(&codex, &[over, "first question"]).await;
        first.assert_clean();
        let thread = first.thread_id().to_owned();
        let second = house
            .exec(&codex, &[over, "resume", &thread, "second question"])
            .await;
        second.assert_clean();
        assert_eq!(second.messages(), ["Second answer."]);
        assert_eq!(second.thread_id(), thread);

        let requests = house.upstream.received();
        assert_eq!(requests.len(), 3);
        requests.iter().for_each(assert_private);
        assert_results_follow_calls(&requests[2]);
        let text = requests[2].text();
        for part in [
            "first question",
            "call_a",
            "seen",
            "First answer.",
            "second question",
        ] {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
        // What the second turn repeats of the first one is byte for byte the same.
        assert_prefixes(&requests);
        before.assert_same(&configuration(&house));
    }
}

#[tokio::test]
async fn pictures_reach_the_provider() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let house = house(ScriptedUpstream::start(|index, request| match index {
            0 => calls(
                ChatStream::new().call("call_a", &tool_name(request, "picture"), &json!({})),
                100,
            ),
            _ => answer("Red, both of them."),
        }));
        fs::write(house.home.work().join("red.png"), RED_PNG).unwrap();
        let run = house
            .exec(&codex, &[over, "-i", "red.png", "--", "which colour?"])
            .await;
        run.assert_clean();
        assert_eq!(run.messages(), ["Red, both of them."]);
        let pictures = |request: &Received| {
            let messages = request.messages();
            let parts = messages.iter().filter_map(|message| {
                assert!(message["role"] != "tool" || !message.to_string().contains("image_url"));
                message["content"].as_array().cloned()
            });
            parts
                .flatten()
                .filter_map(|part| part["image_url"]["url"].as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let requests = house.upstream.received();
        let given = pictures(&requests[0]);
        assert_eq!(given.len(), 1);
        assert!(
            given[0].starts_with("data:image/png;base64,"),
            "{}",
            given[0]
        );
        let seen = pictures(&requests[1]);
        assert_eq!(seen.len(), 2, "{}", requests[1].text());
        assert_eq!(seen[0], given[0]);
        assert!(seen[1].ends_with(RED_PNG_BASE64), "{}", seen[1]);
        assert_results_follow_calls(&requests[1]);
    }
}

#[tokio::test]
async fn an_interrupt_reaches_the_provider_within_a_second() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let stalled = ChatStream::new()
            .reasoning("Thinking")
            .text("I was about")
            .stall();
        let house = house(ScriptedUpstream::replies(vec![stalled]));
        let before = configuration(&house);
        let run = house.start_exec(&codex, &[over, "talk for long"]);
        run.stdout_line("turn.started").await;
        house.upstream.requests(1).await;
        let interrupted = run.interrupt();
        let gone = house.upstream.client_gone(0).await;
        assert!(
            gone - interrupted < Duration::from_secs(1),
            "{:?}",
            gone - interrupted
        );
        let ended = run.ended().await;
        assert_eq!(ended.code(), Some(1), "{ended:#?}");
        assert_eq!(house.upstream.received().len(), 1);
        before.assert_same(&configuration(&house));
    }
}

#[tokio::test]
async fn a_long_conversation_is_compacted_and_goes_on() {
    const SUMMARY: &str = "SUMMARY: one file was made.";
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let is_compaction =
            |request: &Received| request.text().contains("CONTEXT CHECKPOINT COMPACTION");
        let house = house(ScriptedUpstream::start(move |index, request| {
            if is_compaction(request) {
                return answer(SUMMARY);
            }
            match index {
                0 => {
                    let shell = tool_name(request, "exec_command");
                    let call = json!({"cmd": "echo made > made.txt"});
                    calls(ChatStream::new().call("call_a", &shell, &call), 50_000)
                }
                _ => answer("Going on."),
            }
        }));
        let limit = [
            over,
            "-c",
            "model_auto_compact_token_limit=20000",
            "make a file",
        ];
        let run = house.exec(&codex, &limit).await;
        assert_eq!(run.ended.code(), Some(0), "{run:#?}");
        assert_eq!(run.messages().last(), Some(&"Going on."), "{run:#?}");
        assert!(run.events("error").is_empty(), "{run:#?}");
        let requests = house.upstream.received();
        assert_eq!(requests.len(), 3, "{run:#?}");
        requests.iter().for_each(assert_private);
        assert!(is_compaction(&requests[1]));
        assert!(requests[1].json().get("tools").is_none());
        assert_results_follow_calls(&requests[1]);
        assert!(requests[1].text().contains("call_a"));
        assert!(requests[2].text().contains("SUMMARY: one file was made."));
        assert!(!requests[2].text().contains("call_a"));
        assert!(!tools(&requests[2]).is_empty());
    }
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_shown_in_its_words_and_not_repeated() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let table = [
            (
                Reply::error(401, "invalid_api_key", "Incorrect API key provided."),
                "Incorrect API key provided.",
            ),
            (
                Reply::error(403, "forbidden", "Your plan lacks this model."),
                "Your plan lacks this model.",
            ),
            (
                Reply::error(404, "model_not_found", "No such model here."),
                "No such model here.",
            ),
            (
                Reply::error(400, "invalid_request_error", "Bad tool schema."),
                "Bad tool schema.",
            ),
            (
                Reply::html(403, "<html><title>Just a moment...</title></html>"),
                "Just a moment...",
            ),
        ];
        for (reply, words) in table {
            let house = house(ScriptedUpstream::replies(vec![reply]));
            let run = house.exec(&codex, &[over, "hello"]).await;
            assert_eq!(run.ended.code(), Some(1), "{run:#?}");
            assert_eq!(house.upstream.received().len(), 1, "{words}");
            let failed = run.events("turn.failed");
            let message = failed[0]["error"]["message"].as_str().unwrap_or_default();
            assert!(message.contains(words), "{run:#?}");
            assert!(
                !run.events
                    .iter()
                    .any(|e| e.to_string().contains("Reconnecting"))
            );
        }
    }
}

#[tokio::test]
async fn a_cut_stream_is_repeated_and_never_taken_for_an_answer() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let cut = ChatStream::new().text("Half an ans").cut();
        let house = house(ScriptedUpstream::replies(vec![
            cut,
            answer("A whole answer."),
        ]));
        let run = house.exec(&codex, &[over, "hello"]).await;
        assert_eq!(run.ended.code(), Some(0), "{run:#?}");
        assert_eq!(run.messages().last(), Some(&"A whole answer."));
        assert_eq!(house.upstream.received().len(), 2);
        // Over a WebSocket Codex connects once more before it says so.
        let said = run
            .events
            .iter()
            .any(|e| e.to_string().contains("Reconnecting"));
        assert_eq!(said, over.ends_with("false"), "{run:#?}");
    }
}

#[tokio::test]
async fn a_call_that_was_cut_off_by_the_output_limit_is_not_run() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let house = house(ScriptedUpstream::start(|_, request| {
            let shell = tool_name(request, "exec_command");
            ChatStream::new()
                .text("Wait.")
                .call_pieces("call_a", &shell, &["{\"cmd\":", "\"echo cut > cut.txt"])
                .finish("length")
                .usage(tokens(10))
                .done()
        }));
        let run = house.exec(&codex, &[over, "hello"]).await;
        run.assert_clean();
        assert!(!Path::new(&house.home.work().join("cut.txt")).exists());
        assert_eq!(house.upstream.received().len(), 1);
        let said = run.messages().join("\n");
        assert!(
            said.contains("exec_command") && said.contains("cut off"),
            "{said}"
        );
    }
}
