//! Answers in the Chat Completions dialect.

use serde_json::{Value, json};

use crate::reply::{Gate, Reply, Step};

/// The token counts that an answer reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens {
    /// All input tokens, cached ones included.
    pub prompt: u64,
    /// Input tokens that came from the provider's cache.
    pub cached: u64,
    /// All output tokens, reasoning included.
    pub completion: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
}

/// A stream of `chat.completion.chunk` events, built in the order it is sent.
#[derive(Clone, Debug, Default)]
pub struct ChatStream {
    steps: Vec<Step>,
    calls: usize,
}

impl ChatStream {
    /// A stream that begins with the role, as most providers do.
    pub fn new() -> Self {
        Self::default().delta(&json!({"role": "assistant", "content": ""}))
    }

    /// A piece of the answer's text.
    #[must_use]
    pub fn text(self, piece: &str) -> Self {
        self.delta(&json!({"content": piece}))
    }

    /// A piece of reasoning, in the field that most providers use.
    #[must_use]
    pub fn reasoning(self, piece: &str) -> Self {
        self.delta(&json!({"reasoning_content": piece}))
    }

    /// A tool call: its name first, then its arguments in two pieces.
    #[must_use]
    pub fn call(self, id: &str, name: &str, arguments: &Value) -> Self {
        let arguments = arguments.to_string();
        let middle = (arguments.len() / 2..=arguments.len())
            .find(|at| arguments.is_char_boundary(*at))
            .unwrap_or(arguments.len());
        let (first, second) = arguments.split_at(middle);
        self.call_pieces(id, name, &[first, second])
    }

    /// A tool call with its arguments in these pieces, whole or not.
    #[must_use]
    pub fn call_pieces(mut self, id: &str, name: &str, pieces: &[&str]) -> Self {
        let index = self.calls;
        self.calls += 1;
        let head = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        let mut stream = self.delta(&json!({"tool_calls": [head]}));
        for piece in pieces {
            let piece = json!({"index": index, "function": {"arguments": piece}});
            stream = stream.delta(&json!({"tool_calls": [piece]}));
        }
        stream
    }

    /// The finish reason: `stop`, `tool_calls`, `length`, …
    #[must_use]
    pub fn finish(self, reason: &str) -> Self {
        self.chunk(
            &json!([{"index": 0, "delta": {}, "finish_reason": reason}]),
            &Value::Null,
        )
    }

    /// The token counts, in a chunk of their own without choices.
    #[must_use]
    pub fn usage(self, tokens: Tokens) -> Self {
        let usage = json!({
            "prompt_tokens": tokens.prompt,
            "completion_tokens": tokens.completion,
            "total_tokens": tokens.prompt + tokens.completion,
            "prompt_tokens_details": {"cached_tokens": tokens.cached},
            "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
        });
        self.chunk(&json!([]), &usage)
    }

    /// An error as an event, after the stream has begun with status 200.
    #[must_use]
    pub fn error(self, code: &str, message: &str) -> Self {
        self.event(&json!({"error": {"message": message, "type": code, "code": code}}))
    }

    /// Any JSON as an event.
    #[must_use]
    pub fn event(self, value: &Value) -> Self {
        self.bytes(format!("data: {value}\n\n"))
    }

    /// Any bytes, in one write.
    #[must_use]
    pub fn bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Bytes(bytes.into()))
    }

    /// A wait until the test opens the gate.
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Any step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The whole answer, closed by the dialect's end mark.
    pub fn done(self) -> Reply {
        self.bytes("data: [DONE]\n\n").open_ended()
    }

    /// The whole answer without an end mark.
    pub fn open_ended(self) -> Reply {
        Reply::stream(self.steps)
    }

    /// The answer up to here, then silence until the client leaves.
    pub fn stall(self) -> Reply {
        self.step(Step::Stall).open_ended()
    }

    /// The answer up to here, then a reset of the connection.
    pub fn reset(self) -> Reply {
        self.step(Step::Reset).open_ended()
    }

    /// The answer up to here, then the end of the connection in the middle of the body.
    pub fn cut(self) -> Reply {
        self.step(Step::Close).open_ended()
    }

    fn delta(self, delta: &Value) -> Self {
        self.chunk(
            &json!([{"index": 0, "delta": delta, "finish_reason": null}]),
            &Value::Null,
        )
    }

    fn chunk(self, choices: &Value, usage: &Value) -> Self {
        self.event(&json!({
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "scripted",
            "choices": choices,
            "usage": usage,
        }))
    }
}

/// An answer of one text with plausible token counts.
pub fn answer(text: &str) -> Reply {
    ChatStream::new()
        .text(text)
        .finish("stop")
        .usage(Tokens {
            prompt: 100,
            cached: 20,
            completion: 10,
            reasoning: 0,
        })
        .done()
}
