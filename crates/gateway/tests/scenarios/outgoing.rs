//! What a provider is sent: whether its protocol has such requests, and what stands in them.

use polywire_catalog::Kind;
use serde_json::Value;

use crate::schema;
use crate::support::clients::list;

/// The request must be one that its protocol has.
pub(crate) fn check(place: &str, kind: Kind, body: &Value) {
    match kind {
        Kind::Chat => {
            schema::check(place, &without_habits(body));
            let calls = list(&body["messages"]).flat_map(|message| list(&message["tool_calls"]));
            let results = list(&body["messages"]).filter(|message| message["role"] == "tool");
            paired(
                place,
                calls.map(|call| &call["id"]),
                results.map(|result| &result["tool_call_id"]),
            );
        }
        Kind::Messages => {
            assert!(body["max_tokens"].is_u64(), "{place}: no `max_tokens`");
            let blocks = || list(&body["messages"]).flat_map(|message| list(&message["content"]));
            let calls = blocks().filter(|block| block["type"] == "tool_use");
            let results = blocks().filter(|block| block["type"] == "tool_result");
            paired(
                place,
                calls.map(|call| &call["id"]),
                results.map(|result| &result["tool_use_id"]),
            );
            let roles: Vec<&Value> = list(&body["messages"])
                .map(|message| &message["role"])
                .collect();
            assert_eq!(
                roles.first().map(|role| role.as_str()),
                Some(Some("user")),
                "{place}"
            );
        }
        Kind::Responses | Kind::ChatGpt => {
            assert_eq!(
                body["store"], false,
                "{place}: somebody is asked to keep it"
            );
            let items = || list(&body["input"]);
            let calls = items().filter(|item| item["type"] == "function_call");
            let results = items().filter(|item| item["type"] == "function_call_output");
            paired(
                place,
                calls.map(|call| &call["call_id"]),
                results.map(|result| &result["call_id"]),
            );
        }
        Kind::CommandCode => assert!(body["params"]["messages"].is_array(), "{place}: {body}"),
        Kind::CodexExec | Kind::CodexAppServer | Kind::Demo => panic!("nobody to ask"),
    }
}

/// The body without what single providers want beyond the protocol, and have said so in their profiles.
fn without_habits(body: &Value) -> Value {
    let mut body = body.clone();
    let members = body.as_object_mut().unwrap();
    members.retain(|key, _| {
        !["reasoning_split", "preserve_thinking", "tool_stream"].contains(&&**key)
    });
    for message in body["messages"].as_array_mut().unwrap() {
        let Some(calls) = message.get_mut("tool_calls") else {
            continue;
        };
        for call in calls.as_array_mut().unwrap() {
            call.as_object_mut().unwrap().remove("extra_content");
        }
        // Chat templates that add strings want an empty one rather than null.
        if message["content"] == "" {
            message["content"] = Value::Null;
        }
    }
    body
}

fn paired<'v>(
    place: &str,
    calls: impl Iterator<Item = &'v Value>,
    results: impl Iterator<Item = &'v Value>,
) {
    let (calls, results): (Vec<&Value>, Vec<&Value>) = (calls.collect(), results.collect());
    assert_eq!(calls, results, "{place}: calls and results");
}

/// Every value of a body with the path to it, `messages.0.role`.
fn each<'v>(path: &str, value: &'v Value, visit: &mut dyn FnMut(&str, &'v Value)) {
    visit(path, value);
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                each(&format!("{path}.{index}"), element, visit);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                each(&format!("{path}.{key}"), member, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The paths of the texts in which `word` stands.
pub(crate) fn paths_of(body: &Value, word: &str) -> Vec<String> {
    let mut paths = Vec::new();
    each("", body, &mut |path, value| {
        if value.as_str().is_some_and(|text| text.contains(word)) {
            paths.push(path.to_owned());
        }
        if value
            .as_object()
            .is_some_and(|members| members.contains_key(word))
        {
            paths.push(format!("{path}.{word}"));
        }
    });
    paths
}

/// Whether a number stands anywhere.
pub(crate) fn has_number(body: &Value, number: u64) -> bool {
    let mut found = false;
    each("", body, &mut |_, value| {
        found |= value.as_u64() == Some(number);
    });
    found
}

/// The names of the tools.
pub(crate) fn tools(body: &Value) -> Vec<String> {
    let tools = if body["params"]["tools"].is_array() {
        &body["params"]["tools"]
    } else {
        &body["tools"]
    };
    let name = |tool: &Value| {
        tool["name"]
            .as_str()
            .or(tool["function"]["name"].as_str())
            .map(str::to_owned)
    };
    list(tools).filter_map(name).collect()
}
