//! A client of Messages.

use serde_json::{Value, json};

use super::{Called, Counts, Input, Reading, Told, list, number, string};

/// The signature of thinking that has none, because the SDKs insist on one.
const WITHOUT_STATE: &str = "polywire-without-state";

/// Adds events up as the SDKs do, into a message, and reads that. In a stream that is `native` the provider may have left something out.
pub(crate) fn streamed(frames: &[(String, Value)], native: bool) -> Reading {
    let mut message = Value::Null;
    let mut pieces = String::new();
    let mut open: Option<u64> = None;
    let mut broken = Vec::new();
    let (mut stopped, mut told) = (false, None);
    for (name, event) in frames {
        assert_eq!(event["type"], name.as_str(), "{event}");
        if name == "ping" {
            continue;
        }
        assert!(!stopped && told.is_none(), "after the end: {event}");
        if name == "error" {
            told = Some(error(event));
            continue;
        }
        if name == "message_start" {
            assert!(message.is_null(), "a second start");
            message = event["message"].clone();
            continue;
        }
        assert!(!message.is_null(), "before the start: {event}");
        let blocks = message["content"].as_array_mut().unwrap();
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(open, None, "two open blocks");
                assert_eq!(event["index"], blocks.len(), "{event}");
                open = event["index"].as_u64();
                pieces.clear();
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(event["index"].as_u64(), open, "{event}");
                add(blocks.last_mut().unwrap(), &event["delta"], &mut pieces);
            }
            "content_block_stop" => {
                assert_eq!(event["index"].as_u64(), open, "{event}");
                open = None;
                if !pieces.is_empty() {
                    match serde_json::from_str(&pieces) {
                        Ok(input) => blocks.last_mut().unwrap()["input"] = input,
                        Err(_) => broken.push((blocks.len() - 1, pieces.clone())),
                    }
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (key, value) in event["usage"].as_object().unwrap() {
                    if !value.is_null() {
                        message["usage"][key] = value.clone();
                    }
                }
            }
            "message_stop" => stopped = true,
            other => panic!("an event `{other}`"),
        }
    }
    if told.is_some() {
        let mut reading = read(&message);
        assert_eq!(reading.finish, None, "an answer ends twice");
        reading.calls_cut = reading.calls.drain(..).map(|call| call.name).collect();
        reading.error = told;
        return reading;
    }
    assert!(stopped, "no end: {frames:#?}");
    if open.is_some() {
        // As one provider has been seen to end an answer that meets its limit.
        assert!(native, "a block without an end: {frames:#?}");
        broken.push((list(&message["content"]).count() - 1, pieces));
    }
    // The SDKs show a half input as far as it goes; whoever looks at the reason to stop knows.
    for (index, input) in broken {
        message["content"][index]["input"] = json!(input);
    }
    let reading = read(&message);
    assert!(reading.finish.is_some(), "no reason to stop");
    reading
}

fn add(block: &mut Value, delta: &Value, pieces: &mut String) {
    let mut append = |key: &str| {
        let more = delta[key].as_str().unwrap_or_else(|| panic!("{delta}"));
        block[key] = json!(string(&block[key]) + more);
    };
    match delta["type"].as_str().unwrap() {
        "text_delta" => append("text"),
        "thinking_delta" => append("thinking"),
        "signature_delta" => append("signature"),
        "input_json_delta" => pieces.push_str(delta["partial_json"].as_str().unwrap()),
        "citations_delta" | "compaction_delta" => {}
        other => panic!("a delta `{other}`"),
    }
}

pub(crate) fn whole(body: &Value) -> Reading {
    assert_eq!(body["type"], "message", "{body}");
    read(body)
}

fn read(message: &Value) -> Reading {
    let mut reading = Reading {
        finish: match message["stop_reason"].as_str() {
            Some("end_turn" | "stop_sequence") => Some("stop"),
            Some("max_tokens" | "model_context_window_exceeded") => Some("length"),
            Some("tool_use") => Some("tool_calls"),
            Some("refusal") => Some("content_filter"),
            Some("pause_turn" | "compaction") => Some("pause"),
            None => None,
            Some(other) => panic!("stop reason `{other}`"),
        },
        usage: message["usage"]
            .is_object()
            .then(|| counts(&message["usage"])),
        items: vec![json!({"role": "assistant", "content": message["content"]})],
        ..Reading::default()
    };
    for block in list(&message["content"]) {
        match block["type"].as_str().unwrap() {
            "text" => reading.text.push_str(block["text"].as_str().unwrap()),
            "thinking" => {
                reading
                    .reasoning
                    .push_str(block["thinking"].as_str().unwrap());
                let signature = string(&block["signature"]);
                reading
                    .sealed
                    .extend((!matches!(&*signature, "" | WITHOUT_STATE)).then_some(signature));
            }
            "redacted_thinking" => reading.sealed.push(string(&block["data"])),
            "tool_use" if reading.finish == Some("tool_calls") => reading.calls.push(Called {
                id: string(&block["id"]),
                name: string(&block["name"]),
                input: match &block["input"] {
                    Value::String(text) => Input::Text(text.clone()),
                    input @ (Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::Array(_)
                    | Value::Object(_)) => Input::Json(input.clone()),
                },
            }),
            "tool_use" => reading.calls_cut.push(string(&block["name"])),
            "server_tool_use" => reading.searches += 1,
            _ => {}
        }
    }
    reading
}

fn counts(usage: &Value) -> Counts {
    let cached = number(&usage["cache_read_input_tokens"]);
    let cache_write = number(&usage["cache_creation_input_tokens"]);
    Counts {
        input: number(&usage["input_tokens"]) + cached + cache_write,
        cached,
        cache_write,
        output: number(&usage["output_tokens"]),
        reasoning: number(&usage["output_tokens_details"]["thinking_tokens"]),
    }
}

/// An error body, which is also the data of an `error` event.
pub(crate) fn error(body: &Value) -> Told {
    assert_eq!(body["type"], "error", "{body}");
    Told {
        kind: string(&body["error"]["type"]),
        code: None,
        message: string(&body["error"]["message"]),
    }
}
