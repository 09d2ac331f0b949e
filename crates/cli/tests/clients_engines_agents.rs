//! Coding agents on an engine: Claude Code, opencode and Codex itself work on a file, with the real Codex as their provider.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use engines::{APP_SERVER, Engine, TOKENS, house, processes_of, says, state_of};
use polywire_testkit::{
    ClaudeCode, CodexCli, House, OpenCode, Received, ResponsesStream, ScriptedUpstream, Speaks,
};
use serde_json::{Value, json};

#[path = "support/engines.rs"]
#[allow(dead_code, reason = "each test program needs some of it")]
mod engines;

const NOTES: &str = "one \"größer\"\n";
const EDITED: &str = "two \"größer\" \\\n";
const DONE: &str = "The notes are edited.";

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

/// A model that reads the notes, edits them, and says so.
///
/// Requests without tools are the agent's own business (a title for the session).
fn editor(tools: &'static Tools) -> ScriptedUpstream {
    ScriptedUpstream::start(move |_, request| {
        let asked = request.json();
        if !has_tools(&asked) {
            return says("Notes");
        }
        let path = path(request);
        let stream = ResponsesStream::new("resp_1").reasoning("rs_1", "Let me see.", "gAAAA+==");
        match results(&asked).len() {
            0 => stream.call("fc_1", "call_a", tools.read, &json!({tools.path: path})),
            1 => {
                let edit = json!({tools.path: path, tools.old: NOTES, tools.new: EDITED});
                let stream = stream.text("msg_1", "Now the edit.");
                stream.call("fc_2", "call_b", tools.edit, &edit)
            }
            _ => stream.text("msg_2", DONE),
        }
        .completed(TOKENS)
    })
}

fn has_tools(asked: &Value) -> bool {
    asked["tools"]
        .as_array()
        .is_some_and(|tools| !tools.is_empty())
}

/// The file to edit, which the task names.
fn path(request: &Received) -> String {
    let text = request.text();
    let (_, rest) = text
        .split_once("The file is <")
        .unwrap_or_else(|| panic!("no file in {text}"));
    rest.split('>').next().unwrap_or_default().to_owned()
}

/// The results of tools in a request, oldest first.
fn results(asked: &Value) -> Vec<&Value> {
    let items = asked["input"].as_array().into_iter().flatten();
    items
        .filter(|item| item["type"] == "function_call_output")
        .collect()
}

async fn engine(upstream: ScriptedUpstream) -> Option<Engine> {
    let engine = Engine::start(APP_SERVER, upstream, "").await?;
    engine.house.home.write("work/notes.txt", NOTES);
    Some(engine)
}

fn task(engine: &Engine) -> String {
    let notes = engine.house.home.work().join("notes.txt");
    format!("Edit the notes. The file is <{}>.", notes.display())
}

/// Checks the file, and that the model was told of each result, in the thread that waited for it.
fn assert_edited(house: &House, asked: &[Value]) {
    let notes = house.home.work().join("notes.txt");
    assert_eq!(std::fs::read_to_string(notes).unwrap(), EDITED);
    let turns: Vec<&Value> = asked.iter().filter(|asked| has_tools(asked)).collect();
    assert_eq!(turns.len(), 3, "{turns:#?}");
    let told = results(turns[2]);
    let called: Vec<_> = told.iter().map(|result| &result["call_id"]).collect();
    assert_eq!(called, ["call_a", "call_b"]);
    let threads: Vec<_> = turns
        .iter()
        .map(|asked| &asked["client_metadata"]["thread_id"])
        .collect();
    assert!(threads[0].is_string(), "{threads:?}");
    assert_eq!(threads, [threads[0]; 3]);
}

#[tokio::test]
async fn claude_code_edits_a_file() {
    let Some(claude) = ClaudeCode::find() else {
        return;
    };
    let Some(engine) = engine(editor(&CLAUDE)).await else {
        return;
    };
    let ended = claude
        .run(&engine.house, &engine.gateway, &task(&engine))
        .await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    let result = ClaudeCode::result(&ended);
    assert_eq!(result["is_error"], false, "{result:#}");
    assert_eq!(result["result"], DONE, "{result:#}");
    // Three requests, each with 25 input tokens of which 10 were cached.
    assert_eq!(result["usage"]["input_tokens"], 45, "{result:#}");
    assert_eq!(result["usage"]["cache_read_input_tokens"], 30, "{result:#}");
    assert_edited(&engine.house, &engine.asked());
    engine.stop().await;
}

#[tokio::test]
async fn opencode_edits_a_file_in_every_protocol() {
    let Some(opencode) = OpenCode::find() else {
        return;
    };
    for speaks in [Speaks::Responses, Speaks::Chat, Speaks::Messages] {
        let Some(engine) = engine(editor(&OPENCODE)).await else {
            return;
        };
        let ended = opencode
            .run(&engine.house, &engine.gateway, speaks, &task(&engine))
            .await;
        assert_eq!(ended.code(), Some(0), "{speaks:?}: {ended:#?}");
        let texts = OpenCode::texts(&ended);
        assert_eq!(
            texts.last().map(String::as_str),
            Some(DONE),
            "{speaks:?}: {ended:#?}"
        );
        assert_edited(&engine.house, &engine.asked());
        engine.stop().await;
    }
}

const COMMAND: &str = "printf 'one \"größer\"\\n' > notes.txt";
const PATCH: &str = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-one \"größer\"\n+two \"größer\" \\\n*** End Patch";

/// Over HTTP and over a WebSocket, as an argument for Codex.
const BOTH_TRANSPORTS: [&str; 2] = [
    "-cmodel_providers.polywire.supports_websockets=false",
    "-cmodel_providers.polywire.supports_websockets=true",
];

/// A model that writes the notes by a command, patches them, and says so.
fn patcher() -> ScriptedUpstream {
    ScriptedUpstream::start(|_, request| {
        let asked = request.json();
        let stream = ResponsesStream::new("resp_1").reasoning("rs_1", "Let me see.", "gAAAA+==");
        match results(&asked).len() {
            0 => stream.call(
                "fc_1",
                "call_a",
                &offered(&asked, "exec_command"),
                &json!({"cmd": COMMAND}),
            ),
            1 => {
                let stream = stream.text("msg_1", "Now the edit.");
                let name = offered(&asked, "apply_patch");
                stream.call("fc_2", "call_b", &name, &json!({"input": PATCH}))
            }
            _ => stream.text("msg_2", DONE),
        }
        .completed(TOKENS)
    })
}

/// The whole name of the tool that ends in `suffix`.
fn offered(asked: &Value, suffix: &str) -> String {
    let tools = asked["tools"].as_array().into_iter().flatten();
    let mut names = tools.filter_map(|tool| tool["name"].as_str());
    names
        .find(|name| name.ends_with(suffix))
        .unwrap_or_else(|| panic!("no tool `{suffix}`: {}", asked["tools"]))
        .to_owned()
}

#[tokio::test]
async fn codex_runs_a_command_and_applies_a_patch() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for over in BOTH_TRANSPORTS {
        let Some(house) = house(APP_SERVER, patcher(), "") else {
            return;
        };
        let run = house.exec(&codex, &[over, "Make the notes."]).await;
        run.assert_clean();
        assert_eq!(run.messages(), ["Now the edit.", DONE]);
        assert_eq!(run.items("command_execution")[0]["exit_code"], 0);
        assert_eq!(run.items("file_change")[0]["status"], "completed");
        assert_eq!(run.items("reasoning").len(), 3, "{run:#?}");
        let usage = run.usage();
        assert_eq!(usage["input_tokens"], 75, "{usage}");
        assert_eq!(usage["cached_input_tokens"], 30, "{usage}");
        assert_eq!(usage["output_tokens"], 21, "{usage}");
        assert_eq!(usage["reasoning_output_tokens"], 9, "{usage}");
        let asked: Vec<Value> = house
            .upstream
            .received()
            .iter()
            .map(Received::json)
            .collect();
        assert_edited(&house, &asked);
        // Codex reserves these names for tools of its own, also where it is not the client.
        for name in ["tool_exec_command", "tool_apply_patch"] {
            assert!(offered(&asked[0], name) == name);
        }
        assert_eq!(processes_of(&state_of(&house)), Vec::<String>::new());
    }
}
