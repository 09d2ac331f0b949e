//! What the scripted model says, in the Responses protocol.

use super::super::body::Call;
use super::super::tick;
use super::super::upstream::Script;
use super::super::wire::chunk;
use serde_json::{Value, json};
use std::time::Duration;

/// A short text, its first piece with the tick that is looked for.
pub(super) fn says() -> Script {
    let first = format!("{} Hello", tick::mark(0, Duration::ZERO));
    let text = format!("{first} there.");
    let item = |content: Value, status: &str| json!({"type": "message", "id": "msg_load", "role": "assistant", "status": status, "content": content});
    let delta = |text: &str| {
        event(&json!({
            "type": "response.output_text.delta", "item_id": "msg_load", "output_index": 0, "content_index": 0,
            "delta": text,
        }))
    };
    let part = json!({"type": "output_text", "text": text, "annotations": []});
    let opening = [created(), added(&item(json!([]), "in_progress"))].concat();
    let done = item(json!([part]), "completed");
    Script::prepared(
        &opening,
        vec![delta(&first), delta(" there.")],
        ends_with(&done),
    )
}

/// One call of a tool.
pub(super) fn calls(call: &Call) -> Script {
    let item = |arguments: &str, status: &str| {
        json!({
            "type": "function_call", "id": "fc_load", "call_id": call.id, "name": call.name, "arguments": arguments,
            "status": status,
        })
    };
    let opening = [created(), added(&item("", "in_progress"))].concat();
    let done = item(&call.arguments, "completed");
    Script::prepared(&opening, Vec::new(), ends_with(&done))
}

fn created() -> Vec<u8> {
    event(&json!({"type": "response.created", "response": {"id": "resp_load"}}))
}

fn added(item: &Value) -> Vec<u8> {
    event(&json!({"type": "response.output_item.added", "output_index": 0, "item": item}))
}

fn ends_with(item: &Value) -> Vec<Vec<u8>> {
    let usage = json!({
        "input_tokens": 1200, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1204,
    });
    vec![
        event(&json!({"type": "response.output_item.done", "output_index": 0, "item": item})),
        event(
            &json!({"type": "response.completed", "response": {"id": "resp_load", "usage": usage}}),
        ),
        b"0\r\n\r\n".to_vec(),
    ]
}

fn event(data: &Value) -> Vec<u8> {
    let tag = data["type"].as_str().unwrap_or_default();
    chunk(format!("event: {tag}\ndata: {data}\n\n").as_bytes())
}
