//! What is read from the streams of each kind of provider.

use std::fmt::Write as _;
use std::sync::Arc;

use polywire_conversation::{
    Event, Form, Ledger, NameRule, OpaqueKind, ReadStream, StreamEnd, Usage,
};
use polywire_dialect_chat::ChatReader;
use polywire_dialect_command_code::CommandCodeReader;
use polywire_dialect_messages::MessagesReader;
use polywire_dialect_responses::ResponsesReader;
use polywire_sse::Frame;

use crate::leaves::words;

/// What providers send: a heading for the kind; then for each thing its name and the frames of a stream that has it, one on a line.
const PROBES: &str = include_str!("streams.txt");

fn reader(kind: &str) -> Box<dyn ReadStream> {
    let mut ledger = Ledger::new(NameRule::default());
    ledger.declare("get", None, Form::Function);
    ledger.declare("apply_patch", None, Form::Freeform);
    ledger.declare("tool_search", None, Form::Search);
    ledger.declare("add", Some("space"), Form::Function);
    let ledger = Arc::new(ledger);
    match kind {
        "Chat" => Box::new(ChatReader::new(ledger, "seed")),
        "Messages" => Box::new(MessagesReader::new(ledger, "seed")),
        "Responses" => Box::new(ResponsesReader::new(ledger, "seed")),
        _ => Box::new(CommandCodeReader::new(ledger, "seed")),
    }
}

/// Events in words, in order.
fn read(kind: &str, frames: &[&str]) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let mut sink = |event: Event<'_>| {
        if let Some(words) = in_words(&event)
            && said.last() != Some(&words)
        {
            said.push(words);
        }
    };
    let mut reader = reader(kind);
    for frame in frames {
        let data = frame.as_bytes();
        reader.push(Frame { event: b"", data }, &mut sink);
    }
    reader.finish(StreamEnd::Closed, &mut sink);
    said
}

fn in_words(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Start { .. }
        | Event::ReasoningStart
        | Event::ReasoningEnd
        | Event::TextStart
        | Event::TextEnd
        | Event::RefusalStart
        | Event::RefusalEnd
        | Event::CallEnd => return None,
        Event::ReasoningDelta(text) => format!("reasoning `{}`", text.to_plain()),
        Event::ReasoningOpaque(opaque) => format!("reasoning state ({})", state(opaque.kind)),
        Event::TextDelta(text) => format!("text `{}`", text.to_plain()),
        Event::Citation(citation) => format!("source `{}`", citation.url.to_plain()),
        Event::Logprobs(_) => "probabilities".to_owned(),
        Event::RefusalDelta(text) => format!("refusal `{}`", text.to_plain()),
        Event::CallStart { id, tool } => {
            let form = match tool.form {
                Form::Function => "function",
                Form::Freeform => "freeform tool",
                Form::Search => "tool search",
            };
            let space = tool.namespace.map(|space| format!(" in `{space}`"));
            format!(
                "call `{id}` of {form} `{}`{}",
                tool.name,
                space.unwrap_or_default()
            )
        }
        Event::CallDelta(text) => format!("its input `{}`", text.to_plain()),
        Event::CallCut => "the call was cut off".to_owned(),
        Event::WebSearch(search) => format!(
            "web search `{}`, {} sources",
            search.query.to_plain(),
            search.sources.len()
        ),
        Event::Native(native) => format!("frame `{}`", native.event),
        Event::StoppedAt(text) => format!("stopped at `{}`", text.to_plain()),
        Event::Usage(usage) => numbers(usage),
        Event::Loss(loss) => format!("*loss*: {loss}"),
        Event::Finish(reason) => format!("end: `{}`", reason.name()),
        Event::Fault(fault) => format!("failure `{}`: {}", fault.class.name(), fault.message),
    })
}

fn state(kind: OpaqueKind) -> &'static str {
    kind.name()
}

fn numbers(usage: &Usage) -> String {
    let numbers = [
        ("input", usage.input),
        ("cached", usage.cached),
        ("cache write", usage.cache_write),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
    ];
    let told = numbers
        .iter()
        .filter_map(|(name, number)| Some(format!("{name} {}", (*number)?)));
    format!("usage: {}", told.collect::<Vec<_>>().join(", "))
}

/// The tables of all kinds of providers.
pub(crate) fn chapter(silent: &mut Vec<String>) -> String {
    let mut page = String::from(HEAD);
    let mut kind = "";
    let mut lines = PROBES.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("# ") {
            kind = heading;
            write!(
                page,
                "\n### Streams of {kind} providers\n\n| sent | read |\n|---|---|\n"
            )
            .unwrap();
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let mut frames = Vec::new();
        while let Some(frame) = lines.next_if(|frame| !frame.is_empty()) {
            frames.push(frame);
        }
        let read = read(kind, &frames);
        if read.is_empty() || read == ["end: `stop`"] && !line.contains("end") {
            silent.push(format!("{kind} stream: {line}"));
        }
        writeln!(page, "| {line} | {} |", words(&read.join("; "))).unwrap();
    }
    page
}

const HEAD: &str = "
## Answers, as they are read

What the readers make of what providers send. Every answer ends with one end or one failure; a stream that breaks off is a failure, and a
call that was not complete by then is never carried out.
";
