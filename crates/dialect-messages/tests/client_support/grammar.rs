//! What every stream must be, whatever is in it.

use serde_json::{Value, json};

type Frame = (String, Value);

/// Checks one whole stream against the grammar of the protocol, and puts together the message that it tells. Nothing comes back for
/// a stream that ends with an error.
pub(crate) fn check(frames: &[Frame]) -> Option<Value> {
    let mut reading = Reading::default();
    for (name, data) in frames {
        assert_eq!(data["type"], name.as_str(), "{data}");
        reading.frame(name, data);
    }
    match reading.stage {
        Stage::Stopped => Some(reading.message),
        Stage::Failed => None,
        stage => panic!("the stream ends as {stage:?}"),
    }
}

/// Checks that the message as a whole is what the stream told. A call that was cut is in the stream only.
pub(crate) fn same(streamed: &Value, whole: &Value) {
    for key in [
        "id",
        "type",
        "role",
        "model",
        "stop_reason",
        "stop_sequence",
        "usage",
    ] {
        assert_eq!(streamed[key], whole[key], "{key}");
    }
    let mut blocks = whole["content"].as_array().unwrap().iter().peekable();
    for block in streamed["content"].as_array().unwrap() {
        if blocks.peek().is_some_and(|whole| same_block(block, whole)) {
            blocks.next();
        } else {
            assert_eq!(block["type"], "tool_use", "{block} is not in {whole}");
            let reason = streamed["stop_reason"].as_str().unwrap();
            assert!(["max_tokens", "refusal"].contains(&reason), "{block}");
        }
    }
    assert_eq!(blocks.next(), None);
}

/// Arguments that are no JSON object are a text in the whole message.
fn same_block(streamed: &Value, whole: &Value) -> bool {
    if streamed["type"] != "tool_use" {
        return streamed == whole;
    }
    let said = streamed["partial_json"].as_str().unwrap();
    let input = match serde_json::from_str(said) {
        Ok(Value::Object(object)) => Value::Object(object),
        Ok(_) | Err(_) if said.is_empty() => json!({}),
        Ok(_) | Err(_) => json!({"invalid_arguments": said}),
    };
    streamed["id"] == whole["id"] && streamed["name"] == whole["name"] && input == whole["input"]
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Between,
    InBlock,
    Told,
    Stopped,
    Failed,
}

#[derive(Default)]
struct Reading {
    stage: Stage,
    message: Value,
    signed: bool,
}

impl Reading {
    fn frame(&mut self, name: &str, data: &Value) {
        let (from, to): (&[Stage], Stage) = match name {
            "ping" => {
                let alive = [Stage::Between, Stage::InBlock, Stage::Told];
                assert!(alive.contains(&self.stage), "a ping while {:?}", self.stage);
                return;
            }
            "message_start" => (&[Stage::Before], Stage::Between),
            "content_block_start" => (&[Stage::Between], Stage::InBlock),
            "content_block_delta" => (&[Stage::InBlock], Stage::InBlock),
            "content_block_stop" => (&[Stage::InBlock], Stage::Between),
            "message_delta" => (&[Stage::Between], Stage::Told),
            "message_stop" => (&[Stage::Told], Stage::Stopped),
            "error" => (
                &[Stage::Before, Stage::Between, Stage::InBlock],
                Stage::Failed,
            ),
            other => panic!("an event {other}"),
        };
        assert!(from.contains(&self.stage), "{name} while {:?}", self.stage);
        self.stage = to;
        match name {
            "message_start" => self.start(&data["message"]),
            "content_block_start" => self.block_start(data),
            "content_block_delta" => self.delta(data),
            "content_block_stop" => self.block_stop(data),
            "message_delta" => self.message_delta(data),
            "error" => check_error(data),
            _ => {}
        }
    }

    fn start(&mut self, message: &Value) {
        assert_eq!(message["type"], "message");
        assert_eq!(message["role"], "assistant");
        assert!(message["id"].as_str().unwrap().starts_with("msg_"));
        assert!(message["model"].is_string());
        assert_eq!(message["content"], json!([]));
        for key in ["stop_reason", "stop_sequence"] {
            assert_eq!(message.get(key), Some(&Value::Null), "{key}");
        }
        check_usage(&message["usage"]);
        self.message = message.clone();
    }

    fn content(&mut self) -> &mut Vec<Value> {
        self.message["content"].as_array_mut().unwrap()
    }

    fn block_start(&mut self, data: &Value) {
        assert_eq!(data["index"], self.content().len(), "{data}");
        let mut block = data["content_block"].clone();
        match block["type"].as_str().unwrap() {
            "text" => assert_eq!(block, json!({"type": "text", "text": ""})),
            "thinking" => {
                assert_eq!(
                    block,
                    json!({"type": "thinking", "thinking": "", "signature": ""})
                );
            }
            "tool_use" | "server_tool_use" => {
                assert_eq!(block["input"], json!({}));
                assert!(!block["id"].as_str().unwrap().is_empty());
                assert!(block["name"].is_string());
                block["partial_json"] = json!("");
            }
            "redacted_thinking" => assert!(!block["data"].as_str().unwrap().is_empty()),
            "web_search_tool_result" => {
                assert!(block["content"].is_array() || block["content"]["error_code"].is_string());
                let call = self.content().last().unwrap();
                assert_eq!(block["tool_use_id"], call["id"]);
            }
            other => panic!("a block {other}"),
        }
        self.signed = false;
        self.content().push(block);
    }

    fn delta(&mut self, data: &Value) {
        assert_eq!(data["index"], self.content().len() - 1, "{data}");
        assert!(!self.signed, "{data} after the signature");
        let delta = &data["delta"];
        let kind = delta["type"].as_str().unwrap();
        let block = self.content().last_mut().unwrap();
        let (owners, key): (&[&str], &str) = match kind {
            "text_delta" => (&["text"], "text"),
            "thinking_delta" => (&["thinking"], "thinking"),
            "signature_delta" => (&["thinking"], "signature"),
            "input_json_delta" => (&["tool_use", "server_tool_use"], "partial_json"),
            "citations_delta" => {
                assert_eq!(block["type"], "text");
                assert!(delta["citation"]["url"].is_string());
                match &mut block["citations"] {
                    Value::Array(list) => list.push(delta["citation"].clone()),
                    other => *other = json!([delta["citation"]]),
                }
                return;
            }
            other => panic!("a delta {other}"),
        };
        assert!(owners.contains(&block["type"].as_str().unwrap()), "{data}");
        let piece = delta[key].as_str().unwrap();
        let text = block[key].as_str().unwrap().to_owned() + piece;
        block[key] = json!(text);
        self.signed = kind == "signature_delta";
    }

    fn block_stop(&mut self, data: &Value) {
        assert_eq!(data["index"], self.content().len() - 1, "{data}");
        let block = self.content().last_mut().unwrap();
        match block["type"].as_str().unwrap() {
            "text" => assert!(!block["text"].as_str().unwrap().is_empty()),
            "thinking" => assert!(!block["signature"].as_str().unwrap().is_empty()),
            "server_tool_use" => {
                let said = block.as_object_mut().unwrap().shift_remove("partial_json");
                block["input"] = serde_json::from_str(said.unwrap().as_str().unwrap()).unwrap();
            }
            _ => {}
        }
    }

    fn message_delta(&mut self, data: &Value) {
        let delta = &data["delta"];
        let reason = delta["stop_reason"].as_str().unwrap();
        let known = [
            "end_turn",
            "stop_sequence",
            "tool_use",
            "max_tokens",
            "pause_turn",
            "refusal",
        ];
        assert!(known.contains(&reason), "{reason}");
        assert_eq!(
            delta["stop_sequence"].is_string(),
            reason == "stop_sequence"
        );
        assert_eq!(delta.get("stop_details").is_some(), reason == "refusal");
        check_usage(&data["usage"]);
        for key in ["stop_reason", "stop_sequence"] {
            self.message[key] = delta[key].clone();
        }
        self.message["usage"] = data["usage"].clone();
        if reason == "tool_use" {
            assert!(
                self.content()
                    .iter()
                    .any(|block| block["type"] == "tool_use")
            );
        }
    }
}

fn check_usage(usage: &Value) {
    for key in [
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    ] {
        assert!(usage[key].is_u64(), "{key}: {usage}");
    }
}

fn check_error(data: &Value) {
    assert!(
        data["error"]["type"].as_str().unwrap().ends_with("_error")
            || data["error"]["type"] == "request_too_large"
    );
    assert!(data["error"]["message"].is_string());
    assert!(data.get("request_id").is_some());
}
