//! The drivers of the real Codex CLI, against a provider that speaks Codex's own dialect: what fails here is not the
//! gateway's fault.

use polywire_testkit::{
    CodexCli, CodexRun, Reply, Running, ScriptedUpstream, Step, TempHome, Terminal, Tree,
};
use serde_json::{Value, json};
use tokio::process::Command;

/// A stream of Responses events: one item, then the end with these input tokens.
fn response(item: &Value, input_tokens: u64) -> Reply {
    let usage = json!({
        "input_tokens": input_tokens, "output_tokens": 5, "total_tokens": input_tokens + 5
    });
    let events = [
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"id": "resp_1", "usage": usage}}),
    ];
    Reply::stream(
        events
            .map(|event| Step::Bytes(format!("data: {event}\n\n").into_bytes()))
            .into(),
    )
}

fn message(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn shell(command: &str) -> Value {
    let arguments = json!({"cmd": command}).to_string();
    json!({"type": "function_call", "call_id": "call_1", "name": "exec_command", "arguments": arguments})
}

fn home() -> TempHome {
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    let work = home.work();
    let config = format!(
        "check_for_update_on_startup = false\n[projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        work.display()
    );
    home.write("codex/config.toml", config);
    home
}

fn codex_on(upstream: &ScriptedUpstream, codex: &CodexCli, home: &TempHome) -> Command {
    let provider = format!(
        "model_providers.scripted={{name=\"Scripted\",base_url=\"{}\",experimental_bearer_token=\"t\"}}",
        upstream.base_url()
    );
    let mut command = codex.command(home);
    command.args(["-c", "model_provider=scripted", "-c", &provider]);
    command
}

#[tokio::test]
async fn exec_runs_a_command_and_reports() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = home();
    let before = Tree::codex_configuration(&home.codex_home());
    let upstream = ScriptedUpstream::start(|_, request| {
        if request.text().contains("function_call_output") {
            response(&message("Done."), 20)
        } else {
            response(&shell("echo hello > made.txt"), 10)
        }
    });
    let mut command = codex_on(&upstream, &codex, &home);
    command.args(["exec", "--json", "--skip-git-repo-check"]);
    command.args(["-s", "workspace-write", "make a file"]);
    let run = CodexRun::read(Running::start(command).ended().await);
    run.assert_clean();
    assert_eq!(run.messages(), ["Done."]);
    assert_eq!(run.usage()["input_tokens"], 30);
    let made = std::fs::read_to_string(home.work().join("made.txt")).unwrap();
    assert_eq!(made, "hello\n");
    assert_eq!(before.paths(), [std::path::Path::new("config.toml")]);
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));
}

#[tokio::test]
async fn the_screen_shows_the_answer_and_takes_the_next_prompt() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = home();
    let upstream = ScriptedUpstream::start(|_, request| {
        let text = request.text();
        if text.contains("json_schema") {
            response(&message(r#"{"title":"A short talk"}"#), 20)
        } else if text.contains("second prompt") {
            response(&message("Second answer."), 20)
        } else {
            response(&message("First answer."), 10)
        }
    });
    let mut command = codex_on(&upstream, &codex, &home);
    command.arg("first prompt");
    let mut terminal = Terminal::start(command);
    terminal.shows("First answer.").await;
    terminal.submit("second prompt");
    terminal.shows("Second answer.").await;
}
