//! A client of Chat Completions.

use serde_json::{Value, json};

use super::{Called, Counts, Input, Reading, Told, list, number, string};

/// Adds chunks up as the SDKs do, into a message, and reads that.
pub(crate) fn streamed(frames: &[(String, Value)]) -> Reading {
    let mut message = json!({"role": "assistant", "content": "", "refusal": ""});
    let (mut finish, mut usage, mut error) = (Value::Null, Value::Null, None);
    let mut done = false;
    for (event, chunk) in frames {
        assert_eq!(event, "", "events of this protocol have no name");
        assert!(!done, "something follows the end: {chunk}");
        if chunk == "[DONE]" {
            done = true;
            continue;
        }
        if !chunk["error"].is_null() {
            error = Some(self::error(&chunk["error"]));
            done = true;
            continue;
        }
        assert_eq!(chunk["object"], "chat.completion.chunk", "{chunk}");
        if !chunk["usage"].is_null() {
            usage = chunk["usage"].clone();
        }
        for choice in list(&chunk["choices"]) {
            assert_eq!(choice["index"], 0);
            assert!(finish.is_null(), "a choice after its end: {choice}");
            finish = choice["finish_reason"].clone();
            add(&mut message, &choice["delta"]);
        }
    }
    let mut reading = read(&message, &finish, &usage);
    if error.is_some() {
        assert!(finish.is_null(), "an answer ends twice");
        reading.calls_cut = reading.calls.drain(..).map(|call| call.name).collect();
    } else {
        assert!(done, "no end: {frames:#?}");
        assert!(!finish.is_null(), "no reason to end");
    }
    reading.error = error;
    reading
}

fn add(message: &mut Value, delta: &Value) {
    let append = |place: &mut Value, piece: &Value| {
        if let Some(piece) = piece.as_str() {
            *place = json!(string(place) + piece);
        }
    };
    for key in ["content", "refusal", "reasoning_content"] {
        append(&mut message[key], &delta[key]);
    }
    for key in ["reasoning_details", "annotations"] {
        for element in list(&delta[key]) {
            if message[key].is_null() {
                message[key] = json!([]);
            }
            message[key].as_array_mut().unwrap().push(element.clone());
        }
    }
    for piece in list(&delta["tool_calls"]) {
        if message["tool_calls"].is_null() {
            message["tool_calls"] = json!([]);
        }
        let calls = message["tool_calls"].as_array_mut().unwrap();
        let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
        if index == calls.len() {
            assert!(
                piece["id"].is_string() && piece["type"].is_string(),
                "{piece}"
            );
            calls.push(json!({"id": piece["id"], "type": piece["type"]}));
        }
        let call = &mut calls[index];
        for (kind, key) in [("function", "arguments"), ("custom", "input")] {
            if let Some(name) = piece[kind]["name"].as_str() {
                call[kind]["name"] = json!(name);
            }
            if !piece[kind].is_null() {
                append(&mut call[kind][key], &piece[kind][key]);
            }
        }
    }
}

pub(crate) fn whole(body: &Value) -> Reading {
    assert_eq!(body["object"], "chat.completion", "{body}");
    let choices: Vec<&Value> = list(&body["choices"]).collect();
    assert_eq!(choices.len(), 1);
    read(
        &choices[0]["message"],
        &choices[0]["finish_reason"],
        &body["usage"],
    )
}

fn read(message: &Value, finish: &Value, usage: &Value) -> Reading {
    let finish = match finish.as_str() {
        Some("stop") => Some("stop"),
        Some("length") => Some("length"),
        Some("tool_calls") => Some("tool_calls"),
        Some("content_filter") => Some("content_filter"),
        None => None,
        Some(other) => panic!("finish reason `{other}`"),
    };
    let mut calls: Vec<Called> = list(&message["tool_calls"]).map(called).collect();
    // A client carries calls out when that is why the answer ended, and not when it met its limit.
    let mut calls_cut = Vec::new();
    if finish != Some("tool_calls") {
        calls_cut = calls.drain(..).map(|call| call.name).collect();
    }
    Reading {
        text: string(&message["content"]),
        reasoning: string(&message["reasoning_content"]),
        refusal: string(&message["refusal"]),
        calls,
        calls_cut,
        searches: 0,
        finish,
        usage: (!usage.is_null()).then(|| counts(usage)),
        error: None,
        sealed: list(&message["reasoning_details"])
            .map(|detail| string(&detail["data"]))
            .collect(),
        items: vec![message.clone()],
    }
}

fn called(call: &Value) -> Called {
    let (name, input) = match call["type"].as_str() {
        Some("function") => (
            &call["function"]["name"],
            Input::arguments(call["function"]["arguments"].as_str().unwrap()),
        ),
        Some("custom") => (
            &call["custom"]["name"],
            Input::Text(string(&call["custom"]["input"])),
        ),
        other => panic!("a call of type {other:?}"),
    };
    Called {
        id: string(&call["id"]),
        name: string(name),
        input,
    }
}

fn counts(usage: &Value) -> Counts {
    let counts = Counts {
        input: usage["prompt_tokens"].as_u64().unwrap(),
        cached: number(&usage["prompt_tokens_details"]["cached_tokens"]),
        cache_write: number(&usage["prompt_tokens_details"]["cache_write_tokens"]),
        output: usage["completion_tokens"].as_u64().unwrap(),
        reasoning: number(&usage["completion_tokens_details"]["reasoning_tokens"]),
    };
    assert_eq!(usage["total_tokens"], counts.input + counts.output);
    counts
}

/// The error object, of which all four members must be there.
pub(crate) fn error(error: &Value) -> Told {
    for key in ["message", "type", "param", "code"] {
        assert!(error.get(key).is_some(), "no `{key}`: {error}");
    }
    Told {
        kind: string(&error["type"]),
        code: error["code"].as_str().map(str::to_owned),
        message: string(&error["message"]),
    }
}
