//! Claude Code and opencode, each given a task that has it edit a file, on a Chat Completions provider.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use polywire_testkit::{
    ChatStream, ClaudeCode, House, OpenCode, Received, Reply, ScriptedUpstream, Speaks, Tokens,
};
use serde_json::{Value, json};

const NOTES: &str = "one \"größer\"\n";
const EDITED: &str = "two \"größer\" \\\n";
const TASK: &str = "Edit the notes.";

/// How an agent calls its tools and their arguments.
struct Tools {
    read: &'static str,
    edit: &'static str,
    path: &'static str,
    old: &'static str,
    new: &'static str,
}

const CLAUDE: Tools = Tools {
    read: "Read",
    edit: "Edit",
    path: "file_path",
    old: "old_string",
    new: "new_string",
};

const OPENCODE: Tools = Tools {
    read: "read",
    edit: "edit",
    path: "filePath",
    old: "oldString",
    new: "newString",
};

/// A provider whose model reads the notes, edits them, and says so.
///
/// Requests without tools are the agent's own business (a title for the session).
fn upstream(tools: &'static Tools) -> ScriptedUpstream {
    ScriptedUpstream::start(move |_, request| {
        let offered = request.json()["tools"].as_array().map_or(0, Vec::len);
        if offered == 0 {
            return end(ChatStream::new().text("Notes"), "stop");
        }
        let path = path(request);
        let results = results(request).len();
        let stream = ChatStream::new().reasoning("Let me see.");
        match results {
            0 => calls(stream.call("call_a", tools.read, &json!({tools.path: path}))),
            1 => {
                let arguments = json!({tools.path: path, tools.old: NOTES, tools.new: EDITED});
                calls(
                    stream
                        .text("Now the edit.")
                        .call("call_b", tools.edit, &arguments),
                )
            }
            _ => end(stream.text("The notes are edited."), "stop"),
        }
    })
}

fn calls(stream: ChatStream) -> Reply {
    end(stream, "tool_calls")
}

fn end(stream: ChatStream, reason: &str) -> Reply {
    let tokens = Tokens {
        prompt: 1000,
        cached: 400,
        completion: 20,
        reasoning: 5,
    };
    stream.finish(reason).usage(tokens).done()
}

/// The file to edit, in the folder that the task names.
fn path(request: &Received) -> String {
    let text = request.text();
    let (_, rest) = text
        .split_once("The file is <")
        .unwrap_or_else(|| panic!("no file in {text}"));
    rest.split('>').next().unwrap_or_default().to_owned()
}

fn results(request: &Received) -> Vec<Value> {
    let messages = request.messages().into_iter();
    messages
        .filter(|message| message["role"] == "tool")
        .collect()
}

fn house(tools: &'static Tools) -> House {
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream(tools),
    );
    house.home.write("work/notes.txt", NOTES);
    house
}

fn task(house: &House) -> String {
    format!(
        "{TASK} The file is <{}>.",
        house.home.work().join("notes.txt").display()
    )
}

/// Checks the file, and that the provider was told of each result.
fn assert_edited(house: &House) {
    let notes = std::fs::read_to_string(house.home.work().join("notes.txt")).unwrap();
    assert_eq!(notes, EDITED);
    let turns: Vec<_> = house
        .upstream
        .received()
        .into_iter()
        .filter(|request| !request.json()["tools"].is_null())
        .collect();
    assert_eq!(turns.len(), 3, "{turns:#?}");
    let told = results(&turns[2]);
    let ids: Vec<_> = told.iter().map(|result| &result["tool_call_id"]).collect();
    assert_eq!(ids, ["call_a", "call_b"]);
    assert!(
        told[0]["content"].to_string().contains("größer"),
        "{told:#?}"
    );
    for request in &turns {
        assert_eq!(request.path, "/v1/chat/completions");
        assert_eq!(
            request.headers.get("authorization"),
            Some("Bearer sk-house")
        );
        assert_eq!(request.json()["model"], "test-model");
    }
}

async fn opencode_edits(speaks: Speaks) {
    let Some(opencode) = OpenCode::find() else {
        return;
    };
    let house = house(&OPENCODE);
    let gateway = house.gateway().await;
    let ended = opencode.run(&house, &gateway, speaks, &task(&house)).await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    assert_eq!(
        OpenCode::texts(&ended).last().map(String::as_str),
        Some("The notes are edited."),
        "{ended:#?}"
    );
    assert_edited(&house);
}

#[tokio::test]
async fn opencode_edits_a_file_over_responses() {
    opencode_edits(Speaks::Responses).await;
}

#[tokio::test]
async fn opencode_edits_a_file_over_chat_completions() {
    opencode_edits(Speaks::Chat).await;
}

#[tokio::test]
async fn opencode_edits_a_file_over_messages() {
    opencode_edits(Speaks::Messages).await;
}

#[tokio::test]
async fn claude_code_edits_a_file() {
    let Some(claude) = ClaudeCode::find() else {
        return;
    };
    let house = house(&CLAUDE);
    let gateway = house.gateway().await;
    let ended = claude.run(&house, &gateway, &task(&house)).await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    let result = ClaudeCode::result(&ended);
    assert_eq!(result["is_error"], false, "{result:#}");
    assert_eq!(result["result"], "The notes are edited.", "{result:#}");
    // Three requests, each with 1000 input tokens of which 400 were cached.
    assert_eq!(result["usage"]["input_tokens"], 1800, "{result:#}");
    assert_eq!(
        result["usage"]["cache_read_input_tokens"], 1200,
        "{result:#}"
    );
    assert_edited(&house);
}
