//! A made-up answer that calls every tool of a request by its wire name: the calls must reach the client under the names, in the
//! namespaces and in the forms of its own declaration.

use std::fmt::Write as _;
use std::sync::Arc;

use polywire_conversation::{Event, Form, ReadStream, StopReason, StreamEnd};
use polywire_dialect_chat::ChatReader;
use polywire_sse::Decoder;
use serde_json::{Value, json};

use crate::Translated;
use crate::declared::{self, Declared};

/// What a free text may hold.
const FREE_TEXT: &str = "*** Begin Patch\n+\"q\" \\ \t\u{1F570}\n*** End Patch";

/// A call as it came back.
#[derive(Debug, PartialEq)]
struct Called {
    tool: Declared,
    input: String,
}

/// Checks one request.
pub(crate) fn check(place: &str, translated: &Translated) {
    let ledger = &translated.rendered.ledger;
    let tools = declared::tools(&translated.sent);
    if tools.is_empty() {
        return;
    }
    let wire: Vec<(&str, String)> = tools
        .iter()
        .map(|tool| {
            let name = ledger.declared_wire_name(&tool.name, tool.namespace.as_deref());
            (name.unwrap(), wire_arguments(tool.form))
        })
        .collect();
    let expected: Vec<Called> = tools
        .iter()
        .map(|tool| Called {
            tool: tool.clone(),
            input: client_input(tool.form),
        })
        .collect();
    let reader = ChatReader::new(Arc::new(ledger.clone()), "seed");
    assert_eq!(read(place, reader, &stream(&wire)), expected, "{place}");
}

fn wire_arguments(form: Form) -> String {
    match form {
        Form::Function | Form::Search => client_input(form),
        Form::Freeform => json!({"input": FREE_TEXT}).to_string(),
    }
}

fn client_input(form: Form) -> String {
    match form {
        Form::Function => r#"{"a":"\"b\"","n":1.50}"#.to_owned(),
        Form::Search => r#"{"query":"sums","limit":3}"#.to_owned(),
        Form::Freeform => FREE_TEXT.to_owned(),
    }
}

/// A stream of these calls, with the arguments of each in two pieces.
fn stream(calls: &[(&str, String)]) -> Vec<u8> {
    let mut out = String::new();
    let mut chunk = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        let chunk =
            json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": choices});
        write!(out, "data: {chunk}\n\n").unwrap();
    };
    for (index, (name, arguments)) in calls.iter().enumerate() {
        let middle =
            (arguments.len() / 2..=arguments.len()).find(|at| arguments.is_char_boundary(*at));
        let (first, second) = arguments.split_at(middle.unwrap());
        let head = json!({"index": index, "id": format!("call_{index}"), "type": "function",
            "function": {"name": name, "arguments": first}});
        chunk(json!({"tool_calls": [head]}), Value::Null);
        let rest = json!({"index": index, "function": {"arguments": second}});
        chunk(json!({"tool_calls": [rest]}), Value::Null);
    }
    chunk(json!({}), json!("tool_calls"));
    out.push_str("data: [DONE]\n\n");
    out.into_bytes()
}

/// The whole calls of a stream.
fn read(place: &str, mut reader: ChatReader, stream: &[u8]) -> Vec<Called> {
    let mut calls: Vec<Called> = Vec::new();
    let mut ended = 0;
    let mut finished = None;
    let mut sink = |event: Event<'_>| match event {
        Event::CallStart { tool, .. } => {
            assert!(tool.declared, "{place}: {tool:?}");
            calls.push(Called {
                tool: Declared {
                    name: tool.name.to_owned(),
                    namespace: tool.namespace.map(str::to_owned),
                    form: tool.form,
                },
                input: String::new(),
            });
        }
        Event::CallDelta(text) => calls.last_mut().unwrap().input.push_str(&text.to_plain()),
        Event::CallEnd => ended += 1,
        Event::Finish(reason) => finished = Some(reason),
        Event::Start { .. } => {}
        other => panic!("{place}: {other:?}"),
    };
    let mut decoder = Decoder::new(1 << 20);
    decoder
        .push(stream, |frame| reader.push(frame, &mut sink))
        .unwrap();
    reader.finish(StreamEnd::Closed, &mut sink);
    assert_eq!(finished, Some(StopReason::Calls), "{place}");
    assert_eq!(ended, calls.len(), "{place}");
    calls
}
