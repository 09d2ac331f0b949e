//! What the dialect costs: rendering requests of several sizes, and reading streams event by event.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "the macros of criterion make undocumented functions; a bench that cannot go on has failed"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use polywire_conversation::{
    Call, CallInput, Event, Form, Function, Item, Json, Ledger, Message, ModelFacts, NameRule,
    Part, ReadStream, Request, Role, StreamEnd, Text, Tool, ToolResult,
};
use polywire_dialect_chat::{ChatReader, Profile, render};
use polywire_sse::{Decoder, Frame};

/// A body as escaped JSON text: lines of source code with quotes.
fn escaped(bytes: usize) -> String {
    let line = r#"    println!(\"{}\", value); // a line of code\n"#;
    line.repeat(bytes / line.len() + 1)
}

/// A coding conversation of about `bytes`, in turns of about 4 kB: a call with arguments and its output.
fn items(bytes: usize) -> Vec<Item<'static>> {
    let turns = bytes.div_ceil(4_000);
    let output = escaped(bytes.min(4_000) * 3 / 4);
    let command = escaped(bytes.min(4_000) / 4)
        .replace('\\', r"\\")
        .replace(r#"\\""#, r#"\\\""#);
    let mut items = vec![Item::Message(Message {
        role: Role::User,
        parts: vec![Part::Text(Text::plain("Mend the build."))],
        phase: None,
    })];
    for turn in 0..turns {
        let id = format!("call_{turn}");
        items.push(Item::Call(Call {
            id: id.clone().into(),
            name: "exec_command".into(),
            namespace: None,
            input: CallInput::Arguments(Text::escaped(format!(r#"{{\"cmd\":\"{command}\"}}"#))),
        }));
        items.push(Item::Result(ToolResult {
            call_id: id.into(),
            parts: vec![Part::Text(Text::escaped(output.clone()))],
            tools_loaded: Vec::new(),
            is_error: false,
        }));
    }
    items
}

/// The same items, borrowing their text as items that were parsed from a body do.
fn borrowed<'a>(items: &'a [Item<'static>]) -> Vec<Item<'a>> {
    items
        .iter()
        .map(|item| match item {
            Item::Message(message) => Item::Message(Message {
                parts: message.parts.iter().map(borrowed_part).collect(),
                ..*message
            }),
            Item::Call(Call {
                id,
                name,
                input: CallInput::Arguments(text),
                ..
            }) => Item::Call(Call {
                id: (&**id).into(),
                name: (&**name).into(),
                namespace: None,
                input: CallInput::Arguments(text.borrow()),
            }),
            Item::Result(result) => Item::Result(ToolResult {
                call_id: (&*result.call_id).into(),
                parts: result.parts.iter().map(borrowed_part).collect(),
                tools_loaded: Vec::new(),
                is_error: false,
            }),
            Item::Call(_)
            | Item::Reasoning(_)
            | Item::ToolsAdded(_)
            | Item::HostedCall { .. }
            | Item::Compaction { .. }
            | Item::Unknown { .. } => item.clone(),
        })
        .collect()
}

fn borrowed_part<'a>(part: &'a Part<'static>) -> Part<'a> {
    match part {
        Part::Text(text) => Part::Text(text.borrow()),
        Part::Image(_)
        | Part::Refusal(_)
        | Part::File(_)
        | Part::Audio(_)
        | Part::Unknown { .. } => part.clone(),
    }
}

fn tools() -> Vec<Tool<'static>> {
    let tool = |index: usize| {
        Tool::Function(Function {
            name: format!("tool_{index}").into(),
            description: Some(Text::escaped("Does something useful.\\nRead this first.")),
            parameters: Some(Json::new(
                r#"{"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"}},"required":["path"]}"#,
            )),
            strict: Some(false),
            deferred: false,
        })
    };
    (0..20).map(tool).collect()
}

fn rendering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render");
    for (name, bytes) in [
        ("1kB", 1_000),
        ("100kB", 100_000),
        ("400kB", 400_000),
        ("1MB", 1_000_000),
        ("10MB", 10_000_000),
    ] {
        let items = items(bytes);
        let request = Request {
            instructions: Some(Text::escaped("Be brief.")),
            items: borrowed(&items),
            tools: tools(),
            ..Request::default()
        };
        let profile = Profile::default();
        let body = render(&request, &ModelFacts::named("model"), &profile)
            .unwrap()
            .body;
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &request,
            |bencher, request| {
                bencher.iter(|| {
                    render(black_box(request), &ModelFacts::named("model"), &profile)
                        .unwrap()
                        .body
                        .len()
                });
            },
        );
    }
    group.finish();
}

const CHUNKS: usize = 1_000;

fn chunk(delta: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-ABCDEFGHIJKLMNOPQRSTUVWX","object":"chat.completion.chunk","created":1790000000,"model":"some/model-name-2026","system_fingerprint":"fp_0123456789","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}],"usage":null}}"#
    )
}

fn text_stream() -> Vec<String> {
    (0..CHUNKS)
        .map(|count| chunk(&format!(r#"{{"content":" word{count}\n"}}"#)))
        .collect()
}

fn reasoning_stream() -> Vec<String> {
    (0..CHUNKS)
        .map(|count| chunk(&format!(r#"{{"role":"assistant","content":"","reasoning":" w{count}","reasoning_details":[{{"type":"reasoning.text","text":" w{count}","format":"unknown","index":0}}]}}"#)))
        .collect()
}

fn call_stream(name: &str) -> Vec<String> {
    let start = format!(
        r#"{{"tool_calls":[{{"index":0,"id":"call_1","type":"function","function":{{"name":"{name}","arguments":""}}}}]}}"#
    );
    let piece = |text: &str| {
        chunk(&format!(
            r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{text}"}}}}]}}"#
        ))
    };
    let mut chunks = vec![chunk(&start), piece(r#"{\"input\":\""#)];
    chunks.extend((0..CHUNKS).map(|count| piece(&format!(r"line {count}\\n"))));
    chunks.push(piece(r#"\"}"#));
    chunks
}

fn read(ledger: &Arc<Ledger>, chunks: &[String]) -> usize {
    let mut events = 0;
    let mut sink = |event: Event<'_>| {
        black_box(&event);
        events += 1;
    };
    let mut reader = ChatReader::new(Arc::clone(ledger), "seed");
    for chunk in chunks {
        let frame = Frame {
            event: b"",
            data: chunk.as_bytes(),
        };
        reader.push(frame, &mut sink);
    }
    reader.finish(StreamEnd::Closed, &mut sink);
    events
}

fn reading(criterion: &mut Criterion) {
    let mut ledger = Ledger::new(NameRule::default());
    ledger.declare("exec_command", None, Form::Function);
    ledger.declare("apply_patch", None, Form::Freeform);
    let ledger = Arc::new(ledger);
    let mut group = criterion.benchmark_group("read");
    for (name, chunks) in [
        ("text", text_stream()),
        ("reasoning_twice", reasoning_stream()),
        ("function_call", call_stream("exec_command")),
        ("freeform_call", call_stream("apply_patch")),
    ] {
        group.throughput(Throughput::Elements(chunks.len() as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &chunks,
            |bencher, chunks| {
                bencher.iter(|| read(&ledger, black_box(chunks)));
            },
        );
    }
    let stream: String = text_stream().iter().fold(String::new(), |stream, chunk| {
        stream + "data: " + chunk + "\n\n"
    });
    group.throughput(Throughput::Elements(CHUNKS as u64));
    group.bench_function("text_with_framing", |bencher| {
        bencher.iter(|| {
            let mut events = 0;
            let mut sink = |event: Event<'_>| {
                black_box(&event);
                events += 1;
            };
            let mut reader = ChatReader::new(Arc::clone(&ledger), "seed");
            let mut decoder = Decoder::new(1 << 20);
            decoder
                .push(black_box(stream.as_bytes()), |frame| {
                    reader.push(frame, &mut sink);
                })
                .unwrap();
            events
        });
    });
    group.finish();
}

criterion_group!(benches, rendering, reading);
criterion_main!(benches);
