//! What a client makes of an answer: one small reader per dialect, written from the protocols and not from our writers.

pub(crate) mod chat;
pub(crate) mod messages;
pub(crate) mod responses;

use polywire_gateway::ClientDialect;
use serde_json::{Value, json};

pub(crate) const DIALECTS: [ClientDialect; 3] = [
    ClientDialect::Responses,
    ClientDialect::Chat,
    ClientDialect::Messages,
];

/// What a client has when an answer is over, in words that all dialects share.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) refusal: String,
    /// The calls that a client would carry out.
    pub(crate) calls: Vec<Called>,
    /// Calls that began and that no client may carry out.
    pub(crate) calls_cut: Vec<String>,
    /// Searches that were carried out for the model.
    pub(crate) searches: usize,
    /// Why it ended: `stop`, `tool_calls`, `length`, `content_filter`, `pause`; nothing when no end was seen.
    pub(crate) finish: Option<&'static str>,
    pub(crate) usage: Option<Counts>,
    pub(crate) error: Option<Told>,
    /// Reasoning state for the next turn.
    pub(crate) sealed: Vec<String>,
    /// The turn as the client puts it into its next request.
    pub(crate) items: Vec<Value>,
}

/// A call that is whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Input,
}

/// What a tool is called with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Json(Value),
    /// Free text, or arguments that are no JSON.
    Text(String),
}

impl Default for Input {
    fn default() -> Self {
        Self::Json(json!({}))
    }
}

impl Input {
    /// Arguments as a client reads them.
    pub(crate) fn arguments(text: &str) -> Self {
        serde_json::from_str(text).map_or_else(|_| Self::Text(text.to_owned()), Self::Json)
    }
}

/// Token counts, input with all that caches gave and took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// A failure as the client is told of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// The word that says what kind it is.
    pub(crate) kind: String,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
}

/// The JSON of each event of a stream, with its event name. `[DONE]` is the string of that name.
pub(crate) fn frames(bytes: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(bytes).unwrap();
    let blocks = text.split("\n\n").filter(|block| !block.is_empty());
    blocks
        .filter_map(|block| {
            let mut event = String::new();
            let mut data = None;
            for line in block.lines() {
                if let Some(name) = line.strip_prefix("event: ") {
                    name.clone_into(&mut event);
                } else if let Some(json) = line.strip_prefix("data: ") {
                    assert!(data.is_none(), "two lines of data in {block}");
                    data = Some(json);
                } else {
                    assert!(line.starts_with(':'), "a line of no meaning: {line}");
                }
            }
            let data = data?;
            let value = match data {
                "[DONE]" => json!("[DONE]"),
                _ => serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")),
            };
            Some((event, value))
        })
        .collect()
}

/// Reads a stream in this dialect. One that is `native` may have the faults that its provider gave it.
pub(crate) fn streamed(dialect: ClientDialect, bytes: &[u8], native: bool) -> Reading {
    let frames = frames(bytes);
    match dialect {
        ClientDialect::Responses => responses::streamed(&frames, native),
        ClientDialect::Chat => chat::streamed(&frames),
        ClientDialect::Messages => messages::streamed(&frames, native),
    }
}

/// Reads an answer of one piece in this dialect.
pub(crate) fn whole(dialect: ClientDialect, body: &[u8]) -> Reading {
    let body = serde_json::from_slice(body).unwrap();
    match dialect {
        ClientDialect::Responses => responses::whole(&body),
        ClientDialect::Chat => chat::whole(&body),
        ClientDialect::Messages => messages::whole(&body),
    }
}

/// Reads an error body in this dialect.
pub(crate) fn error(dialect: ClientDialect, body: &[u8]) -> Told {
    let body: Value = serde_json::from_slice(body).unwrap();
    match dialect {
        ClientDialect::Responses | ClientDialect::Chat => chat::error(&body["error"]),
        ClientDialect::Messages => messages::error(&body),
    }
}

pub(crate) fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// The elements of an array, or none.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
