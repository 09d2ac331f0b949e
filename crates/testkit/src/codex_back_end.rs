//! The service behind Codex, as strict as those who use it say it is.
//!
//! Facts: seed-behaviours.md D2 (what is refused, in which order and words) and D3 (headers). Where nobody has told the words, they are
//! ours.

use serde_json::{Value, json};

use crate::reply::Reply;
use crate::upstream::{Received, ScriptedUpstream};

/// What the service is asked for models with; everything else is generation.
const MODELS: &str = "/models?client_version=";

/// The top-level fields that are taken.
const FIELDS: [&str; 14] = [
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "include",
    "store",
    "stream",
    "prompt_cache_key",
    "service_tier",
    "client_metadata",
];

/// An access token of this name, which says that it is good for many years. Nobody checks its signature.
pub fn access_token(name: &str) -> String {
    // `{"alg":"none"}` and `{"exp":4102444800}`.
    format!("eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.{name}")
}

/// The `auth.json` of a login whose access token has this name.
pub fn auth_json(account: &str, token: &str) -> String {
    let file = json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": access_token("id"),
            "access_token": access_token(token),
            "refresh_token": format!("refresh-{token}"),
            "account_id": account,
        },
        "last_refresh": "2026-11-25T00:00:00Z",
    });
    file.to_string()
}

/// The service behind Codex. Requests that it would refuse are refused; `script` answers the others and is given the number of those
/// before. `models` is what its list of models says; without one there is none.
pub fn codex_back_end(
    models: Option<Value>,
    mut script: impl FnMut(usize, &Received) -> Reply + Send + 'static,
) -> ScriptedUpstream {
    let mut answered = 0;
    ScriptedUpstream::start(move |_, request| {
        if request.method == "GET" && request.path.contains(MODELS) {
            return match &models {
                Some(models) => Reply::json(200, &json!({"models": models})),
                None => refusal(404, "Not Found"),
            };
        }
        if let Some(refusal) = refused(request) {
            return refusal;
        }
        answered += 1;
        script(answered - 1, request)
    })
}

fn refusal(status: u16, detail: &str) -> Reply {
    Reply::json(status, &json!({"detail": detail}))
}

fn refused(request: &Received) -> Option<Reply> {
    let body = request.json();
    headers(request, &body)
        .or_else(|| demands(&body))
        .or_else(|| settings(&body))
        .or_else(|| tools(&body["tools"]))
        .map(|detail| refusal(400, &detail))
        .or_else(|| conversation(&body["input"]))
}

fn headers(request: &Received, body: &Value) -> Option<String> {
    let needed = [
        ("authorization", "Bearer "),
        ("chatgpt-account-id", ""),
        ("originator", ""),
        ("user-agent", ""),
        ("version", ""),
        ("accept", "text/event-stream"),
        ("content-type", "application/json"),
    ];
    let missing = needed.iter().find(|(name, begins)| {
        let value = request.headers.get(name);
        value.is_none_or(|value| !value.starts_with(begins))
    });
    if let Some((name, _)) = missing {
        return Some(format!("Missing or wrong header: {name}"));
    }
    let key = body["prompt_cache_key"].as_str();
    let same = |name| request.headers.get(name) == key;
    let in_step = same("session-id") && same("thread-id");
    (!in_step).then(|| "session-id and prompt_cache_key differ".to_owned())
}

fn demands(body: &Value) -> Option<String> {
    let has_instructions = body["instructions"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    [
        (has_instructions, "Instructions are required"),
        (body["store"] == false, "Store must be set to false"),
        (body["stream"] == true, "Stream must be set to true"),
        (body["input"].is_array(), "Input must be a list"),
    ]
    .into_iter()
    .find(|(fulfilled, _)| !fulfilled)
    .map(|(_, detail)| detail.to_owned())
}

fn settings(body: &Value) -> Option<String> {
    let mut names = body
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    if let Some(name) = names.find(|name| !FIELDS.contains(&name.as_str())) {
        return Some(format!("Unsupported parameter: {name}"));
    }
    let has_tools = body["tools"]
        .as_array()
        .is_some_and(|tools| !tools.is_empty());
    let tier = &body["service_tier"];
    [
        (
            tier.is_null() || tier == "priority",
            "Unsupported value: service_tier",
        ),
        (
            has_tools || body.get("parallel_tool_calls").is_none(),
            "Unsupported parameter: parallel_tool_calls",
        ),
        (
            body["include"] == json!(["reasoning.encrypted_content"]),
            "Unsupported value: include",
        ),
        (
            body["reasoning"]["effort"] != "minimal",
            "Unsupported value: 'minimal'",
        ),
    ]
    .into_iter()
    .find(|(fulfilled, _)| !fulfilled)
    .map(|(_, detail)| detail.to_owned())
}

fn tools(tools: &Value) -> Option<String> {
    list(tools).find_map(|tool| {
        let kind = tool["type"].as_str().unwrap_or_default();
        let known = [
            "function",
            "custom",
            "namespace",
            "tool_search",
            "web_search",
            "image_generation",
        ];
        let named = !matches!(kind, "function" | "custom") || tool["name"].is_string();
        (!known.contains(&kind) || !named).then(|| format!("Unsupported tool type: {kind}"))
    })
}

fn conversation(input: &Value) -> Option<Reply> {
    let of = |suffix: &str| -> Vec<&Value> {
        list(input)
            .filter(|item| {
                item["type"]
                    .as_str()
                    .is_some_and(|kind| kind.ends_with(suffix))
            })
            .map(|item| &item["call_id"])
            .collect()
    };
    let (mut calls, outputs) = (of("function_call"), of("_call_output"));
    calls.extend(of("custom_tool_call"));
    if let Some(call) = calls.iter().find(|call| !outputs.contains(call)) {
        return Some(refusal(
            400,
            &format!("No tool output found for function call {call}."),
        ));
    }
    if let Some(output) = outputs.iter().find(|output| !calls.contains(output)) {
        return Some(refusal(
            400,
            &format!("No tool call found for output {output}."),
        ));
    }
    list(input).find_map(item)
}

fn item(item: &Value) -> Option<Reply> {
    let kind = item["type"].as_str().unwrap_or("message");
    let begins = match kind {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        _ => "",
    };
    let good_id = item["id"]
        .as_str()
        .is_none_or(|id| id.starts_with(begins) && id.len() <= 64 && !begins.is_empty());
    let parts = || list(&item["content"]).chain(list(&item["output"]));
    let detail = [
        (kind != "item_reference", "Items are not persisted"),
        (item["role"] != "system", "System messages are not allowed"),
        (good_id, "Invalid 'input[].id'"),
        (
            parts().all(|part| part.get("prompt_cache_breakpoint").is_none()),
            "Unsupported parameter: prompt_cache_breakpoint",
        ),
    ]
    .into_iter()
    .find(|(fulfilled, _)| !fulfilled)
    .map(|(_, detail)| detail);
    if let Some(detail) = detail {
        return Some(refusal(400, detail));
    }
    // What an envelope of ours would be to it.
    let state = item["encrypted_content"].as_str().unwrap_or_default();
    state.starts_with("pw1.").then(|| {
        Reply::error(
            400,
            "invalid_encrypted_content",
            "The encrypted content could not be verified.",
        )
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
