//! A client that keeps a thread in its own dialect.

use polywire_gateway::ClientDialect;
use serde_json::{Value, json};

use super::Places;
use crate::support::clients::{self, Reading};
use crate::support::{asked, stream_bytes};
use polywire_gateway::turn::Answer;

/// What was said, as the client's dialect has it.
pub(crate) struct Thread {
    dialect: ClientDialect,
    stream: bool,
    said: Vec<Value>,
}

impl Thread {
    pub(crate) fn new(dialect: ClientDialect, stream: bool) -> Self {
        Self {
            dialect,
            stream,
            said: Vec::new(),
        }
    }

    pub(crate) fn user(&mut self, text: &str) {
        self.said.push(json!({"role": "user", "content": text}));
    }

    fn body(&self, model: &str) -> Value {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let mut body = match self.dialect {
            ClientDialect::Responses => json!({
                "input": self.said, "store": false, "include": ["reasoning.encrypted_content"],
                "reasoning": {"effort": "high", "summary": "auto"}, "instructions": "Be brief.",
                "tools": [{"type": "function", "name": "look", "parameters": schema}],
            }),
            ClientDialect::Chat => json!({
                "messages": self.said, "reasoning": {"effort": "high"},
                "tools": [{"type": "function", "function": {"name": "look", "parameters": schema}}],
            }),
            ClientDialect::Messages => json!({
                "messages": self.said, "max_tokens": 16000, "system": "Be brief.",
                "thinking": {"type": "enabled", "budget_tokens": 4000},
                "tools": [{"name": "look", "input_schema": schema}],
            }),
        };
        body["model"] = json!(model);
        body["stream"] = json!(self.stream);
        body
    }

    /// Does something to every envelope that the client holds. Gives how many there were.
    pub(crate) fn tamper(&mut self, with: fn(&str) -> String) -> usize {
        self.said.iter_mut().map(|said| tamper(said, with)).sum()
    }

    /// Asks, keeps the answer, and carries out the calls in it. Gives how many there were.
    pub(crate) async fn ask(&mut self, places: &Places, place: &str, calls: bool) -> usize {
        places.world().calls = calls;
        let body = self.body(places.model(place));
        let reading = match asked(&places.gateway, self.dialect, &body).await {
            Answer::Stream { body, .. } => {
                clients::streamed(self.dialect, &stream_bytes(body).await, true)
            }
            Answer::Whole { body, .. } => clients::whole(self.dialect, &body),
            Answer::Failed { fault, .. } => {
                let complaints = places.world().complaints.join("\n");
                panic!("{:?} at {place}: {fault}\n{complaints}", self.dialect)
            }
            Answer::FailedStream { .. } => panic!("only Codex is told so"),
        };
        assert_eq!(reading.error, None, "{place}");
        let says = format!("{place} says");
        assert!(reading.text.starts_with(&says), "{place}: {reading:#?}");
        self.keep(&reading);
        reading.calls.len()
    }

    fn keep(&mut self, reading: &Reading) {
        let mut items = reading.items.clone();
        for item in &mut items {
            if item["refusal"] == "" {
                item["refusal"] = Value::Null;
            }
        }
        self.said.extend(items);
        let found = |name: &str| format!("{name} found something");
        let results = reading.calls.iter().map(|call| match self.dialect {
            ClientDialect::Responses => {
                json!({"type": "function_call_output", "call_id": call.id, "output": found(&call.name)})
            }
            ClientDialect::Chat => {
                json!({"role": "tool", "tool_call_id": call.id, "content": found(&call.name)})
            }
            ClientDialect::Messages => {
                json!({"type": "tool_result", "tool_use_id": call.id, "content": found(&call.name)})
            }
        });
        let results: Vec<Value> = results.collect();
        match self.dialect {
            ClientDialect::Messages if results.is_empty() => {}
            ClientDialect::Messages => {
                self.said.push(json!({"role": "user", "content": results}));
            }
            ClientDialect::Responses | ClientDialect::Chat => self.said.extend(results),
        }
    }
}

fn tamper(value: &mut Value, with: fn(&str) -> String) -> usize {
    match value {
        Value::String(text) if text.starts_with("pw1.") => {
            *text = with(text);
            1
        }
        Value::Array(elements) => elements.iter_mut().map(|value| tamper(value, with)).sum(),
        Value::Object(members) => members.values_mut().map(|value| tamper(value, with)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
