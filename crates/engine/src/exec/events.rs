//! What `codex exec --json` tells, as frames of the Responses protocol.

use polywire_conversation::Fault;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::acts::changes_something;
use crate::fault::TurnError;
use crate::frames::{Frames, Usage};

/// Writes one answer from the lines of a process. Source: `codex exec --json` of Codex 0.169.
#[derive(Debug)]
pub(super) struct Events {
    frames: Frames,
    id: String,
    /// Texts that came last. They wait until something else comes: Codex repeats them when its provider breaks off.
    held: Vec<Value>,
    /// A message was handed out, or the agent has done something.
    has_answered: bool,
    ended: Option<Ended>,
    /// Codex may write in the working directory.
    agent: bool,
    last_error: Option<String>,
}

/// How the process said that its turn ended.
#[derive(Debug)]
pub(super) enum Ended {
    Completed(Usage),
    Failed(TurnError),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(rename = "type")]
    tag: String,
    item: Item,
    message: String,
    error: Option<Value>,
    usage: Usage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    id: String,
    #[serde(rename = "type")]
    tag: String,
    text: String,
    message: String,
}

impl Events {
    pub(super) fn new(frames: Frames, id: String, model: &str, agent: bool) -> Self {
        frames.created(&id, model);
        Self {
            frames,
            id,
            held: Vec::new(),
            has_answered: false,
            ended: None,
            agent,
            last_error: None,
        }
    }

    /// Reads a line.
    pub(super) fn line(&mut self, line: &str) {
        // Codex's own log lines may stand between the events.
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            return;
        };
        if matches!(line.tag.as_str(), "item.started" | "item.completed")
            && changes_something(&line.item.tag, self.agent)
        {
            self.has_answered = true;
            self.frames.out().acted();
        }
        match line.tag.as_str() {
            "item.completed" => self.item(&line.item),
            "item.started" => self.let_go(),
            "error" => self.error(line.message),
            "turn.completed" => self.ended = Some(Ended::Completed(line.usage)),
            "turn.failed" => {
                let message = line
                    .error
                    .as_ref()
                    .and_then(|error| error["message"].as_str());
                self.ended = Some(Ended::Failed(error_of(message.unwrap_or_default())));
            }
            _ => {}
        }
    }

    fn item(&mut self, item: &Item) {
        match item.tag.as_str() {
            "agent_message" => self.held.push(json!({
                "type": "message",
                "id": item.id,
                "role": "assistant",
                "content": [{ "type": "output_text", "text": item.text }],
            })),
            "reasoning" => self.held.push(json!({
                "type": "reasoning",
                "id": item.id,
                "summary": [{ "type": "summary_text", "text": item.text }],
            })),
            // A warning.
            "error" => tracing::debug!("codex exec warns: {}", item.message),
            _ => self.let_go(),
        }
    }

    fn error(&mut self, message: String) {
        if message.starts_with("Reconnecting") {
            tracing::debug!("codex exec tries again: {message}");
            self.held.clear();
        }
        self.last_error = Some(message);
    }

    /// Hands out what was held.
    fn let_go(&mut self) {
        for item in std::mem::take(&mut self.held) {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            self.has_answered |= item["type"] == "message";
            self.frames.done(&id, &item);
        }
    }

    /// The process has ended. `how` says how, for a process that did not say how its turn ended.
    pub(super) fn finish(mut self, how: impl FnOnce(Option<&str>) -> Fault) {
        match self.ended.take() {
            Some(Ended::Completed(usage)) => {
                self.let_go();
                // Codex passes no refusal on: an answer of nothing at all is taken for one.
                if self.has_answered {
                    self.frames.completed(&self.id, usage);
                } else {
                    self.frames.out().fault(TurnError::withheld().fault());
                }
            }
            Some(Ended::Failed(error)) => match error.incomplete() {
                Some(reason) => {
                    self.let_go();
                    self.frames.incomplete(&self.id, Usage::default(), reason);
                }
                None => self.frames.out().fault(error.fault()),
            },
            None => {
                let fault = how(self.last_error.as_deref());
                self.frames.out().lost(fault, self.agent);
            }
        }
    }
}

/// The error behind a message. `codex exec` tells no codes, so the status of the provider is read from the words.
fn error_of(message: &str) -> TurnError {
    let status = ["last status: ", "unexpected status "]
        .iter()
        .filter_map(|words| message.split_once(words))
        .find_map(|(_, rest)| rest.get(..3)?.parse::<u64>().ok());
    let info = if let Some(status) = status {
        json!({ "responseTooManyFailedAttempts": { "httpStatusCode": status } })
    } else if message.contains("usage limit") {
        json!("usageLimitExceeded")
    } else if message.contains("context window") {
        json!("contextWindowExceeded")
    } else if message.starts_with("Connection failed") {
        json!("httpConnectionFailed")
    } else if message.starts_with("stream disconnected") {
        json!("responseStreamDisconnected")
    } else {
        json!("other")
    };
    TurnError {
        message: message.to_owned(),
        codex_error_info: info,
        additional_details: None,
    }
}

#[cfg(test)]
mod tests {
    use polywire_conversation::FaultClass;

    use super::*;
    use crate::answer::{EngineEvent, channel};
    use crate::fault::worker_died;

    /// The items' texts, then how the answer ended.
    async fn read(lines: &[&str]) -> Vec<String> {
        let (out, mut answer) = channel();
        let mut events = Events::new(Frames::new(out), "r".to_owned(), "m", false);
        for line in lines {
            events.line(line);
        }
        events.finish(|error| worker_died(error.unwrap_or("silently")));
        let mut told = Vec::new();
        while let Some(event) = answer.next().await {
            match event {
                EngineEvent::Frame(frame) => {
                    let frame: Value = serde_json::from_str(&frame).unwrap();
                    let item = &frame["item"];
                    let text = item["content"][0]["text"].as_str();
                    let text = text.or_else(|| item["summary"][0]["text"].as_str());
                    let usage = frame["response"]["usage"]["input_tokens"].as_u64();
                    told.push(match (text, usage) {
                        (Some(text), _) => text.to_owned(),
                        (None, Some(usage)) => {
                            format!("{} {usage}", frame["type"].as_str().unwrap())
                        }
                        (None, None) => frame["type"].as_str().unwrap().to_owned(),
                    });
                }
                EngineEvent::Fault(fault) => {
                    told.push(format!("{}: {}", fault.class.name(), fault.message));
                }
                EngineEvent::Step(..) | EngineEvent::Acted => {}
            }
        }
        told
    }

    fn message(text: &str) -> String {
        json!({ "type": "item.completed", "item": { "id": text, "type": "agent_message", "text": text } }).to_string()
    }

    const DONE: &str =
        r#"{"type":"turn.completed","usage":{"input_tokens":100,"output_tokens":10}}"#;

    #[tokio::test]
    async fn messages_thoughts_and_usage_come_through() {
        let thought =
            r#"{"type":"item.completed","item":{"id":"t","type":"reasoning","text":"hm"}}"#;
        let command = r#"{"type":"item.started","item":{"id":"c","type":"command_execution","command":"ls"}}"#;
        let lines = [
            thought,
            &message("one"),
            command,
            "not JSON",
            &message("two"),
            DONE,
        ];
        assert_eq!(
            read(&lines).await,
            [
                "response.created",
                "hm",
                "one",
                "two",
                "response.completed 100"
            ]
        );
    }

    #[tokio::test]
    async fn what_codex_says_again_is_said_once() {
        let again = r#"{"type":"error","message":"Reconnecting... 1/2 (stream disconnected)"}"#;
        let lines = [&*message("first half"), again, &message("whole"), DONE];
        assert_eq!(
            read(&lines).await,
            ["response.created", "whole", "response.completed 100"]
        );
    }

    #[tokio::test]
    async fn failures_are_faults() {
        let check = async |message: &str, class: FaultClass| {
            let failed =
                json!({ "type": "turn.failed", "error": { "message": message } }).to_string();
            let told = read(&[&failed]).await;
            assert!(told[1].starts_with(class.name()), "{told:?}");
        };
        check(
            "exceeded retry limit, last status: 429 Too Many Requests",
            FaultClass::RateLimit,
        )
        .await;
        check(
            "unexpected status 404 Not Found: no such model",
            FaultClass::NotFound,
        )
        .await;
        check("You've hit your usage limit.", FaultClass::Quota).await;
        check(
            r#"{"error":{"message":"bad request body"}}"#,
            FaultClass::InvalidRequest,
        )
        .await;
        check(
            "Connection failed: error sending request",
            FaultClass::NetworkCut,
        )
        .await;
        check("something else", FaultClass::Server).await;
        let told = read(&[r#"{"type":"turn.failed","error":{"message":"Incomplete response returned, reason: max_output_tokens"}}"#]).await;
        assert_eq!(told[1], "response.incomplete");
        let told = read(&[DONE]).await;
        assert!(
            told[1].starts_with("content_filter"),
            "no answer is no success: {told:?}"
        );
        let told = read(&[&message("half")]).await;
        assert_eq!(
            told.len(),
            2,
            "a text without an end is no answer: {told:?}"
        );
        assert!(told[1].starts_with("network_cut"), "{told:?}");
    }
}
