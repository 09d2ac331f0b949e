//! OpenAI's description of chunks, completions and errors, as a judge.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::shared;

/// Judges of what is sent.
pub(crate) struct Schemas {
    chunk: Validator,
    completion: Validator,
    error: Validator,
}

impl Schemas {
    /// Reads the description that lies beside the repository, once.
    pub(crate) fn load() -> Option<&'static Self> {
        static LOADED: std::sync::OnceLock<Option<Schemas>> = std::sync::OnceLock::new();
        LOADED
            .get_or_init(|| {
                let text = std::fs::read(shared("reference/openai-openapi-subset.json")?).unwrap();
                let mut document: Value = serde_json::from_slice(&text).unwrap();
                spell_nullable(&mut document);
                Some(Self {
                    chunk: validator(&document, "CreateChatCompletionStreamResponse"),
                    completion: validator(&document, "CreateChatCompletionResponse"),
                    error: validator(&document, "ErrorResponse"),
                })
            })
            .as_ref()
    }

    /// Checks the data of one frame. The description of chunks knows no freeform calls, while OpenAI's servers stream them in the
    /// form that whole messages have; their kind is put right here first.
    pub(crate) fn check_chunk(&self, chunk: &Value) {
        if chunk.get("error").is_some() {
            judge(&self.error, chunk);
            return;
        }
        let mut chunk = chunk.clone();
        if let Some(Value::Array(calls)) = chunk.pointer_mut("/choices/0/delta/tool_calls") {
            for call in calls {
                if call["type"] == "custom" {
                    call["type"] = json!("function");
                }
            }
        }
        judge(&self.chunk, &chunk);
    }

    /// Checks an answer in one piece.
    pub(crate) fn check_whole(&self, whole: &Value) {
        let is_error = whole.get("error").is_some();
        judge(
            if is_error {
                &self.error
            } else {
                &self.completion
            },
            whole,
        );
    }
}

fn judge(validator: &Validator, value: &Value) {
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{value:#}\n{}", problems.join("\n"));
}

fn validator(document: &Value, component: &str) -> Validator {
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{component}"),
        "components": document["components"],
    });
    jsonschema::validator_for(&root).unwrap()
}

/// The description says `nullable: true`, which JSON Schema does not know.
fn spell_nullable(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(spell_nullable);
            if object.shift_remove("nullable") == Some(json!(true)) {
                let schema = value.take();
                *value = json!({"anyOf": [schema, {"type": "null"}]});
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(spell_nullable),
        _ => {}
    }
}

/// A judge that lets everything pass would prove nothing.
#[test]
fn the_judges_refuse_what_is_wrong() {
    let Some(schemas) = Schemas::load() else {
        return;
    };
    let chunk = json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": null}],
        "usage": null,
    });
    assert!(schemas.chunk.is_valid(&chunk));
    for (pointer, wrong) in [
        ("/object", json!("chunk")),
        ("/choices/0/finish_reason", json!("done")),
        ("/choices/0/delta", json!({"content": 7})),
        ("/choices/0/delta", json!({"tool_calls": [{}]})),
        ("/usage", json!({"prompt_tokens": 1})),
    ] {
        let mut chunk = chunk.clone();
        *chunk.pointer_mut(pointer).unwrap() = wrong;
        assert!(!schemas.chunk.is_valid(&chunk), "{chunk}");
    }
    assert!(!schemas.completion.is_valid(&chunk));
    assert!(
        !schemas
            .error
            .is_valid(&json!({"error": {"message": "m", "type": "t"}}))
    );
}
