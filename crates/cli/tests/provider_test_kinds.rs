//! `polywire provider test` on providers of the other protocols: the same checks, the same table.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use polywire_testkit::{
    CodexCli, Ended, House, MessagesStream, Received, Reply, ResponsesStream, Running,
    ScriptedUpstream, TempHome, Tokens,
};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const GREETING: &str = r#"{"sentence": "Hello there.", "language": "en", "words": 2}"#;
const TOKENS: Tokens = Tokens {
    prompt: 50,
    cached: 0,
    completion: 20,
    reasoning: 5,
};

/// What a model that does as it is told would do.
enum Wanted {
    Numbers,
    Result,
    TwoCalls,
    Call,
    Text(&'static str),
}

fn wanted(request: &Received) -> Wanted {
    let text = request.text();
    let demands = demands_call(request);
    if text.contains("numbers from 1 to 40") {
        Wanted::Numbers
    } else if text.contains("The value is 48613.") {
        Wanted::Result
    } else if text.contains("both at once") {
        Wanted::TwoCalls
    } else if text.contains("value of alpha") || demands && text.contains("Say hello") {
        Wanted::Call
    } else if text.contains("PINEAPPLE") {
        Wanted::Text("PINEAPPLE")
    } else if text.contains("colour") {
        Wanted::Text("Red.")
    } else {
        Wanted::Text(GREETING)
    }
}

/// By the one word or the other.
fn demands_call(request: &Received) -> bool {
    let choice = &request.json()["tool_choice"];
    choice == "required" || choice["type"] == "any"
}

fn models() -> Reply {
    Reply::json(
        200,
        &json!({"data": [{"id": "test-model"}], "has_more": false}),
    )
}

fn messages(_: usize, request: &Received) -> Reply {
    if request.method == "GET" {
        assert!(request.path.starts_with("/v1/models"), "{}", request.path);
        return models();
    }
    assert_eq!(
        request.headers.get("x-api-key"),
        Some("sk-house-0123456789")
    );
    let stream = MessagesStream::new(TOKENS);
    let alpha = json!({"name": "alpha"});
    match wanted(request) {
        Wanted::Numbers => {
            let mut stream = stream.event(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
            for number in 1..=40 {
                stream = stream.event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": format!("{number} ")}}));
            }
            stream
                .event(&json!({"type": "content_block_stop", "index": 0}))
                .stop("end_turn", TOKENS)
        }
        Wanted::Result => {
            assert!(
                request.text().contains("c2lnbmVk"),
                "the thought went back with its signature"
            );
            stream.text("It is 48613.").stop("end_turn", TOKENS)
        }
        Wanted::TwoCalls => stream
            .call("toolu_1", "look_up", &alpha)
            .call("toolu_2", "look_up", &json!({"name": "beta"}))
            .stop("tool_use", TOKENS),
        Wanted::Call => stream
            .thinking("The tool knows.", "c2lnbmVk")
            .call("toolu_1", "look_up", &alpha)
            .stop("tool_use", TOKENS),
        Wanted::Text(text) => stream.text(text).stop("end_turn", TOKENS),
    }
}

fn responses(_: usize, request: &Received) -> Reply {
    if request.method == "GET" {
        return models();
    }
    assert_eq!(request.path, "/v1/responses");
    let stream = ResponsesStream::new("resp_1");
    let alpha = json!({"name": "alpha"});
    match wanted(request) {
        Wanted::Numbers => {
            let pieces: Vec<String> = (1..=40).map(|number| format!("{number} ")).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            stream.text_pieces("msg_1", &pieces).completed(TOKENS)
        }
        Wanted::Result => {
            assert!(
                request.text().contains("sealed-thought"),
                "the thought went back sealed"
            );
            stream.text("msg_1", "It is 48613.").completed(TOKENS)
        }
        Wanted::TwoCalls => stream
            .call("fc_1", "call_1", "look_up", &alpha)
            .call("fc_2", "call_2", "look_up", &json!({"name": "beta"}))
            .completed(TOKENS),
        Wanted::Call => stream
            .reasoning("rs_1", "The tool knows.", "sealed-thought")
            .call("fc_1", "call_1", "look_up", &alpha)
            .completed(TOKENS),
        Wanted::Text(text) => stream.text("msg_1", text).completed(TOKENS),
    }
}

async fn tested(kind: &str, upstream: &ScriptedUpstream, more: &str) -> (Ended, Value) {
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    let settings = format!(
        r#"[providers.house]
kind = "{kind}"
base_url = "{}"
key = "sk-house-0123456789"
models = [{{ id = "test-model", images = true, reasoning_efforts = ["low", "high"], default_effort = "high" }}]
{more}
"#,
        upstream.base_url()
    );
    home.write("config/polywire/config.toml", settings);
    let mut command = home.command(PROGRAM);
    command.args(["provider", "test", "house", "--json"]);
    let ended = Running::start(command).ended().await;
    let report = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    (ended, report)
}

#[track_caller]
fn assert_all_works(ended: &Ended, report: &Value) {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for checked in report["checks"].as_array().unwrap() {
        assert_eq!(checked["outcome"], "works", "{checked}");
    }
    assert_eq!(report["proven"], json!({}));
}

#[tokio::test]
async fn messages_providers() {
    let upstream = ScriptedUpstream::start(messages);
    let more = "auth = { header = \"x-api-key\" }\nprofile = { thinking = \"adaptive\", efforts = [\"low\", \"high\"], structured_output = \"output_config\", forced_choice_with_thinking = true }";
    let (ended, report) = tested("messages", &upstream, more).await;
    assert_all_works(&ended, &report);
}

#[tokio::test]
async fn responses_providers() {
    let upstream = ScriptedUpstream::start(responses);
    let (ended, report) = tested("responses", &upstream, "").await;
    assert_all_works(&ended, &report);
}

/// A provider that has the protocol but not all of it: what helps is found in its own profile.
#[tokio::test]
async fn switches_of_other_protocols() {
    let upstream = ScriptedUpstream::start(|index, request| {
        let text = request.text();
        if text.contains("\"json_schema\"") {
            return Reply::error(400, "invalid_request_error", "text.format is not supported");
        }
        if demands_call(request) {
            return Reply::error(
                400,
                "invalid_request_error",
                "tool_choice required is not supported",
            );
        }
        responses(index, request)
    });
    let (ended, report) = tested("responses", &upstream, "").await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(
        report["proven"],
        json!({"tool_choice": ["auto", "none"], "structured_output": "prompt"}),
        "{report:#}"
    );
}

/// A Codex on this machine has no address and no key, and only one of its two kinds streams and takes tools of its clients.
#[tokio::test]
async fn engines() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for (kind, tools) in [("codex-app-server", "works"), ("codex-exec", "unsupported")] {
        let upstream = ScriptedUpstream::start(responses);
        let folder = env!("CARGO_TARGET_TMPDIR");
        let house = House::of_engine(kind, PROGRAM, folder, &codex, upstream, "");
        let mut command = house.polywire();
        command.args(["provider", "test", "house", "-m", "test-model", "--json"]);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
        let outcome = |check: &str| {
            let mut checks = report["checks"].as_array().unwrap().iter();
            let found = checks.find(|checked| checked["check"] == check).unwrap();
            found["outcome"].as_str().unwrap().to_owned()
        };
        assert_eq!(outcome("reachable"), "works", "{report:#}");
        assert_eq!(outcome("key"), "skipped", "{report:#}");
        for check in ["streaming", "tool_call", "tool_result", "parallel_calls"] {
            assert_eq!(outcome(check), tools, "{kind}: {check}: {report:#}");
        }
    }
}
