//! Answers in the Anthropic Messages dialect.

use serde_json::{Value, json};

use crate::chat::Tokens;
use crate::reply::{Reply, Step};

/// A stream of Messages events, built in the order it is sent. Each block is whole before the next begins.
#[derive(Clone, Debug)]
pub struct MessagesStream {
    steps: Vec<Step>,
    blocks: usize,
}

impl MessagesStream {
    /// A stream that begins with `message_start`, which tells the input tokens.
    pub fn new(tokens: Tokens) -> Self {
        let start = json!({"type": "message_start", "message": {
            "id": "msg_scripted", "type": "message", "role": "assistant", "model": "scripted", "content": [],
            "stop_reason": null, "stop_sequence": null,
            "usage": {
                "input_tokens": tokens.prompt.saturating_sub(tokens.cached),
                "cache_read_input_tokens": tokens.cached,
                "cache_creation_input_tokens": 0,
                "output_tokens": 1,
            },
        }});
        let empty = Self {
            steps: Vec::new(),
            blocks: 0,
        };
        empty.event(&start).event(&json!({"type": "ping"}))
    }

    /// A thinking block with its signature.
    #[must_use]
    pub fn thinking(self, text: &str, signature: &str) -> Self {
        self.block(
            &json!({"type": "thinking", "thinking": "", "signature": ""}),
            &[
                json!({"type": "thinking_delta", "thinking": text}),
                json!({"type": "signature_delta", "signature": signature}),
            ],
        )
    }

    /// Thinking that only the provider can read.
    #[must_use]
    pub fn redacted(self, data: &str) -> Self {
        self.block(&json!({"type": "redacted_thinking", "data": data}), &[])
    }

    /// A text block.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.block(
            &json!({"type": "text", "text": ""}),
            &[json!({"type": "text_delta", "text": text})],
        )
    }

    /// A tool call, its input in one piece.
    #[must_use]
    pub fn call(self, id: &str, name: &str, input: &Value) -> Self {
        self.block(
            &json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
            &[
                json!({"type": "input_json_delta", "partial_json": ""}),
                json!({"type": "input_json_delta", "partial_json": input.to_string()}),
            ],
        )
    }

    /// The end: why, and how many output tokens there were.
    pub fn stop(self, reason: &str, tokens: Tokens) -> Reply {
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": tokens.completion},
        });
        let ended = self.event(&delta).event(&json!({"type": "message_stop"}));
        Reply::stream(ended.steps)
    }

    fn block(mut self, start: &Value, deltas: &[Value]) -> Self {
        let index = self.blocks;
        self.blocks += 1;
        let start = json!({"type": "content_block_start", "index": index, "content_block": start});
        let mut stream = self.event(&start);
        for delta in deltas {
            let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
            stream = stream.event(&delta);
        }
        stream.event(&json!({"type": "content_block_stop", "index": index}))
    }

    /// Any JSON as an event.
    #[must_use]
    pub fn event(mut self, event: &Value) -> Self {
        let name = event["type"].as_str().unwrap_or_default();
        let bytes = format!("event: {name}\ndata: {event}\n\n").into_bytes();
        self.steps.push(Step::Bytes(bytes));
        self
    }
}
