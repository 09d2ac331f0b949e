//! `polywire demo`: one real turn through the gateway, on a provider that needs no key.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use polywire_credentials::Secret;
use polywire_settings::Overrides;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::logging::{self, say};
use crate::{configuration, demo_client, serve};

#[derive(Args)]
pub(crate) struct DemoArguments {
    /// Exit after the turn: 0 when everything came as it should, else 1
    #[arg(long)]
    once: bool,
    /// Where to listen [default: 127.0.0.1:4891, or any free port when that one is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

/// The model that the demo asks for.
const MODEL: &str = "demo/demo";

pub(crate) async fn demo(
    arguments: DemoArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let chosen = arguments.listen.is_some();
    let overrides = Overrides {
        listen: arguments.listen,
        ..overrides
    };
    let (settings, source) = configuration::load_watched(&overrides)?;
    logging::log_to_stderr(&settings, "warn")?;
    configuration::tell_warnings(&settings);
    let listener = match serve::listen(settings.server.listen) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && !chosen => {
            serve::listen((Ipv4Addr::LOCALHOST, 0).into())?
        }
        listener => {
            listener.with_context(|| format!("cannot listen on {}", settings.server.listen))?
        }
    };
    let address = listener.local_addr()?;
    let token = configuration::token(&settings)?;
    let stop = CancellationToken::new();
    let service = configuration::service(address, &settings, source, token.clone())?;
    let serving = polywire_server::serve(listener, Arc::clone(&service.app), stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => anyhow::bail!("the gateway stopped by itself"),
        played = play(address, token.as_ref()) => played?,
    }
    if arguments.once {
        service.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    tell_how_to_connect(address, token.is_some());
    tokio::select! {
        () = serving => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    service.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Plays a turn: a question, a tool call, its result, an answer.
async fn play(gateway: SocketAddr, token: Option<&Secret>) -> anyhow::Result<()> {
    say(format_args!(
        "One turn through the gateway on http://{gateway}/v1, with the built-in demo model.\n"
    ));
    let question = json!({"type": "message", "role": "user", "content": "What is in this folder?"});
    say("you: What is in this folder?\n");
    let first = ask(gateway, token, vec![question.clone()]).await?;
    let call = first
        .items
        .iter()
        .find(|item| item["type"] == "function_call")
        .context("the demo model called no tool")?
        .clone();
    let result = list_files()?;
    say(format_args!(
        "tool: {} → {result}\n",
        call["name"].as_str().unwrap_or_default()
    ));
    let mut input = vec![question];
    input.extend(first.items);
    input.push(
        json!({"type": "function_call_output", "call_id": call["call_id"], "output": result}),
    );
    let second = ask(gateway, token, input).await?;
    let answered = second.items.iter().any(|item| item["type"] == "message");
    ensure!(answered, "the demo model gave no answer");
    Ok(())
}

/// What came of one request.
struct Answered {
    items: Vec<Value>,
}

async fn ask(
    gateway: SocketAddr,
    token: Option<&Secret>,
    input: Vec<Value>,
) -> anyhow::Result<Answered> {
    let request = json!({
        "model": MODEL,
        "stream": true,
        "input": input,
        "reasoning": {"summary": "auto"},
        "tools": [{
            "type": "function",
            "name": "list_files",
            "description": "Lists the files of the current folder.",
            "parameters": {"type": "object", "properties": {}, "additionalProperties": false},
            "strict": false
        }],
    });
    let mut items = Vec::new();
    let mut last = Value::Null;
    demo_client::stream(gateway, token, &request, |event| {
        show(event);
        match event["type"].as_str() {
            Some("response.output_item.done") => items.push(event["item"].clone()),
            Some("response.completed" | "response.failed" | "response.incomplete") => {
                last = event.clone();
            }
            _ => {}
        }
    })
    .await?;
    ensure!(
        last["type"] == "response.completed",
        "the turn did not complete: {}",
        last["response"]["error"]["message"]
            .as_str()
            .unwrap_or("the stream broke off")
    );
    let usage = &last["response"]["usage"];
    ensure!(
        usage["total_tokens"].is_u64(),
        "the turn came without usage"
    );
    say(format_args!(
        "usage: {} in, {} out\n",
        usage["input_tokens"], usage["output_tokens"]
    ));
    Ok(Answered { items })
}

/// Shows the events of a stream as they come.
fn show(event: &Value) {
    let delta = event["delta"].as_str().unwrap_or_default();
    match event["type"].as_str().unwrap_or_default() {
        "response.output_item.added" => match event["item"]["type"].as_str().unwrap_or_default() {
            "reasoning" => logging::say_part("thinks: "),
            "message" => logging::say_part("model: "),
            "function_call" => logging::say_part(&format!(
                "calls: {} ",
                event["item"]["name"].as_str().unwrap_or_default()
            )),
            _ => {}
        },
        "response.output_item.done" => say(""),
        "response.reasoning_summary_text.delta"
        | "response.output_text.delta"
        | "response.function_call_arguments.delta" => logging::say_part(delta),
        _ => {}
    }
}

/// The names in the current folder: what the demo's one tool answers.
fn list_files() -> anyhow::Result<String> {
    const SHOWN_MAX: usize = 12;
    let mut names: Vec<String> = std::fs::read_dir(".")?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    let list = names.join(", ");
    Ok(match (names.is_empty(), more) {
        (true, _) => "(nothing)".to_owned(),
        (false, 0) => list,
        (false, more) => format!("{list} and {more} more"),
    })
}

fn tell_how_to_connect(address: SocketAddr, with_token: bool) {
    let program = std::env::current_exe()
        .ok()
        .map_or_else(|| "polywire".to_owned(), |path| path.display().to_string());
    let header = if with_token {
        format!(" \\\n    -H \"Authorization: Bearer $({program} token)\"")
    } else {
        String::new()
    };
    say(format_args!(
        "The gateway goes on serving on http://{address}/v1 until you press Ctrl-C. In another terminal:\n\n\
         Codex on the demo model, with none of its files changed:\n\
         \x20 {program} run codex -p demo\n\n\
         Codex on a provider of yours (`export ZAI_API_KEY=…` first, or see the README):\n\
         \x20 {program} run codex -p zai -m glm-5.1\n\n\
         curl:\n\
         \x20 curl -N http://{address}/v1/responses{header} \\\n\
         \x20   -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"model\": \"{MODEL}\", \"stream\": true, \"input\": \"Hello\"}}'"
    ));
}
