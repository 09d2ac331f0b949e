//! Answers to write, and what becomes of them, line by line.

use polywire_conversation::{
    Event, Form, Loss, Opaque, OpaqueKind, Raised, StopReason, Text, Usage, WriteStream,
};
use polywire_dialect_responses::{Client, Echo, ResponsesWriter, WriterOptions};
use polywire_sse::{Decoder, FrameBuffer};
use serde_json::{Value, json};

pub(crate) const CREATED_AT: u64 = 1_795_000_000;

pub(crate) fn options(client: Client, echo: Echo) -> WriterOptions {
    WriterOptions {
        response_id: "resp_0001".to_owned(),
        created_at: CREATED_AT,
        model: "house/small \"model\"".to_owned(),
        client,
        echo,
        output_tokens_max: Some(4096),
        previous_response_id: None,
        store: false,
        logprobs: false,
        compaction: None,
    }
}

pub(crate) fn writer(client: Client, echo: Echo) -> ResponsesWriter {
    ResponsesWriter::new(options(client, echo))
}

/// The frames that events become: name and data.
pub(crate) fn frames(
    writer: &mut ResponsesWriter,
    events: Vec<Event<'static>>,
) -> Vec<(String, Value)> {
    let mut buffer = FrameBuffer::new();
    for event in events {
        if let Event::Finish(_) | Event::Fault(_) = event {
            writer.tick(CREATED_AT + 5);
        }
        writer.push(event, &mut buffer);
    }
    decoded(&buffer.take())
}

pub(crate) fn decoded(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(1 << 30);
    let mut keep = |frame: polywire_sse::Frame<'_>| {
        frames.push((
            String::from_utf8(frame.event.to_vec()).unwrap(),
            serde_json::from_slice(frame.data).unwrap(),
        ));
    };
    decoder.push(bytes, &mut keep).unwrap();
    decoder.finish(&mut keep);
    frames
}

/// One event in one line. Of response objects only what changes is shown, and of long ids the beginning.
pub(crate) fn line(data: &Value) -> String {
    let mut data = data.clone();
    let object = data.as_object_mut().unwrap();
    let name = object.shift_remove("type").unwrap();
    let number = object.shift_remove("sequence_number").unwrap();
    if let Some(Value::Object(response)) = object.get_mut("response") {
        let shown = [
            "completed_at",
            "error",
            "incomplete_details",
            "output",
            "usage",
        ];
        response.retain(|key, value| {
            shown.contains(&key.as_str()) && !value.is_null() && *value != json!([])
        });
        if let Some(Value::Array(items)) = response.get_mut("output") {
            for item in items {
                *item = item["id"].clone();
            }
        }
    }
    let line = format!("{number} {} {data}", name.as_str().unwrap());
    with_short_ids(&line)
}

pub(crate) fn with_short_ids(line: &str) -> String {
    let mut words = line.split('"').map(|word| match word.split_once('_') {
        Some((prefix, hash)) if hash.len() == 32 => format!("{prefix}_{}…", &hash[..4]),
        _ => word.to_owned(),
    });
    let first = words.next().unwrap_or_default();
    words.fold(first, |line, word| line + "\"" + &word)
}

pub(crate) fn text(plain: &'static str) -> Event<'static> {
    Event::TextDelta(Text::plain(plain))
}

pub(crate) fn escaped(body: &'static str) -> Text<'static> {
    Text::escaped(body)
}

pub(crate) fn call(id: &'static str, name: &'static str, form: Form) -> Event<'static> {
    call_in(None, id, name, form)
}

pub(crate) fn call_in(
    namespace: Option<&'static str>,
    id: &'static str,
    name: &'static str,
    form: Form,
) -> Event<'static> {
    Event::CallStart {
        id,
        tool: Raised {
            name,
            namespace,
            form,
            declared: true,
        },
    }
}

pub(crate) const START: Event<'static> = Event::Start {
    id: Some("chatcmpl-1"),
    model: Some("upstream-model"),
};

pub(crate) const USAGE: Event<'static> = Event::Usage(Usage {
    input: Some(120),
    cached: Some(100),
    cache_write: None,
    output: Some(30),
    reasoning: Some(12),
    estimated: false,
});

pub(crate) fn everything() -> Vec<Event<'static>> {
    vec![
        START,
        Event::ReasoningStart,
        Event::ReasoningDelta(escaped(r"First \u0041")),
        Event::ReasoningDelta(Text::plain(", then \"B\".")),
        Event::ReasoningOpaque(Opaque {
            kind: OpaqueKind::Signature,
            state: Text::plain("not for the client"),
        }),
        Event::ReasoningOpaque(Opaque {
            kind: OpaqueKind::Sealed,
            state: Text::plain("sealed=="),
        }),
        Event::ReasoningEnd,
        Event::TextStart,
        text("Let me "),
        Event::TextDelta(escaped(r"look:\n\ud83d\udd70")),
        Event::TextDelta(Text::EMPTY),
        Event::TextEnd,
        call("call_1", "exec_command", Form::Function),
        Event::CallDelta(escaped(r#"{\"cmd\":"#)),
        Event::CallDelta(escaped(r#"\"ls\"}"#)),
        Event::CallEnd,
        call_in(Some("mcp__sums"), "call_2", "add", Form::Function),
        Event::CallEnd,
        call("call_3", "apply_patch", Form::Freeform),
        Event::CallDelta(Text::plain("*** Begin Patch\n")),
        Event::CallDelta(Text::plain("*** End Patch")),
        Event::CallEnd,
        call("call_4", "tool_search", Form::Search),
        Event::CallDelta(Text::plain("{\n \"query\":")),
        Event::CallDelta(Text::plain(" \"sums\\n\"}\r\n")),
        Event::CallEnd,
        Event::Loss(Loss::note("a", "b")),
        USAGE,
        Event::Finish(StopReason::Calls),
    ]
}
