//! What each provider answers: thoughts, words, and two calls where some are wanted.

use polywire_testkit::Reply;
use serde_json::{Value, json};

use super::World;

pub(crate) fn answer(world: &mut World, place: &str, body: &Value) -> Reply {
    match place {
        "anthropic" => messages(world, place, body),
        "openai" => responses(world, place, body),
        _ => chat(world, place),
    }
}

fn frames(events: &[(String, Value)]) -> Reply {
    let frames = events.iter().map(|(event, data)| {
        let mut data = data.clone();
        data["type"] = json!(event);
        format!("event: {event}\ndata: {data}\n\n")
    });
    Reply::new(200, "text/event-stream", frames.collect::<String>())
}

fn messages(world: &mut World, place: &str, body: &Value) -> Reply {
    let turn = world.turns;
    let thought = format!("{place} thinks {turn}");
    let signature = world.mint(place, &thought, "signature");
    let redacted = world.mint(place, "", "redacted");
    let mut content = vec![
        json!({"type": "thinking", "thinking": thought, "signature": signature}),
        json!({"type": "redacted_thinking", "data": redacted}),
        json!({"type": "text", "text": format!("{place} says {turn}.")}),
    ];
    if world.calls {
        content.extend([1, 2].map(|n| {
            json!({"type": "tool_use", "id": format!("toolu_{turn}_{n}"), "name": "look", "input": {"n": n}})
        }));
    }
    let stop = if world.calls { "tool_use" } else { "end_turn" };
    let usage = json!({"input_tokens": 10, "output_tokens": 5});
    let message = json!({"id": format!("msg_{turn}"), "type": "message", "role": "assistant", "model": "m",
        "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage});
    if body["stream"] != true {
        return Reply::json(200, &message);
    }
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut events = vec![("message_start".to_owned(), json!({"message": start}))];
    for (index, block) in content.iter().enumerate() {
        let mut push = |event: &str, key: &str, value: Value| {
            events.push((event.to_owned(), json!({"index": index, key: value})));
        };
        let (mut begin, deltas) = (block.clone(), deltas(block));
        for key in ["thinking", "signature", "text"] {
            if begin.get(key).is_some() {
                begin[key] = json!("");
            }
        }
        if begin.get("input").is_some() {
            begin["input"] = json!({});
        }
        push("content_block_start", "content_block", begin);
        for delta in deltas {
            push("content_block_delta", "delta", delta);
        }
        events.push(("content_block_stop".to_owned(), json!({"index": index})));
    }
    let delta = json!({"delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 5}});
    events.push(("message_delta".to_owned(), delta));
    events.push(("message_stop".to_owned(), json!({})));
    frames(&events)
}

fn deltas(block: &Value) -> Vec<Value> {
    match block["type"].as_str().unwrap() {
        "thinking" => {
            // In two pieces, as a long one comes.
            let (head, tail) = block["signature"].as_str().unwrap().split_at(5);
            vec![
                json!({"type": "thinking_delta", "thinking": block["thinking"]}),
                json!({"type": "signature_delta", "signature": head}),
                json!({"type": "signature_delta", "signature": tail}),
            ]
        }
        "text" => vec![json!({"type": "text_delta", "text": block["text"]})],
        "tool_use" => {
            vec![json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})]
        }
        _ => Vec::new(),
    }
}

fn responses(world: &mut World, place: &str, body: &Value) -> Reply {
    let turn = world.turns;
    let thought = format!("{place} thinks {turn}");
    let encrypted = world.mint(place, &thought, "encrypted");
    let mut output = vec![
        json!({"type": "reasoning", "id": format!("rs_{turn}"), "encrypted_content": encrypted,
            "summary": [{"type": "summary_text", "text": thought}]}),
        json!({"type": "message", "id": format!("msg_{turn}"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": format!("{place} says {turn}."), "annotations": []}]}),
    ];
    if world.calls {
        output.extend([1, 2].map(|n| {
            json!({"type": "function_call", "id": format!("fc_{turn}_{n}"), "call_id": format!("call_{turn}_{n}"),
                "name": "look", "arguments": json!({"n": n}).to_string(), "status": "completed"})
        }));
    }
    let response = json!({"id": format!("resp_{turn}"), "object": "response", "created_at": 1, "model": "m",
        "status": "completed", "output": output, "error": null, "incomplete_details": null,
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}});
    if body["stream"] != true {
        return Reply::json(200, &response);
    }
    let mut created = response.clone();
    created["output"] = json!([]);
    created["status"] = json!("in_progress");
    created["usage"] = Value::Null;
    let mut events = vec![("response.created".to_owned(), json!({"response": created}))];
    for (index, item) in output.iter().enumerate() {
        let done = json!({"output_index": index, "item": item});
        events.push(("response.output_item.done".to_owned(), done));
    }
    events.push((
        "response.completed".to_owned(),
        json!({"response": response}),
    ));
    for (number, (_, event)) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    frames(&events)
}

fn chat(world: &mut World, place: &str) -> Reply {
    let turn = world.turns;
    let mut delta = json!({"role": "assistant", "content": format!("{place} says {turn}.")});
    if place == "deepseek" {
        delta["reasoning_content"] = json!(format!("{place} thinks {turn}"));
    }
    if world.calls {
        delta["tool_calls"] = [0, 1]
            .map(|n| {
                json!({"index": n, "id": format!("call_{place}.{turn}:{n}"), "type": "function",
                    "function": {"name": "look", "arguments": json!({"n": n}).to_string()}})
            })
            .to_vec()
            .into();
    }
    let finish = if world.calls { "tool_calls" } else { "stop" };
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
    };
    let chunks = [chunk(delta, Value::Null), chunk(json!({}), json!(finish))];
    let frames = chunks.map(|chunk| format!("data: {chunk}\n\n")).concat() + "data: [DONE]\n\n";
    Reply::new(200, "text/event-stream", frames)
}
