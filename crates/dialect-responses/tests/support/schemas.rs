//! The two published descriptions of the Responses stream, as judges.
//!
//! They disagree in places. What is written satisfies both where that is possible; the rest is taken out here before Open
//! Responses is asked, each with its reason.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::shared;

/// Judges of events, by the type of the event.
pub(crate) struct Schemas {
    openai: HashMap<String, Validator>,
    open_responses: HashMap<String, Validator>,
    compacted: Validator,
    request: Validator,
}

impl Schemas {
    /// Reads the descriptions that lie beside the repository, once per thread of tests.
    pub(crate) fn load() -> Option<&'static Self> {
        static LOADED: std::sync::OnceLock<Option<Schemas>> = std::sync::OnceLock::new();
        LOADED
            .get_or_init(|| {
                Some(Self {
                    openai: validators("reference/openai-openapi-subset.json")?,
                    open_responses: validators(OPEN_RESPONSES)?,
                    compacted: component(OPEN_RESPONSES, "CompactResource")?,
                    request: component(OPEN_RESPONSES, "CreateResponseBody")?,
                })
            })
            .as_ref()
    }

    /// Checks the answer to a request to compact, which only Open Responses describes.
    pub(crate) fn check_compacted(&self, object: &Value) {
        judge_with("Open Responses", &self.compacted, object);
    }

    /// Checks the body of a request, which only Open Responses describes in full.
    pub(crate) fn check_request(&self, body: &Value) {
        judge_with("Open Responses", &self.request, body);
    }

    /// Checks one event against both.
    pub(crate) fn check(&self, event: &Value) {
        judge("OpenAI", &self.openai, &for_openai(event));
        if let Some(event) = for_open_responses(event) {
            judge("Open Responses", &self.open_responses, &event);
        }
    }
}

const OPEN_RESPONSES: &str = "reference/openresponses-2026-04-24.openapi.json";

/// A validator for one component.
fn component(name: &str, component: &str) -> Option<Validator> {
    let text = std::fs::read(shared(name)?).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    Some(
        jsonschema::validator_for(&json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": format!("#/components/schemas/{component}"),
            "components": document["components"],
        }))
        .unwrap(),
    )
}

fn judge(name: &str, validators: &HashMap<String, Validator>, event: &Value) {
    let tag = event["type"].as_str().unwrap();
    let validator = validators
        .get(tag)
        .unwrap_or_else(|| panic!("{name} has no event {tag}"));
    judge_with(name, validator, event);
}

fn judge_with(name: &str, validator: &Validator, event: &Value) {
    let problems: Vec<String> = validator
        .iter_errors(event)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(
        problems.is_empty(),
        "{name}: {event:#}\n{}",
        problems.join("\n")
    );
}

/// One validator for each component that describes an event.
fn validators(name: &str) -> Option<HashMap<String, Validator>> {
    let text = std::fs::read(shared(name)?).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let found: HashMap<String, Validator> = schemas
        .iter()
        .filter(|(component, _)| component.ends_with("Event"))
        .filter_map(|(component, schema)| {
            let tag = schema["properties"]["type"]["enum"][0].as_str()?;
            let root = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$ref": format!("#/components/schemas/{component}"),
                "components": document["components"],
            });
            Some((tag.to_owned(), jsonschema::validator_for(&root).unwrap()))
        })
        .collect();
    assert!(found.contains_key("response.completed"), "{name}");
    Some(found)
}

/// OpenAI's list of codes lacks some that its servers send and that clients wait for (`context_length_exceeded`,
/// `insufficient_quota`, `server_is_overloaded`). Its usage is no null, while Open Responses demands one where nothing is
/// known, and OpenAI's servers send one, too, until the end.
fn for_openai(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(Value::Object(response)) = event.get_mut("response") {
        response.retain(|key, value| key != "usage" || !value.is_null());
    }
    if let Some(code) = event.pointer_mut("/response/error/code") {
        let unlisted = [
            "context_length_exceeded",
            "insufficient_quota",
            "server_is_overloaded",
        ];
        if unlisted.contains(&code.as_str().unwrap()) {
            *code = json!("server_error");
        }
    }
    without_invented_tools(&mut event);
    event
}

/// Our own fixtures offer a tool of a type that nobody knows and a namespace inside a namespace; the response object repeats
/// them, and no description takes them.
fn without_invented_tools(event: &mut Value) {
    retain(event, "/response/tools", |tool| tool["type"] != "teleport");
    let Some(Value::Array(tools)) = event.pointer_mut("/response/tools") else {
        return;
    };
    for tool in tools {
        retain(tool, "/tools", |inner| inner["type"] != "namespace");
    }
}

/// Open Responses knows functions only: no freeform tools, no searches, no other tools in the response object. The schema of
/// a structured answer must be null there, and tools can be allowed by their function name only.
fn for_open_responses(event: &Value) -> Option<Value> {
    let known = |item: &Value| {
        !["custom_tool_call", "tool_search_call", "web_search_call"]
            .contains(&item["type"].as_str().unwrap_or(""))
    };
    let tag = event["type"].as_str().unwrap();
    if tag.starts_with("response.custom_tool_call_input")
        || tag.starts_with("response.web_search_call")
    {
        return None;
    }
    if !known(event.get("item").unwrap_or(&Value::Null)) {
        return None;
    }
    let mut event = event.clone();
    retain(&mut event, "/response/output", known);
    retain(&mut event, "/response/tools", |tool| {
        tool["type"] == "function"
    });
    retain(&mut event, "/response/tool_choice/tools", |tool| {
        tool["type"] == "function"
    });
    if let Some(schema) = event.pointer_mut("/response/text/format/schema") {
        *schema = Value::Null;
    }
    Some(event)
}

fn retain(event: &mut Value, pointer: &str, keep: impl Fn(&Value) -> bool) {
    if let Some(Value::Array(list)) = event.pointer_mut(pointer) {
        list.retain(keep);
    }
}
