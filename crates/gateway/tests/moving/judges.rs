//! What each provider refuses.

use serde_json::Value;

use super::{World, unknown};
use crate::support::clients::list;

type Judged = Result<(), String>;

pub(crate) fn judge(world: &World, place: &str, body: &Value) -> Judged {
    match place {
        "anthropic" => messages(world, body),
        "openai" => responses(world, body),
        _ => chat(place, body),
    }
}

/// Whoever sends a member that is not known is told its name.
fn only(place: &str, object: &Value, known: &[&str]) -> Judged {
    match unknown(object, known) {
        Some(key) => Err(format!("{place}.{key}: Extra inputs are not permitted")),
        None => Ok(()),
    }
}

fn ensure(holds: bool, complaint: impl Into<String>) -> Judged {
    if holds { Ok(()) } else { Err(complaint.into()) }
}

fn is_id(id: &Value) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    id.as_str()
        .is_some_and(|id| !id.is_empty() && id.len() <= 64 && id.bytes().all(letters))
}

fn messages(world: &World, body: &Value) -> Judged {
    let known = [
        "model",
        "messages",
        "max_tokens",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "stream",
        "metadata",
        "output_config",
        "cache_control",
    ];
    only("", body, &known)?;
    ensure(body["max_tokens"].is_u64(), "max_tokens: Field required")?;
    let all: Vec<&Value> = list(&body["messages"]).collect();
    let mut awaited: Vec<&Value> = Vec::new();
    for (index, message) in all.iter().enumerate() {
        let place = format!("messages.{index}");
        only(&place, message, &["role", "content"])?;
        let results: Vec<&Value> = list(&message["content"])
            .take_while(|block| block["type"] == "tool_result")
            .map(|block| &block["tool_use_id"])
            .collect();
        for id in &awaited {
            ensure(
                results.contains(id),
                format!("{place}: `tool_use` without `tool_result`: {id}"),
            )?;
        }
        for id in &results {
            ensure(
                awaited.contains(id),
                format!("{place}: unexpected `tool_use_id`: {id}"),
            )?;
        }
        awaited = Vec::new();
        for block in list(&message["content"]) {
            messages_block(world, &place, block)?;
            if block["type"] == "tool_use" {
                ensure(
                    message["role"] == "assistant",
                    format!("{place}: whose call?"),
                )?;
                awaited.push(&block["id"]);
            }
        }
    }
    ensure(awaited.is_empty(), "calls without results at the end")?;
    thinking_first(body, &all)
}

fn messages_block(world: &World, place: &str, block: &Value) -> Judged {
    let known: &[&str] = match block["type"].as_str().unwrap_or_default() {
        "text" => {
            let text = block["text"].as_str().unwrap_or_default();
            ensure(
                !text.trim().is_empty(),
                format!("{place}: text content blocks must be non-empty"),
            )?;
            &["type", "text", "cache_control"]
        }
        "thinking" => {
            let state = world.minted.get("anthropic").into_iter().flatten();
            let mut mine = state.filter(|state| block["signature"] == state.secret.as_str());
            ensure(
                mine.any(|state| block["thinking"] == state.readable.as_str()),
                format!("{place}: Invalid `signature` in `thinking` block: {block}"),
            )?;
            &["type", "thinking", "signature"]
        }
        "redacted_thinking" => {
            let data = block["data"].as_str().unwrap_or_default();
            ensure(
                world.is_minted_by("anthropic", data),
                format!("{place}: Invalid `data`: {data}"),
            )?;
            &["type", "data"]
        }
        "tool_use" => {
            ensure(
                is_id(&block["id"]),
                format!("{place}: bad id {}", block["id"]),
            )?;
            ensure(block["input"].is_object(), format!("{place}: bad input"))?;
            &["type", "id", "name", "input", "cache_control"]
        }
        "tool_result" => &[
            "type",
            "tool_use_id",
            "content",
            "is_error",
            "cache_control",
        ],
        other => return Err(format!("{place}: unknown block `{other}`")),
    };
    only(place, block, known)
}

/// With thinking switched on by a budget, a turn of the model that goes on from its calls must begin with a thought.
fn thinking_first(body: &Value, all: &[&Value]) -> Judged {
    if body["thinking"]["type"] != "enabled" {
        return Ok(());
    }
    let is_results = |message: &Value| {
        message["content"].is_array()
            && list(&message["content"]).all(|block| block["type"] == "tool_result")
    };
    if !all.last().is_some_and(|last| is_results(last)) {
        return Ok(());
    }
    let turn = all
        .iter()
        .rev()
        .take_while(|message| message["role"] == "assistant" || is_results(message));
    let begins = turn.filter(|message| message["role"] == "assistant").last();
    let first = begins.and_then(|message| list(&message["content"]).next());
    let thinks = first
        .is_some_and(|block| block["type"] == "thinking" || block["type"] == "redacted_thinking");
    ensure(
        thinks,
        "Expected `thinking` or `redacted_thinking`, but found something else",
    )
}

fn responses(world: &World, body: &Value) -> Judged {
    let known = [
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "include",
        "store",
        "stream",
        "text",
        "max_output_tokens",
        "prompt_cache_key",
        "truncation",
    ];
    only("", body, &known)?;
    ensure(body["store"] == false, "who keeps this?")?;
    let items: Vec<&Value> = list(&body["input"]).collect();
    let calls: Vec<&Value> = items
        .iter()
        .filter(|item| item["type"] == "function_call")
        .map(|item| &item["call_id"])
        .collect();
    for (index, item) in items.iter().enumerate() {
        let place = format!("input[{index}]");
        let next = items
            .get(index + 1)
            .map_or("", |next| next["type"].as_str().unwrap_or("message"));
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                only(
                    &place,
                    item,
                    &["type", "id", "role", "content", "status", "phase"],
                )?;
                responses_id(&place, item, "msg_")?;
                for part in list(&item["content"]) {
                    let says = if item["role"] == "assistant" {
                        "output_text"
                    } else {
                        "input_text"
                    };
                    ensure(
                        part["type"] == says,
                        format!("{place}: Invalid value: {}", part["type"]),
                    )?;
                }
            }
            "reasoning" => {
                only(
                    &place,
                    item,
                    &[
                        "type",
                        "id",
                        "summary",
                        "content",
                        "encrypted_content",
                        "status",
                    ],
                )?;
                let sealed = item["encrypted_content"].as_str().unwrap_or_default();
                ensure(
                    world.is_minted_by("openai", sealed),
                    format!("{place}: The encrypted content could not be verified: {item}"),
                )?;
                ensure(item["summary"].is_array(), format!("{place}: no summary"))?;
                ensure(
                    matches!(next, "message" | "function_call" | "reasoning"),
                    format!("{place}: reasoning without its required following item"),
                )?;
            }
            "function_call" => {
                only(
                    &place,
                    item,
                    &["type", "id", "call_id", "name", "arguments", "status"],
                )?;
                responses_id(&place, item, "fc_")?;
                let length = item["call_id"].as_str().map_or(0, str::len);
                ensure(
                    (1..=64).contains(&length),
                    format!("{place}: call_id: string too long"),
                )?;
                let answered = items.iter().filter(|other| {
                    other["type"] == "function_call_output" && other["call_id"] == item["call_id"]
                });
                ensure(
                    answered.count() == 1,
                    format!("{place}: No tool output found for {item}"),
                )?;
            }
            "function_call_output" => {
                only(&place, item, &["type", "id", "call_id", "output", "status"])?;
                ensure(
                    calls.contains(&&item["call_id"]),
                    format!("{place}: No tool call found"),
                )?;
            }
            other => return Err(format!("{place}: unknown item `{other}`")),
        }
    }
    Ok(())
}

/// An id must have the form of this provider's.
fn responses_id(place: &str, item: &Value, prefix: &str) -> Judged {
    let fits = |id: &Value| {
        id.as_str()
            .is_some_and(|id| id.starts_with(prefix) && id.len() <= 64)
    };
    let id = &item["id"];
    ensure(
        id.is_null() || fits(id),
        format!("{place}.id: expected an ID that begins with `{prefix}`: {id}"),
    )
}

fn chat(place: &str, body: &Value) -> Judged {
    let thinks = place == "deepseek";
    let mut known = vec![
        "model",
        "messages",
        "tools",
        "tool_choice",
        "stream",
        "stream_options",
        "max_tokens",
        "reasoning_effort",
        "parallel_tool_calls",
    ];
    if thinks {
        known.push("thinking");
    }
    only("", body, &known)?;
    let mut awaited: Vec<&Value> = Vec::new();
    for (index, message) in list(&body["messages"]).enumerate() {
        let at = format!("messages[{index}]");
        let is_result = message["role"] == "tool";
        if is_result {
            only(&at, message, &["role", "tool_call_id", "content"])?;
            let place = awaited
                .iter()
                .position(|id| **id == message["tool_call_id"]);
            let place = place.ok_or(format!("{at}: a result of no call"))?;
            awaited.remove(place);
            continue;
        }
        ensure(
            awaited.is_empty(),
            format!("{at}: calls without results: {awaited:?}"),
        )?;
        if message["role"] != "assistant" {
            only(&at, message, &["role", "content"])?;
            continue;
        }
        let mut known = vec!["role", "content", "tool_calls"];
        if thinks {
            known.push("reasoning_content");
        }
        only(&at, message, &known)?;
        for call in list(&message["tool_calls"]) {
            only(&at, call, &["id", "type", "function"])?;
            awaited.push(&call["id"]);
        }
        let must = thinks && message["tool_calls"].is_array();
        ensure(
            !must || message["reasoning_content"].is_string(),
            format!("{at}: The `reasoning_content` in the thinking mode must be passed back"),
        )?;
    }
    ensure(awaited.is_empty(), "calls without results at the end")
}
