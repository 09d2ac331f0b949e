//! Answers in the OpenAI Responses dialect.

use serde_json::{Value, json};

use crate::chat::Tokens;
use crate::reply::{Gate, Reply, Step};

/// A stream of Responses events, built in the order it is sent. Each item is whole before the next begins.
#[derive(Clone, Debug)]
pub struct ResponsesStream {
    id: String,
    steps: Vec<Step>,
    sequence: usize,
    output: Vec<Value>,
}

impl ResponsesStream {
    /// A stream that begins with `response.created`.
    pub fn new(id: &str) -> Self {
        let empty = Self {
            id: id.into(),
            steps: Vec::new(),
            sequence: 0,
            output: Vec::new(),
        };
        let response = empty.response("in_progress", &Value::Null);
        empty
            .event(json!({"type": "response.created", "response": response}))
            .event(json!({"type": "response.in_progress", "response": response}))
    }

    /// A reasoning item with a summary and state that only the provider can read.
    #[must_use]
    pub fn reasoning(self, id: &str, summary: &str, encrypted: &str) -> Self {
        let part = json!({"type": "summary_text", "text": summary});
        let at = json!({"item_id": id, "output_index": self.output.len(), "summary_index": 0});
        self.added(&json!({"type": "reasoning", "id": id, "summary": []}))
            .event_at("response.reasoning_summary_part.added", &at, &json!({"part": {"type": "summary_text", "text": ""}}))
            .event_at("response.reasoning_summary_text.delta", &at, &json!({"delta": summary}))
            .event_at("response.reasoning_summary_text.done", &at, &json!({"text": summary}))
            .event_at("response.reasoning_summary_part.done", &at, &json!({"part": part}))
            .done(&json!({"type": "reasoning", "id": id, "summary": [part], "encrypted_content": encrypted}))
    }

    /// A message.
    #[must_use]
    pub fn text(self, id: &str, text: &str) -> Self {
        self.text_pieces(id, &[text])
    }

    /// A message whose text comes in these pieces.
    #[must_use]
    pub fn text_pieces(self, id: &str, pieces: &[&str]) -> Self {
        let text = pieces.concat();
        let part = json!({"type": "output_text", "text": text, "annotations": []});
        let at = json!({"item_id": id, "output_index": self.output.len(), "content_index": 0});
        let begun = self
            .added(&json!({"type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": []}))
            .event_at("response.content_part.added", &at, &json!({"part": {"type": "output_text", "text": "", "annotations": []}}));
        let said = pieces.iter().fold(begun, |stream, piece| {
            stream.event_at("response.output_text.delta", &at, &json!({"delta": piece}))
        });
        said.event_at("response.output_text.done", &at, &json!({"text": text}))
            .event_at("response.content_part.done", &at, &json!({"part": part}))
            .done(&json!({"type": "message", "id": id, "status": "completed", "role": "assistant", "content": [part]}))
    }

    /// A call of a function, its arguments in one piece.
    #[must_use]
    pub fn call(self, id: &str, call_id: &str, name: &str, arguments: &Value) -> Self {
        let item = json!({"type": "function_call", "id": id, "call_id": call_id, "name": name});
        self.function(item, arguments)
    }

    /// A call of a function that stands in a namespace.
    #[must_use]
    pub fn namespaced_call(
        self,
        id: &str,
        call_id: &str,
        namespace: &str,
        name: &str,
        arguments: &Value,
    ) -> Self {
        let item = json!({"type": "function_call", "id": id, "call_id": call_id, "namespace": namespace, "name": name});
        self.function(item, arguments)
    }

    fn function(self, mut item: Value, arguments: &Value) -> Self {
        let arguments = arguments.to_string();
        let at = json!({"item_id": item["id"], "output_index": self.output.len()});
        item["status"] = "in_progress".into();
        item["arguments"] = "".into();
        let begun = self.added(&item);
        item["status"] = "completed".into();
        item["arguments"] = arguments.as_str().into();
        begun
            .event_at(
                "response.function_call_arguments.delta",
                &at,
                &json!({"delta": arguments}),
            )
            .event_at(
                "response.function_call_arguments.done",
                &at,
                &json!({"arguments": arguments}),
            )
            .done(&item)
    }

    /// A call of a tool that takes free text.
    #[must_use]
    pub fn custom_call(self, id: &str, call_id: &str, name: &str, input: &str) -> Self {
        let at = json!({"item_id": id, "output_index": self.output.len()});
        let item = |status: &str, input: &str| json!({"type": "custom_tool_call", "id": id, "call_id": call_id, "name": name, "status": status, "input": input});
        self.added(&item("in_progress", ""))
            .event_at(
                "response.custom_tool_call_input.delta",
                &at,
                &json!({"delta": input}),
            )
            .event_at(
                "response.custom_tool_call_input.done",
                &at,
                &json!({"input": input}),
            )
            .done(&item("completed", input))
    }

    /// The end of a complete answer.
    pub fn completed(self, tokens: Tokens) -> Reply {
        let response = self.response("completed", &usage(tokens));
        self.ended(json!({"type": "response.completed", "response": response}))
    }

    /// The same as some services send it: the items are in the events only.
    pub fn completed_without_output(self, tokens: Tokens) -> Reply {
        let mut response = self.response("completed", &usage(tokens));
        response["output"] = json!([]);
        self.ended(json!({"type": "response.completed", "response": response}))
    }

    /// The end of an answer that was cut for this reason.
    pub fn incomplete(self, reason: &str, tokens: Tokens) -> Reply {
        let mut response = self.response("incomplete", &usage(tokens));
        response["incomplete_details"] = json!({"reason": reason});
        self.ended(json!({"type": "response.incomplete", "response": response}))
    }

    /// The end of an answer that failed.
    pub fn failed(self, code: &str, message: &str) -> Reply {
        let mut response = self.response("failed", &Value::Null);
        response["error"] = json!({"code": code, "message": message});
        self.ended(json!({"type": "response.failed", "response": response}))
    }

    /// Any JSON as the last event.
    pub fn ended(self, event: Value) -> Reply {
        Reply::stream(self.event(event).steps)
    }

    /// Waits until the test opens the gate.
    #[must_use]
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// The beginning of a message, and no end of it.
    #[must_use]
    pub fn text_begins(self, id: &str, text: &str) -> Self {
        let at = json!({"item_id": id, "output_index": self.output.len(), "content_index": 0});
        self.added(&json!({"type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": []}))
            .event_at("response.content_part.added", &at, &json!({"part": {"type": "output_text", "text": "", "annotations": []}}))
            .event_at("response.output_text.delta", &at, &json!({"delta": text}))
    }

    /// Nothing more comes until the client leaves.
    pub fn stall(mut self) -> Reply {
        self.steps.push(Step::Stall);
        Reply::stream(self.steps)
    }

    /// The connection breaks in the middle of the answer.
    pub fn cut(mut self) -> Reply {
        self.steps.push(Step::Close);
        Reply::stream(self.steps)
    }

    fn response(&self, status: &str, usage: &Value) -> Value {
        json!({
            "id": self.id, "object": "response", "created_at": 1_700_000_000, "status": status, "model": "scripted",
            "output": self.output, "usage": usage, "error": null, "incomplete_details": null, "store": false,
        })
    }

    fn added(self, item: &Value) -> Self {
        let at = json!({"output_index": self.output.len()});
        self.event_at("response.output_item.added", &at, &json!({"item": item}))
    }

    fn done(mut self, item: &Value) -> Self {
        let at = json!({"output_index": self.output.len()});
        self.output.push(item.clone());
        self.event_at("response.output_item.done", &at, &json!({"item": item}))
    }

    fn event_at(self, kind: &str, at: &Value, members: &Value) -> Self {
        let mut event = json!({"type": kind});
        for part in [at, members] {
            for (key, value) in part.as_object().into_iter().flatten() {
                event[key] = value.clone();
            }
        }
        self.event(event)
    }

    /// Any JSON as an event; it gets its sequence number.
    #[must_use]
    pub fn event(mut self, mut event: Value) -> Self {
        event["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        let name = event["type"].as_str().unwrap_or_default();
        let bytes = format!("event: {name}\ndata: {event}\n\n").into_bytes();
        self.steps.push(Step::Bytes(bytes));
        self
    }
}

fn usage(tokens: Tokens) -> Value {
    json!({
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.completion,
    })
}
