//! A client of Responses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Called, Counts, Input, Reading, Told, list, number, string};

/// Reads the response that ends the stream, which must be what the deltas and the finished items before it come to. In a stream that
/// is `native` the provider may have left some of that out.
pub(crate) fn streamed(frames: &[(String, Value)], native: bool) -> Reading {
    let mut deltas: BTreeMap<(String, &str), String> = BTreeMap::new();
    let mut done: Vec<Value> = Vec::new();
    let mut added = Vec::new();
    let (mut last, mut told) = (None, None);
    for (index, (name, event)) in frames.iter().enumerate() {
        assert!(last.is_none(), "after the end: {event}");
        assert_eq!(event["type"], name.as_str(), "{event}");
        assert!(native || event["sequence_number"] == index, "{event}");
        let mut append = |kind| {
            let piece = event["delta"].as_str().unwrap();
            deltas
                .entry((string(&event["item_id"]), kind))
                .or_default()
                .push_str(piece);
        };
        match name.as_str() {
            "response.output_text.delta" => append("text"),
            "response.refusal.delta" => append("refusal"),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                append("reasoning");
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                append("input");
            }
            "response.output_item.added" => added.push(event["item"].clone()),
            "response.output_item.done" => done.push(event["item"].clone()),
            "response.completed" | "response.incomplete" | "response.failed" => {
                last = Some(event["response"].clone());
            }
            "error" => told = Some(string(&event["code"])),
            _ => {}
        }
    }
    let mut last = last.unwrap_or_else(|| panic!("no end: {frames:#?}"));
    let same = last["output"] == json!(done);
    assert!(
        native || same,
        "{done:#?} are not the items of the end, {last:#?}"
    );
    if last["output"] == json!([]) {
        last["output"] = json!(done);
    }
    for item in &done {
        for (kind, text) in texts(item) {
            let said = deltas.get(&(string(&item["id"]), kind));
            let said = said.map_or("", String::as_str);
            assert!(native || said == text, "{kind} of {item}: {said}");
        }
    }
    let mut reading = read(&last);
    let is_done = |id: &Value| done.iter().any(|item| item["id"] == *id);
    let half = added.iter().filter(|item| !is_done(&item["id"]));
    reading
        .calls_cut
        .extend(half.map(|item| string(&item["name"])));
    if last["status"] == "failed" {
        if native {
            // The items that were not done stand in no place but their pieces.
            let pieces = deltas.iter().filter(|((_, kind), _)| *kind == "text");
            reading.text = pieces.map(|(_, text)| text.as_str()).collect();
        }
        let code = string(&last["error"]["code"]);
        assert_eq!(told, Some(code), "the two tellings of a failure");
    }
    reading
}

/// What of an item streams in pieces.
fn texts(item: &Value) -> Vec<(&'static str, String)> {
    let all = |key: &str, kind: &str, text: &str| -> String {
        let parts = list(&item[key]).filter(|part| part["type"] == kind);
        parts.map(|part| string(&part[text])).collect()
    };
    match item["type"].as_str().unwrap() {
        "message" => vec![
            ("text", all("content", "output_text", "text")),
            ("refusal", all("content", "refusal", "refusal")),
        ],
        "reasoning" => vec![(
            "reasoning",
            all("summary", "summary_text", "text") + &all("content", "reasoning_text", "text"),
        )],
        "function_call" => vec![("input", string(&item["arguments"]))],
        "custom_tool_call" => vec![("input", string(&item["input"]))],
        _ => Vec::new(),
    }
}

pub(crate) fn whole(body: &Value) -> Reading {
    assert_eq!(body["object"], "response", "{body}");
    read(body)
}

fn read(response: &Value) -> Reading {
    let mut reading = Reading {
        usage: (!response["usage"].is_null()).then(|| counts(&response["usage"])),
        items: list(&response["output"]).cloned().collect(),
        ..Reading::default()
    };
    for item in list(&response["output"]) {
        for (kind, text) in texts(item) {
            match kind {
                "text" => reading.text.push_str(&text),
                "refusal" => reading.refusal.push_str(&text),
                "reasoning" => reading.reasoning.push_str(&text),
                _ => {}
            }
        }
        let called = |input| Called {
            id: string(&item["call_id"]),
            name: string(&item["name"]),
            input,
        };
        match item["type"].as_str().unwrap() {
            "function_call" | "custom_tool_call" if item["status"] != "completed" => {
                reading.calls_cut.push(string(&item["name"]));
            }
            "function_call" => {
                let arguments = item["arguments"].as_str().unwrap();
                reading.calls.push(called(Input::arguments(arguments)));
            }
            "custom_tool_call" => reading
                .calls
                .push(called(Input::Text(string(&item["input"])))),
            "reasoning" => {
                let sealed = item["encrypted_content"].as_str();
                reading.sealed.extend(sealed.map(str::to_owned));
            }
            "web_search_call" => reading.searches += 1,
            _ => {}
        }
    }
    let reason = response["incomplete_details"]["reason"].as_str();
    match response["status"].as_str().unwrap() {
        "completed" if reading.calls.is_empty() => reading.finish = Some("stop"),
        "completed" => reading.finish = Some("tool_calls"),
        "incomplete" if reason == Some("max_output_tokens") => reading.finish = Some("length"),
        "incomplete" if reason == Some("content_filter") => reading.finish = Some("content_filter"),
        "failed" => {
            reading.error = Some(Told {
                kind: string(&response["error"]["code"]),
                code: None,
                message: string(&response["error"]["message"]),
            });
        }
        other => panic!("status `{other}`: {response}"),
    }
    reading
}

fn counts(usage: &Value) -> Counts {
    let counts = Counts {
        input: usage["input_tokens"].as_u64().unwrap(),
        cached: number(&usage["input_tokens_details"]["cached_tokens"]),
        cache_write: number(&usage["input_tokens_details"]["cache_write_tokens"]),
        output: usage["output_tokens"].as_u64().unwrap(),
        reasoning: number(&usage["output_tokens_details"]["reasoning_tokens"]),
    };
    assert_eq!(usage["total_tokens"], counts.input + counts.output);
    counts
}
