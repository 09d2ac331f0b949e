//! The frames of the Responses protocol that an engine's answer is made of.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::Out;

/// Writes an answer in the protocol's frames: items one after the other, each at a place of its own.
#[derive(Debug)]
pub(crate) struct Frames {
    out: Out,
    /// The ids of the items that have begun; their place in the list is their place in the answer.
    items: Vec<String>,
}

/// What an answer consumed. `codex exec` and the app-server spell the same names differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    #[serde(rename = "input_tokens", alias = "inputTokens")]
    pub(crate) input: u64,
    #[serde(rename = "cached_input_tokens", alias = "cachedInputTokens")]
    pub(crate) cached: u64,
    #[serde(rename = "cache_write_input_tokens", alias = "cacheWriteInputTokens")]
    pub(crate) cache_write: u64,
    #[serde(rename = "output_tokens", alias = "outputTokens")]
    pub(crate) output: u64,
    #[serde(rename = "reasoning_output_tokens", alias = "reasoningOutputTokens")]
    pub(crate) reasoning: u64,
}

/// A piece of text of an item, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text,
    Summary(u64),
    Thought(u64),
}

/// A delta borrows its text: it is written once for every few words of an answer.
#[derive(Serialize)]
struct Delta<'a> {
    #[serde(rename = "type")]
    tag: &'static str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<u64>,
    item_id: &'a str,
    #[serde(rename = "delta")]
    text: &'a str,
}

impl Usage {
    pub(crate) fn add(&mut self, other: Usage) {
        self.input += other.input;
        self.cached += other.cached;
        self.cache_write += other.cache_write;
        self.output += other.output;
        self.reasoning += other.reasoning;
    }

    /// What is left of a sum when this much of it was told before.
    pub(crate) fn beyond(self, told: Usage) -> Usage {
        Usage {
            input: self.input.saturating_sub(told.input),
            cached: self.cached.saturating_sub(told.cached),
            cache_write: self.cache_write.saturating_sub(told.cache_write),
            output: self.output.saturating_sub(told.output),
            reasoning: self.reasoning.saturating_sub(told.reasoning),
        }
    }

    fn json(self) -> Value {
        json!({
            "input_tokens": self.input,
            "input_tokens_details": {
                "cached_tokens": self.cached,
                "cache_write_tokens": self.cache_write,
            },
            "output_tokens": self.output,
            "output_tokens_details": { "reasoning_tokens": self.reasoning },
            "total_tokens": self.input + self.output,
        })
    }
}

impl Frames {
    pub(crate) fn new(out: Out) -> Self {
        Self {
            out,
            items: Vec::new(),
        }
    }

    pub(crate) fn out(&self) -> &Out {
        &self.out
    }

    /// The answer begins.
    pub(crate) fn created(&self, id: &str, model: &str) {
        self.out.frame(&json!({
            "type": "response.created",
            "response": { "id": id, "object": "response", "model": model, "status": "in_progress" },
        }));
    }

    /// An item begins: `kind` is its wire type.
    pub(crate) fn added(&mut self, id: &str, kind: &str) {
        let index = self.place(id);
        let item = match kind {
            "message" => json!({ "type": kind, "id": id, "role": "assistant", "content": [] }),
            _ => json!({ "type": kind, "id": id, "summary": [] }),
        };
        self.out.frame(&json!({
            "type": "response.output_item.added",
            "output_index": index,
            "item": item,
        }));
    }

    /// A piece of an item's text.
    pub(crate) fn delta(&mut self, id: &str, piece: Piece, text: &str) {
        let output_index = self.place(id);
        let (tag, content_index, summary_index) = match piece {
            Piece::Text => ("response.output_text.delta", Some(0), None),
            Piece::Summary(index) => ("response.reasoning_summary_text.delta", None, Some(index)),
            Piece::Thought(index) => ("response.reasoning_text.delta", Some(index), None),
        };
        self.out.frame(&Delta {
            tag,
            output_index,
            content_index,
            summary_index,
            item_id: id,
            text,
        });
    }

    /// An item is complete. What of it was not handed out before stands in it.
    pub(crate) fn done(&mut self, id: &str, item: &impl Serialize) {
        #[derive(Serialize)]
        struct Done<'a, T> {
            #[serde(rename = "type")]
            tag: &'static str,
            output_index: usize,
            item: &'a T,
        }
        let output_index = self.place(id);
        self.out.frame(&Done {
            tag: "response.output_item.done",
            output_index,
            item,
        });
    }

    /// The answer is complete.
    pub(crate) fn completed(&self, id: &str, usage: Usage) {
        self.ended("completed", id, usage, None);
    }

    /// The answer ended too early, for a reason of the protocol.
    pub(crate) fn incomplete(&self, id: &str, usage: Usage, reason: &str) {
        self.ended("incomplete", id, usage, Some(reason));
    }

    fn ended(&self, status: &str, id: &str, usage: Usage, reason: Option<&str>) {
        let mut response = json!({ "id": id, "object": "response", "status": status });
        // No count at all is better than one that says nothing was consumed: what is missing is estimated.
        if usage != Usage::default() {
            response["usage"] = usage.json();
        }
        if let Some(reason) = reason {
            response["incomplete_details"] = json!({ "reason": reason });
        }
        self.out
            .frame(&json!({ "type": format!("response.{status}"), "response": response }));
    }

    /// The place of an item in the answer.
    fn place(&mut self, id: &str) -> usize {
        if let Some(index) = self.items.iter().rposition(|known| known == id) {
            return index;
        }
        self.items.push(id.to_owned());
        self.items.len() - 1
    }
}

/// An item as it is, without what Codex adds to it for itself.
pub(crate) fn without_notes(item: &RawValue) -> Option<serde_json::Map<String, Value>> {
    let mut item: serde_json::Map<String, Value> = serde_json::from_str(item.get()).ok()?;
    item.remove("internal_chat_message_metadata_passthrough");
    Some(item)
}
