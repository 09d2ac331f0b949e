//! What every stream must be, whatever is in it, and what its pieces add up to.

use polywire_dialect_chat::WriterOptions;
use polywire_sse::Decoder;
use serde_json::{Map, Value, json};

/// The frames of a stream. None has a name, and all but the last of a sound one hold JSON.
pub(crate) fn frames(bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(1 << 30);
    let mut keep = |frame: polywire_sse::Frame<'_>| {
        // A frame without a name is a message, as the standard of server-sent events has it.
        assert!(frame.event.is_empty() || frame.event == b"message");
        frames.push(String::from_utf8(frame.data.to_vec()).unwrap());
    };
    decoder.push(bytes, &mut keep).unwrap();
    decoder.finish(&mut keep);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(
        text.lines()
            .all(|line| line.is_empty() || line.starts_with("data: ") || line.starts_with(": "))
    );
    frames
}

/// What the pieces of a stream add up to, as clients put it together.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    /// The message in the form that it has in an answer in one piece; calls that were cut included.
    pub(crate) message: Map<String, Value>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) logprobs: Vec<Value>,
    pub(crate) usage: Option<Value>,
    pub(crate) error: Option<Value>,
}

/// Checks one whole stream and adds up its pieces.
pub(crate) fn check(bytes: &[u8], options: &WriterOptions) -> Sum {
    let mut frames = frames(bytes);
    let last = frames.pop().unwrap();
    let mut chunks: Vec<Value> = frames
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let mut sum = Sum::default();
    if last == "[DONE]" {
        let usage_is_last = chunks.last().unwrap()["choices"] == json!([]);
        if usage_is_last {
            sum.usage = Some(usage_chunk(&chunks.pop().unwrap(), options));
        }
        let end = chunks.pop().unwrap();
        identity(&end, options);
        assert_eq!(end["choices"][0]["delta"], json!({}));
        let reason = end["choices"][0]["finish_reason"].as_str().unwrap();
        sum.finish_reason = Some(reason.to_owned());
    } else {
        let error: Value = serde_json::from_str(&last).unwrap();
        error_object(&error);
        sum.error = Some(error);
    }
    for (index, chunk) in chunks.iter().enumerate() {
        identity(chunk, options);
        assert_eq!(chunk["choices"][0]["finish_reason"], Value::Null, "{chunk}");
        if index == 0 {
            let first = json!({"role": "assistant", "content": ""});
            assert_eq!(chunk["choices"][0]["delta"], first);
        } else {
            sum.add(chunk);
        }
    }
    assert!(sum.error.is_some() || !chunks.is_empty(), "no first chunk");
    sum
}

/// Every chunk names the same answer, and none but the last has usage.
fn identity(chunk: &Value, options: &WriterOptions) {
    assert_eq!(chunk["id"], options.completion_id);
    assert_eq!(chunk["object"], "chat.completion.chunk");
    assert_eq!(chunk["created"], options.created);
    assert_eq!(chunk["model"], options.model);
    if !chunk["choices"].as_array().unwrap().is_empty() {
        assert_eq!(chunk["choices"].as_array().unwrap().len(), 1);
        assert_eq!(chunk["choices"][0]["index"], 0);
        let expected = options.include_usage.then_some(&Value::Null);
        assert_eq!(chunk.get("usage"), expected, "{chunk}");
    }
}

fn usage_chunk(chunk: &Value, options: &WriterOptions) -> Value {
    assert!(options.include_usage);
    identity(chunk, options);
    chunk["usage"].clone()
}

/// An error has all four keys.
pub(crate) fn error_object(body: &Value) {
    let keys: Vec<&String> = body["error"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["message", "type", "param", "code"]);
    assert!(body["error"]["message"].is_string() && body["error"]["type"].is_string());
    assert_eq!(body.as_object().unwrap().len(), 1);
}

impl Sum {
    fn add(&mut self, chunk: &Value) {
        let choice = &chunk["choices"][0];
        let delta = choice["delta"].as_object().unwrap();
        if let Some(logprobs) = choice.get("logprobs") {
            assert!(delta.is_empty());
            assert_eq!(logprobs["refusal"], Value::Null);
            let content = logprobs["content"].as_array().unwrap();
            assert!(!content.is_empty());
            self.logprobs.extend(content.iter().cloned());
            return;
        }
        assert_eq!(delta.len(), 1, "one thing at a time: {chunk}");
        let (key, value) = delta.iter().next().unwrap();
        match key.as_str() {
            "content" | "refusal" | "reasoning_content" => append(&mut self.message, key, value),
            "annotations" | "reasoning_details" => {
                let list = self.message.entry(key).or_insert_with(|| json!([]));
                let piece = value.as_array().unwrap();
                assert_eq!(piece.len(), 1);
                list.as_array_mut().unwrap().extend(piece.iter().cloned());
            }
            "tool_calls" => {
                assert_eq!(value.as_array().unwrap().len(), 1);
                self.add_call(&value[0]);
            }
            "function_call" => self.add_function(value),
            other => panic!("{other}: {chunk}"),
        }
    }

    fn add_call(&mut self, piece: &Value) {
        let list = self
            .message
            .entry("tool_calls")
            .or_insert_with(|| json!([]))
            .as_array_mut()
            .unwrap();
        let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
        if let Some(id) = piece.get("id") {
            assert_eq!(index, list.len(), "calls are numbered in order");
            let kind = piece["type"].as_str().unwrap();
            let key = if kind == "custom" {
                "input"
            } else {
                "arguments"
            };
            assert_eq!(piece[kind][key], "", "{piece}");
            assert!(piece[kind]["name"].is_string());
            list.push(json!({"id": id, "type": kind, kind: piece[kind]}));
            return;
        }
        assert_eq!(index + 1, list.len(), "only the last call grows");
        let call = &mut list[index];
        let kind = call["type"].as_str().unwrap().to_owned();
        let (key, text) = piece[&kind].as_object().unwrap().iter().next().unwrap();
        append(call[&kind].as_object_mut().unwrap(), key, text);
    }

    fn add_function(&mut self, piece: &Value) {
        match self.message.get_mut("function_call") {
            None => {
                assert_eq!(piece["arguments"], "");
                assert!(piece["name"].is_string());
                self.message.insert("function_call".into(), piece.clone());
            }
            Some(call) => {
                assert!(piece.get("name").is_none(), "a second call: {piece}");
                append(
                    call.as_object_mut().unwrap(),
                    "arguments",
                    &piece["arguments"],
                );
            }
        }
    }
}

fn append(object: &mut Map<String, Value>, key: &str, piece: &Value) {
    let piece = piece.as_str().unwrap();
    assert!(!piece.is_empty(), "an empty piece of {key}");
    let text = object.entry(key).or_insert_with(|| json!(""));
    *text = json!(format!("{}{piece}", text.as_str().unwrap()));
}

/// The answer in one piece says what the stream said, without the calls that were cut.
pub(crate) fn check_whole(whole: &Value, sum: &Sum, options: &WriterOptions) {
    if let Some(error) = &sum.error {
        assert_eq!(whole, error);
        return;
    }
    assert_eq!(whole["id"], options.completion_id);
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["created"], options.created);
    assert_eq!(whole["model"], options.model);
    assert_eq!(whole["choices"].as_array().unwrap().len(), 1);
    let choice = &whole["choices"][0];
    assert_eq!(choice["index"], 0);
    assert_eq!(
        choice["finish_reason"].as_str(),
        sum.finish_reason.as_deref()
    );
    if sum.logprobs.is_empty() {
        assert_eq!(choice["logprobs"], Value::Null);
    } else {
        assert_eq!(
            choice["logprobs"]["content"],
            Value::Array(sum.logprobs.clone())
        );
    }
    if options.include_usage {
        assert_eq!(whole.get("usage"), sum.usage.as_ref());
    }
    check_message(choice["message"].as_object().unwrap(), sum);
}

fn check_message(message: &Map<String, Value>, sum: &Sum) {
    let mut said = message.clone();
    let mut expected = sum.message.clone();
    assert_eq!(said.shift_remove("role"), Some(json!("assistant")));
    let called = ["tool_calls", "function_call"].map(|key| {
        let said = said.shift_remove(key);
        let expected = expected.shift_remove(key);
        check_calls(said.as_ref(), expected.as_ref(), sum);
        said.is_some()
    });
    let says_something_else = called[0] || called[1] || expected.contains_key("refusal");
    let nothing = if says_something_else {
        Value::Null
    } else {
        json!("")
    };
    expected.entry("content").or_insert(nothing);
    expected.entry("refusal").or_insert(Value::Null);
    assert_eq!(said, expected);
}

fn check_calls(said: Option<&Value>, expected: Option<&Value>, sum: &Sum) {
    let list = |value: Option<&Value>| -> Vec<Value> {
        match value {
            Some(Value::Array(list)) => {
                assert!(!list.is_empty());
                list.clone()
            }
            Some(call) => vec![call.clone()],
            None => Vec::new(),
        }
    };
    let (said, expected) = (list(said), list(expected));
    let mut rest = expected.iter();
    assert!(
        said.iter().all(|call| rest.any(|other| other == call)),
        "{said:?} in {expected:?}"
    );
    if said.len() < expected.len() {
        let reason = sum.finish_reason.as_deref();
        assert!(
            matches!(reason, Some("length" | "content_filter")),
            "a call is missing, and the answer ended with {reason:?}"
        );
    }
}
