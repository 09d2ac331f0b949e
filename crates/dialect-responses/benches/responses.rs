//! What a request and an event cost.
//!
//! The aims, on one core of a server of 2025: a Codex request of 400 kB is read in 0.4 ms, a text delta is written in 150 ns.

#![allow(missing_docs, reason = "criterion's macros write functions without")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use polywire_conversation::{Event, Form, Raised, ReadStream, StopReason, Text, WriteStream};
use polywire_dialect_responses::{
    Client, Echo, NativeReader, ResponsesReader, ResponsesWriter, WriterOptions, parse,
};
use polywire_sse::{Frame, FrameBuffer};

/// A request as Codex sends it, of about so many bytes: tools, instructions, then rounds of reasoning, a call and its output,
/// with the escapes that program text brings along.
fn codex_request(bytes: usize) -> Vec<u8> {
    let mut body = String::from("{\"model\":\"small-model\",\"stream\":true,\"input\":[");
    body.push_str("{\"type\":\"message\",\"role\":\"developer\",\"content\":[{\"type\":\"input_text\",\"text\":\"Mend\\nthings.\"}]}");
    let listing = "    let settings = Settings::read(path)?; // as before\\n    print(\\\"one more line of a program\\\");\\n".repeat(15);
    let mut round = 0;
    let tail = "],\"tools\":[{\"type\":\"function\",\"name\":\"exec_command\",\"description\":\"Runs a command.\",\"strict\":false,\"parameters\":{\"type\":\"object\",\"properties\":{\"cmd\":{\"type\":\"string\"}}}},{\"type\":\"web_search\",\"external_web_access\":false}],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true,\"reasoning\":{\"effort\":\"medium\",\"summary\":\"auto\"},\"store\":false,\"include\":[\"reasoning.encrypted_content\"],\"prompt_cache_key\":\"0001\",\"client_metadata\":{\"session_id\":\"0001\"}}";
    while body.len() + tail.len() + listing.len() < bytes {
        write!(
            body,
            ",{{\"type\":\"reasoning\",\"id\":\"rs_{round}\",\"summary\":[{{\"type\":\"summary_text\",\"text\":\"I look at file {round}.\"}}],\"content\":null,\"encrypted_content\":null}}\
             ,{{\"type\":\"function_call\",\"id\":\"fc_{round}\",\"call_id\":\"call_{round}\",\"name\":\"exec_command\",\"arguments\":\"{{\\\"cmd\\\":\\\"cat file_{round}.rs\\\"}}\"}}\
             ,{{\"type\":\"function_call_output\",\"id\":\"fco_{round}\",\"call_id\":\"call_{round}\",\"output\":\"{listing}\"}}\
             ,{{\"type\":\"message\",\"id\":\"msg_{round}\",\"role\":\"user\",\"content\":[{{\"type\":\"input_text\",\"text\":\"Now go on with the next file and tell me what is in it.\"}}]}}"
        )
        .unwrap();
        round += 1;
    }
    body.push_str(tail);
    body.into_bytes()
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, bytes) in [
        ("1 kB", 1_000),
        ("100 kB", 100_000),
        ("400 kB", 400_000),
        ("1 MB", 1_000_000),
        ("10 MB", 10_000_000),
    ] {
        let body = codex_request(bytes);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("codex", name), &body, |bencher, body| {
            bencher.iter(|| parse(black_box(body), Client::Codex).unwrap());
        });
    }
    let body = codex_request(400_000);
    group.bench_function("sdk/400 kB", |bencher| {
        bencher.iter(|| parse(black_box(&body), Client::Sdk).unwrap());
    });
    group.finish();
}

fn writer() -> ResponsesWriter {
    ResponsesWriter::new(WriterOptions {
        response_id: "resp_0001".to_owned(),
        created_at: 1_795_000_000,
        model: "small-model".to_owned(),
        client: Client::Codex,
        echo: Echo::default(),
        output_tokens_max: None,
        previous_response_id: None,
        store: false,
        logprobs: false,
        compaction: None,
    })
}

/// So many deltas make one answer, so that the answer's own cost (its first and last events) is spread as in real ones.
const DELTAS: u64 = 2_000;

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(DELTAS));
    group.bench_function("text deltas", |bencher| {
        bencher.iter(|| answer(|| Event::TextDelta(Text::escaped(" of the\\n"))));
    });
    group.bench_function("text deltas, unescaped", |bencher| {
        bencher.iter(|| answer(|| Event::TextDelta(Text::plain(" of the\n"))));
    });
    group.bench_function("call deltas", |bencher| {
        bencher.iter(|| answer(|| Event::CallDelta(Text::escaped("\\\"path\\\":"))));
    });
    group.finish();
}

/// One answer; the buffer is emptied after each delta, as it is when each goes out alone.
fn answer(delta: impl Fn() -> Event<'static>) -> usize {
    let mut writer = writer();
    let mut out = FrameBuffer::new();
    let call = matches!(delta(), Event::CallDelta(_));
    if call {
        let tool = Raised {
            name: "exec_command",
            namespace: None,
            form: Form::Function,
            declared: true,
        };
        writer.push(Event::CallStart { id: "call_1", tool }, &mut out);
    }
    let mut bytes = 0;
    for _ in 0..DELTAS {
        writer.push(black_box(delta()), &mut out);
        bytes += out.len();
        out.clear();
    }
    let end = if call { Event::CallEnd } else { Event::TextEnd };
    writer.push(end, &mut out);
    writer.push(Event::Finish(StopReason::Stop), &mut out);
    bytes + out.len()
}

/// A stream of so many text deltas, as a provider sends them.
fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(DELTAS));
    let delta = br#"{"type":"response.output_text.delta","item_id":"msg_0123456789abcdef0123456789abcdef0123456789","output_index":0,"content_index":0,"delta":" of the\n","logprobs":[],"obfuscation":"kR3vPq","sequence_number":17}"#;
    let frame = Frame {
        event: b"response.output_text.delta",
        data: delta,
    };
    group.bench_function("text deltas", |bencher| {
        bencher.iter(|| {
            let mut reader = ResponsesReader::new(Arc::default(), "seed");
            read_all(&mut reader, frame)
        });
    });
    group.bench_function("text deltas, passed on", |bencher| {
        bencher.iter(|| {
            let seal = Box::new(|_, state: &str| state.to_owned());
            let mut reader = NativeReader::new(Arc::default(), "seed", seal);
            read_all(&mut reader, frame)
        });
    });
    group.finish();
}

fn read_all(reader: &mut dyn ReadStream, frame: Frame<'_>) -> usize {
    let mut events = 0;
    for _ in 0..DELTAS {
        reader.push(black_box(frame), &mut |event: Event<'_>| {
            black_box(&event);
            events += 1;
        });
    }
    events
}

criterion_group!(benches, requests, streams, reads);
criterion_main!(benches);
