//! Bodies against what is published.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::beside_manifest;

/// Members of a body that no published description of Chat Completions has: providers added them.
const BODY_EXTENSIONS: [&str; 5] = [
    "thinking",
    "reasoning",
    "enable_thinking",
    "chat_template_kwargs",
    "top_k",
];

/// The same for assistant messages.
const MESSAGE_EXTENSIONS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];

/// Checks a body against our own list of what a strict server takes, and the pieces that OpenAI's description covers against that.
pub(crate) fn check(place: &str, body: &Value) {
    let body = without_extensions(body);
    judge(place, own(), &body);
    if let Some(published) = Published::load() {
        published.check(place, &body);
    }
}

/// The body without the extensions. The one word of `tool_choice` that is Mistral's own becomes the usual one.
fn without_extensions(body: &Value) -> Value {
    let mut body = body.clone();
    let members = body.as_object_mut().unwrap();
    members.retain(|name, _| !BODY_EXTENSIONS.contains(&name.as_str()));
    if members.get("tool_choice") == Some(&json!("any")) {
        members["tool_choice"] = json!("required");
    }
    for message in members["messages"].as_array_mut().unwrap() {
        if message["role"] == "assistant" {
            let members = message.as_object_mut().unwrap();
            members.retain(|name, _| !MESSAGE_EXTENSIONS.contains(&name.as_str()));
            without_thinking_parts(&mut members["content"]);
        }
    }
    body
}

/// Parts of thinking in the content are Mistral's own; what is left of an array with some is the text that others would get.
fn without_thinking_parts(content: &mut Value) {
    let Some(parts) = content.as_array_mut() else {
        return;
    };
    let all = parts.len();
    parts.retain(|part| part["type"] != "thinking");
    if parts.len() == all {
        return;
    }
    let texts: Vec<&str> = parts
        .iter()
        .map(|part| part["text"].as_str().unwrap())
        .collect();
    let text = texts.join("\n");
    *content = if text.is_empty() {
        Value::Null
    } else {
        Value::String(text)
    };
}

fn own() -> &'static Validator {
    static OWN: OnceLock<Validator> = OnceLock::new();
    OWN.get_or_init(|| {
        let schema = serde_json::from_str(include_str!("chat_request.schema.json")).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    })
}

/// The parts of OpenAI's description that a request consists of. The request as a whole is not in the subset that lies beside
/// the repository.
struct Published {
    assistant_message: Validator,
    tool_calls: Validator,
    function: Validator,
    reasoning_effort: Validator,
    verbosity: Validator,
    service_tier: Validator,
    json_object: Validator,
    json_schema: Validator,
}

impl Published {
    fn load() -> Option<&'static Self> {
        static LOADED: OnceLock<Option<Published>> = OnceLock::new();
        LOADED.get_or_init(Self::read).as_ref()
    }

    fn read() -> Option<Self> {
        let path = beside_manifest("../../../shared/reference/openai-openapi-subset.json");
        if !path.exists() {
            println!("skipped: there is no {}", path.display());
            return None;
        }
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let component = |name: &str| {
            let schema = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$ref": format!("#/components/schemas/{name}"),
                "components": document["components"],
            });
            jsonschema::validator_for(&schema).unwrap()
        };
        Some(Self {
            assistant_message: component("ChatCompletionResponseMessage"),
            tool_calls: component("ChatCompletionMessageToolCalls"),
            function: component("FunctionTool"),
            reasoning_effort: component("ReasoningEffort"),
            verbosity: component("Verbosity"),
            service_tier: component("ServiceTier"),
            json_object: component("ResponseFormatJsonObject"),
            json_schema: component("ResponseFormatJsonSchemaSchema"),
        })
    }

    fn check(&self, place: &str, body: &Value) {
        for message in body["messages"].as_array().unwrap() {
            if message["role"] == "assistant" {
                // An answer always has this member, a request need not.
                let mut message = message.clone();
                message["refusal"] = Value::Null;
                judge(place, &self.assistant_message, &message);
            }
            if let Some(calls) = message.get("tool_calls") {
                judge(place, &self.tool_calls, calls);
            }
        }
        for tool in body["tools"].as_array().into_iter().flatten() {
            // Responses has the same object one level higher, and wants `strict` to be there.
            let mut function = tool["function"].clone();
            function["type"] = tool["type"].clone();
            let strict = tool["function"].get("strict").cloned();
            function["strict"] = strict.unwrap_or(Value::Null);
            judge(place, &self.function, &function);
        }
        let settings = [
            ("reasoning_effort", &self.reasoning_effort),
            ("verbosity", &self.verbosity),
            ("service_tier", &self.service_tier),
        ];
        for (name, validator) in settings {
            if let Some(value) = body.get(name) {
                judge(place, validator, value);
            }
        }
        match &body["response_format"] {
            format if format["type"] == "json_object" => judge(place, &self.json_object, format),
            format if format["type"] == "json_schema" => {
                judge(place, &self.json_schema, &format["json_schema"]["schema"]);
            }
            _ => {}
        }
    }
}

fn judge(place: &str, validator: &Validator, value: &Value) {
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{} at `{}`", error, error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{place}: {}", problems.join("\n"));
}

/// The judge itself: each of these is refused by real servers.
#[test]
fn bodies_that_servers_refuse_are_found() {
    let good =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    assert!(own().is_valid(&good));
    let spoilt: [(&str, Value); 7] = [
        ("/messages", json!([])),
        ("/messages/0/content", json!("")),
        ("/messages/0/content", json!([])),
        ("/messages/0", json!({"role": "assistant", "content": null})),
        (
            "/messages/0",
            json!({"role": "tool", "tool_call_id": "a b", "content": "x"}),
        ),
        ("/stream", json!(false)),
        ("/model", json!("")),
    ];
    for (pointer, value) in spoilt {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        assert!(!own().is_valid(&body), "{body}");
    }
    let mut body = good.clone();
    body["store"] = json!(false);
    assert!(!own().is_valid(&body), "unknown members are found");
}
