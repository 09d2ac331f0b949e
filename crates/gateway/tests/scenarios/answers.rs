//! Answers in the form of each kind of provider.

use polywire_catalog::Kind;
use polywire_testkit::{Gate, Reply, Step};
use serde_json::{Value, json};

/// What a provider says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Say {
    /// A thought, and state of it where the protocol has some.
    pub(crate) thought: Option<&'static str>,
    pub(crate) state: Option<&'static str>,
    pub(crate) text: &'static str,
    pub(crate) refusal: &'static str,
    /// Ids of calls to `look`.
    pub(crate) calls: &'static [&'static str],
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Done,
    Length,
    Error,
    /// Nothing more comes until the client leaves.
    Never,
}

/// The answer of a provider of this kind.
pub(crate) fn reply(kind: Kind, say: &Say) -> Reply {
    let mut steps = vec![Step::Bytes(body(kind, say).into_bytes())];
    if say.end == End::Never {
        steps.push(Step::Stall);
    }
    stream(kind, steps)
}

/// The same, whose end comes when the gate is opened.
pub(crate) fn reply_in_two(kind: Kind, say: &Say, gate: &Gate) -> Reply {
    let so_far = Say {
        end: End::Never,
        ..say.clone()
    };
    let (head, all) = (body(kind, &so_far), body(kind, say));
    let tail = all.strip_prefix(&*head).unwrap();
    let piece = |text: &str| Step::Bytes(text.as_bytes().to_vec());
    stream(
        kind,
        vec![piece(&head), Step::Wait(gate.clone()), piece(tail)],
    )
}

fn stream(kind: Kind, steps: Vec<Step>) -> Reply {
    Reply::stream(steps).content_type(match kind {
        Kind::CommandCode => "application/x-ndjson",
        Kind::Chat
        | Kind::Messages
        | Kind::Responses
        | Kind::ChatGpt
        | Kind::CodexExec
        | Kind::CodexAppServer
        | Kind::Demo => "text/event-stream",
    })
}

fn body(kind: Kind, say: &Say) -> String {
    match kind {
        Kind::Chat => chat(say),
        Kind::Messages => messages(say),
        Kind::Responses | Kind::ChatGpt => responses(say),
        Kind::CommandCode => command_code(say),
        Kind::CodexExec | Kind::CodexAppServer | Kind::Demo => panic!("nobody to ask"),
    }
}

fn frames(events: &[Value]) -> String {
    let frame = |event: &Value| match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    let frames: Vec<String> = events.iter().map(frame).collect();
    frames.concat()
}

fn chat(say: &Say) -> String {
    let mut delta = json!({"role": "assistant", "content": say.text});
    if let Some(thought) = say.thought {
        delta["reasoning_content"] = json!(thought);
        if let Some(state) = say.state {
            delta["reasoning_details"] = json!([
                {"type": "reasoning.text", "text": thought, "signature": state, "index": 0},
            ]);
        }
    }
    if !say.refusal.is_empty() {
        delta["refusal"] = json!(say.refusal);
    }
    let calls = say.calls.iter().enumerate().map(|(index, id)| {
        json!({"index": index, "id": id, "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}})
    });
    let calls: Vec<Value> = calls.collect();
    if !calls.is_empty() {
        delta["tool_calls"] = calls.into();
    }
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let mut events = vec![chunk(delta, Value::Null)];
    let finish = match say.end {
        End::Never => return frames(&events),
        End::Error => {
            events.push(json!({"error": {"message": "gone", "type": "server_error", "code": 500}}));
            return frames(&events);
        }
        End::Length => "length",
        End::Done if say.calls.is_empty() => "stop",
        End::Done => "tool_calls",
    };
    events.push(chunk(json!({}), json!(finish)));
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    events.push(json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}));
    frames(&events) + "data: [DONE]\n\n"
}

fn messages(say: &Say) -> String {
    let usage = json!({"input_tokens": 10, "output_tokens": 5});
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}}),
    ];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    };
    if let Some(thought) = say.thought {
        block(
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            vec![
                json!({"type": "thinking_delta", "thinking": thought}),
                json!({"type": "signature_delta", "signature": say.state.unwrap_or_default()}),
            ],
        );
    }
    for text in [say.text, say.refusal]
        .into_iter()
        .filter(|text| !text.is_empty())
    {
        let delta = json!({"type": "text_delta", "text": text});
        block(json!({"type": "text", "text": ""}), vec![delta]);
    }
    for id in say.calls {
        let delta = json!({"type": "input_json_delta", "partial_json": "{\"at\":1}"});
        block(
            json!({"type": "tool_use", "id": id, "name": "look", "input": {}}),
            vec![delta],
        );
    }
    let stop = match say.end {
        End::Never => return frames(&events),
        End::Error => {
            events
                .push(json!({"type": "error", "error": {"type": "api_error", "message": "gone"}}));
            return frames(&events);
        }
        End::Length => "max_tokens",
        End::Done if !say.refusal.is_empty() => "refusal",
        End::Done if say.calls.is_empty() => "end_turn",
        End::Done => "tool_use",
    };
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": usage}));
    events.push(json!({"type": "message_stop"}));
    frames(&events)
}

fn responses(say: &Say) -> String {
    let mut output = Vec::new();
    if let Some(thought) = say.thought {
        output.push(
            json!({"type": "reasoning", "id": "rs_1", "encrypted_content": say.state,
            "summary": [{"type": "summary_text", "text": thought}]}),
        );
    }
    let mut content = Vec::new();
    if !say.text.is_empty() {
        content.push(json!({"type": "output_text", "text": say.text, "annotations": []}));
    }
    if !say.refusal.is_empty() {
        content.push(json!({"type": "refusal", "refusal": say.refusal}));
    }
    if !content.is_empty() {
        output.push(json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}));
    }
    for id in say.calls {
        output.push(
            json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "look",
            "arguments": "{\"at\":1}", "status": "completed"}),
        );
    }
    let response = |status: &str, output: &[Value]| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status,
            "output": output, "error": null, "incomplete_details": null,
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}})
    };
    let mut events =
        vec![json!({"type": "response.created", "response": response("in_progress", &[])})];
    for (index, item) in output.iter().enumerate() {
        if item["type"] == "message" && !say.text.is_empty() {
            let mut open = item.clone();
            open["content"] = json!([]);
            open["status"] = json!("in_progress");
            events.push(
                json!({"type": "response.output_item.added", "output_index": index, "item": open}),
            );
            events.push(json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": index,
                "content_index": 0, "delta": say.text}));
        }
        if matches!(say.end, End::Done | End::Length) {
            events.push(
                json!({"type": "response.output_item.done", "output_index": index, "item": item}),
            );
        }
    }
    match say.end {
        End::Never => {}
        End::Error => {
            let mut failed = response("failed", &output);
            failed["error"] = json!({"code": "server_error", "message": "gone"});
            events.push(json!({"type": "response.failed", "response": failed}));
        }
        End::Length => {
            let mut cut = response("incomplete", &output);
            cut["incomplete_details"] = json!({"reason": "max_output_tokens"});
            events.push(json!({"type": "response.incomplete", "response": cut}));
        }
        End::Done => {
            events.push(
                json!({"type": "response.completed", "response": response("completed", &output)}),
            );
        }
    }
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    frames(&events)
}

fn command_code(say: &Say) -> String {
    let mut lines = Vec::new();
    if let Some(thought) = say.thought {
        lines.push(json!({"type": "reasoning-delta", "text": thought}));
    }
    for text in [say.text, say.refusal]
        .into_iter()
        .filter(|text| !text.is_empty())
    {
        lines.push(json!({"type": "text-delta", "text": text}));
    }
    for id in say.calls {
        lines.push(
            json!({"type": "tool-call", "toolCallId": id, "toolName": "look", "input": {"at": 1}}),
        );
    }
    let finish = match say.end {
        End::Never => None,
        End::Error => {
            lines.push(json!({"type": "error", "error": "gone"}));
            None
        }
        End::Length => Some("length"),
        End::Done if !say.refusal.is_empty() => Some("content-filter"),
        End::Done if say.calls.is_empty() => Some("stop"),
        End::Done => Some("tool-calls"),
    };
    if let Some(finish) = finish {
        lines.push(json!({"type": "finish", "finishReason": finish, "totalUsage": {"inputTokens": 10, "outputTokens": 5}}));
    }
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    lines.concat()
}
