//! What Codex 0.169 was seen to tell of turns (`fixtures/app-server`), as frames.

#![allow(
    clippy::format_push_string,
    reason = "an outline names what a test is about"
)]

use std::path::Path;

use polywire_conversation::{Event, Ledger, ReadStream as _, StreamEnd};
use polywire_dialect_responses::ResponsesReader;
use polywire_sse::Frame;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::answer::{EngineAnswer, EngineEvent, channel};

#[derive(Deserialize)]
struct Told {
    method: String,
    #[serde(default)]
    id: Option<Value>,
    params: Box<RawValue>,
}

/// The frames of a turn, one a line, with what they mean to a reader of the protocol; and how the turn ended.
async fn outline(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/app-server")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let (out, mut answer) = channel();
    let functions = HashSet::from(["weather".to_owned()]);
    let mut translator = Translator::new(Frames::new(out), "turn-1".to_owned(), functions, false);
    let mut end = "no end".to_owned();
    for line in text.lines() {
        let told: Told = serde_json::from_str(line).unwrap();
        if told.id.is_some() {
            continue;
        }
        let step = translator.notice(&told.method, &told.params);
        match step {
            Step::GoesOn => continue,
            Step::Calls(calls) => {
                translator.complete();
                end = format!("waits for {calls:?}");
            }
            Step::RefusedCalls => {
                translator.complete();
                end = "waits for calls that Codex refuses".to_owned();
            }
            Step::Completed => {
                translator.complete();
                end = "completed".to_owned();
            }
            Step::Withheld => end = "withheld".to_owned(),
            Step::Interrupted => end = "interrupted".to_owned(),
            Step::Failed(error) => {
                if let Some(reason) = error.incomplete() {
                    translator.incomplete(reason);
                }
                end = format!("failed: {}", error.message);
            }
            Step::BeginsAnew(error) => end = format!("begins anew: {}", error.message),
        }
        break;
    }
    drop(translator);
    let mut reader = ResponsesReader::new(std::sync::Arc::new(Ledger::default()), "seed");
    let mut lines = String::new();
    let mut sink = |event: Event<'_>| lines.push_str(&format!("{event:?}\n"));
    while let Some(event) = answer.next().await {
        if let EngineEvent::Frame(frame) = event {
            let frame = Frame {
                event: b"",
                data: frame.as_bytes(),
            };
            reader.push(frame, &mut sink);
        }
    }
    if !reader.is_done() {
        reader.finish(StreamEnd::Closed, &mut sink);
    }
    format!("{lines}=> {end}\n")
}

#[tokio::test]
async fn turns_as_they_were_seen() {
    for name in [
        "reasoning-and-text",
        "two-calls",
        "own-tools",
        "failed",
        "too-long",
        "begun-anew",
    ] {
        insta::assert_snapshot!(name, outline(&format!("{name}.jsonl")).await);
    }
}

fn translator(agent: bool) -> (Translator, EngineAnswer) {
    let (out, answer) = channel();
    let names = HashSet::from(["f".to_owned()]);
    let translator = Translator::new(Frames::new(out), "turn".to_owned(), names, agent);
    (translator, answer)
}

fn tell(translator: &mut Translator, method: &str, params: &Value) -> Step {
    let params = RawValue::from_string(params.to_string()).unwrap();
    translator.notice(method, &params)
}

async fn told(translator: Translator, mut answer: EngineAnswer) -> Vec<Value> {
    drop(translator);
    let mut told = Vec::new();
    while let Some(event) = answer.next().await {
        told.push(match event {
            EngineEvent::Frame(frame) => serde_json::from_str(&frame).unwrap(),
            EngineEvent::Acted => json!("acted"),
            EngineEvent::Fault(_) | EngineEvent::Step(..) => continue,
        });
    }
    told
}

#[tokio::test]
async fn a_command_of_an_agent_is_told() {
    for (agent, expected) in [(true, vec![json!("acted")]), (false, vec![])] {
        let (mut translator, answer) = translator(agent);
        let item = json!({ "item": { "type": "commandExecution", "id": "c" } });
        tell(&mut translator, "item/started", &item);
        assert_eq!(told(translator, answer).await, expected);
    }
}

#[tokio::test]
async fn what_a_thread_had_consumed_before_is_not_told_again() {
    let (translator, answer) = translator(false);
    let total = |input: u64| json!({ "tokenUsage": { "total": { "inputTokens": input, "outputTokens": 1 } } });
    let before = Usage {
        input: 100,
        output: 1,
        ..Usage::default()
    };
    let mut translator = translator.after(before);
    tell(&mut translator, "thread/tokenUsage/updated", &total(130));
    assert_eq!(translator.thread_usage().input, 130);
    translator.complete();
    let told = told(translator, answer).await;
    assert_eq!(told[0]["response"]["usage"]["input_tokens"], 30);
}
