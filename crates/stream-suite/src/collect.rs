//! Bytes in, events out, one line per event.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polywire_conversation::{
    Citation, Event, Fault, Form, Ledger, NameRule, ReadStream, StreamEnd, Text, Usage,
};
use polywire_sse::{Decoder, LineDecoder};

/// An event without borrows, with neighbouring deltas of one part joined.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each stands for the event of its name")]
pub enum Seen {
    Start {
        id: Option<String>,
        model: Option<String>,
    },
    Open(&'static str),
    Delta(&'static str, String),
    Opaque(String),
    Close(&'static str),
    Call {
        id: String,
        name: String,
        namespace: Option<String>,
        form: Form,
        declared: bool,
    },
    CallEnd,
    CallCut,
    Citation(String),
    Logprobs(String),
    WebSearch(String),
    StoppedAt(String),
    Usage(Usage),
    Loss(String),
    Finish(&'static str),
    Fault(Fault),
}

/// The tools that the fixtures call with a form or a namespace of its own.
pub fn ledger() -> Arc<Ledger> {
    let mut ledger = Ledger::new(NameRule::default());
    ledger.declare("exec_command", None, Form::Function);
    ledger.declare("edit", None, Form::Freeform);
    ledger.declare("add", Some("mcp__demo"), Form::Function);
    ledger.declare("tool_search", None, Form::Search);
    ledger.declare("get_weather", None, Form::Function);
    ledger.declare("get", None, Form::Function);
    Arc::new(ledger)
}

/// Collects events, and checks the order that `Event` promises.
#[derive(Debug, Default)]
pub struct Collector {
    /// What came, in order.
    pub seen: Vec<Seen>,
    open: Option<&'static str>,
    pieces: usize,
    terminal: bool,
}

impl Collector {
    /// Takes the next event.
    pub fn take(&mut self, event: Event<'_>) {
        assert!(!self.terminal, "{event:?} after the terminal event");
        match event {
            Event::Start { id, model } => {
                let only_losses = self.seen.iter().all(|seen| matches!(seen, Seen::Loss(_)));
                assert!(only_losses, "the start is not first: {:?}", self.seen);
                self.seen.push(Seen::Start {
                    id: id.map(str::to_owned),
                    model: model.map(str::to_owned),
                });
            }
            Event::ReasoningStart => self.opens("reasoning"),
            Event::TextStart => self.opens("text"),
            Event::RefusalStart => self.opens("refusal"),
            Event::ReasoningDelta(text) => self.delta("reasoning", &text),
            Event::TextDelta(text) => self.delta("text", &text),
            Event::RefusalDelta(text) => self.delta("refusal", &text),
            Event::ReasoningOpaque(opaque) => {
                assert_eq!(self.open, Some("reasoning"));
                self.seen.push(Seen::Opaque(format!(
                    "{:?} {}",
                    opaque.kind,
                    opaque.state.to_plain()
                )));
            }
            Event::ReasoningEnd => self.closes("reasoning"),
            Event::TextEnd => self.closes("text"),
            Event::RefusalEnd => self.closes("refusal"),
            Event::CallStart { id, tool } => {
                assert!(self.open.replace("call").is_none(), "a part is open");
                let ids = self
                    .seen
                    .iter()
                    .filter(|seen| matches!(seen, Seen::Call { id: other, .. } if other == id));
                assert_eq!(ids.count(), 0, "the call id `{id}` comes twice");
                assert!(!id.is_empty() && id.len() <= 72, "{id}");
                self.seen.push(Seen::Call {
                    id: id.to_owned(),
                    name: tool.name.to_owned(),
                    namespace: tool.namespace.map(str::to_owned),
                    form: tool.form,
                    declared: tool.declared,
                });
            }
            Event::CallDelta(text) => self.delta("call", &text),
            Event::CallEnd => {
                assert_eq!(self.open.take(), Some("call"));
                self.seen.push(Seen::CallEnd);
            }
            Event::CallCut => {
                assert_eq!(self.open.take(), Some("call"));
                self.seen.push(Seen::CallCut);
            }
            Event::Usage(usage) => {
                let twice = self.seen.iter().any(|seen| matches!(seen, Seen::Usage(_)));
                assert!(!twice, "the usage comes twice");
                self.seen.push(Seen::Usage(usage));
            }
            Event::Citation(citation) => {
                assert_eq!(self.open, Some("text"), "a citation of no text");
                self.seen.push(Seen::Citation(citation_line(&citation)));
            }
            Event::Logprobs(json) => {
                assert_eq!(self.open, Some("text"), "probabilities of no text");
                self.seen.push(Seen::Logprobs(json.as_str().to_owned()));
            }
            Event::WebSearch(search) => {
                assert_eq!(self.open, None, "a part is open");
                self.seen.push(Seen::WebSearch(format!(
                    "{} {:?} {} sources{}",
                    search.id,
                    search.query.to_plain(),
                    search.sources.len(),
                    search
                        .failure
                        .map(|failure| format!(" failed: {}", failure.to_plain()))
                        .unwrap_or_default()
                )));
            }
            Event::StoppedAt(text) => self
                .seen
                .push(Seen::StoppedAt(text.to_plain().into_owned())),
            // Passes beside the events that are looked at here.
            Event::Native(_) => {}
            Event::Loss(loss) => self.seen.push(Seen::Loss(loss.to_string())),
            Event::Finish(reason) => self.ends(Seen::Finish(reason.name())),
            Event::Fault(fault) => self.ends(Seen::Fault(fault)),
        }
    }

    fn opens(&mut self, part: &'static str) {
        assert_eq!(self.open.replace(part), None, "a part is open");
        self.seen.push(Seen::Open(part));
    }

    fn closes(&mut self, part: &'static str) {
        assert_eq!(self.open.take(), Some(part), "another part is open");
        assert!(
            !matches!(self.seen.last(), Some(Seen::Open(_))),
            "an empty part"
        );
        self.seen.push(Seen::Close(part));
    }

    fn delta(&mut self, part: &'static str, text: &Text<'_>) {
        assert_eq!(self.open, Some(part), "another part is open");
        assert!(!text.is_empty(), "an empty delta");
        let mut string = Vec::new();
        text.write_string(&mut string);
        // Strict: refuses half a surrogate pair, as clients do.
        let plain: String = serde_json::from_slice(&string).expect("a delta is a JSON string");
        self.pieces += 1;
        if let Some(Seen::Delta(last, joined)) = self.seen.last_mut()
            && *last == part
        {
            joined.push_str(&plain);
        } else {
            self.seen.push(Seen::Delta(part, plain));
        }
    }

    fn ends(&mut self, seen: Seen) {
        assert_eq!(self.open, None, "a part is open at the end");
        self.terminal = true;
        self.seen.push(seen);
    }

    /// How many deltas came.
    pub fn pieces(&self) -> usize {
        self.pieces
    }
}

/// A fingerprint of the frames of a stream that arrives in these chunks.
pub(crate) fn frames(chunks: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut decoder = Decoder::new(16 << 20);
    for chunk in chunks {
        decoder
            .push(chunk, |frame| (frame.event, frame.data).hash(&mut hasher))
            .expect("frames are short");
    }
    decoder.finish(|frame| (frame.event, frame.data).hash(&mut hasher));
    hasher.finish()
}

/// A dialect under test.
#[derive(Clone, Copy)]
pub struct Bench {
    /// Makes a reader for one answer, with [`ledger`] as its ledger.
    pub reader: fn() -> Box<dyn ReadStream>,
}

impl Bench {
    /// Reads a stream that arrives in these chunks and is then closed.
    pub fn read(self, chunks: &[&[u8]]) -> Vec<Seen> {
        self.read_until(chunks, StreamEnd::Closed)
    }

    /// Reads a stream that arrives in these chunks and then ends so.
    pub fn read_until(self, chunks: &[&[u8]], end: StreamEnd) -> Vec<Seen> {
        let mut collector = Collector::default();
        let mut reader = (self.reader)();
        let mut decoder = Decoder::new(16 << 20);
        let mut sink = |event: Event<'_>| collector.take(event);
        for chunk in chunks {
            decoder
                .push(chunk, |frame| reader.push(frame, &mut sink))
                .expect("frames are short");
        }
        decoder.finish(|frame| reader.push(frame, &mut sink));
        reader.finish(end, &mut sink);
        assert!(reader.is_done());
        assert!(collector.terminal, "no terminal event");
        collector.seen
    }

    /// Reads a stream of one value per line that arrives in these chunks and then ends so.
    pub fn read_lines_until(self, chunks: &[&[u8]], end: StreamEnd) -> Vec<Seen> {
        let mut collector = Collector::default();
        let mut reader = (self.reader)();
        let mut decoder = LineDecoder::new(16 << 20);
        let mut sink = |event: Event<'_>| collector.take(event);
        for chunk in chunks {
            decoder
                .push(chunk, |frame| reader.push(frame, &mut sink))
                .expect("lines are short");
        }
        decoder.finish(|frame| reader.push(frame, &mut sink));
        reader.finish(end, &mut sink);
        assert!(reader.is_done());
        assert!(collector.terminal, "no terminal event");
        collector.seen
    }

    /// Reads a body in one piece.
    pub fn read_whole(self, body: &[u8]) -> Vec<Seen> {
        let mut collector = Collector::default();
        let mut reader = (self.reader)();
        reader.whole(body, &mut |event: Event<'_>| collector.take(event));
        assert!(reader.is_done());
        assert!(collector.terminal, "no terminal event");
        collector.seen
    }
}

fn citation_line(citation: &Citation<'_>) -> String {
    format!(
        "{} {:?} {:?} {:?}",
        citation.url.to_plain(),
        citation.title.to_plain(),
        citation.quote.as_ref().map(Text::to_plain),
        citation.span
    )
}

/// One line per event.
pub fn lines(seen: &[Seen]) -> String {
    let mut text = String::new();
    for seen in seen {
        let line = match seen {
            Seen::Start { id, model } => format!("start id={id:?} model={model:?}"),
            Seen::Open(part) => format!("{part} start"),
            Seen::Delta(part, plain) => format!("{part} {plain:?}"),
            Seen::Opaque(opaque) => format!("opaque {opaque}"),
            Seen::Close(part) => format!("{part} end"),
            Seen::Call {
                id,
                name,
                namespace,
                form,
                declared,
            } => {
                let namespace = namespace
                    .as_ref()
                    .map(|name| format!("{name} / "))
                    .unwrap_or_default();
                let undeclared = if *declared { "" } else { " (undeclared)" };
                format!("call start {id} {namespace}{name} {form:?}{undeclared}")
            }
            Seen::CallEnd => "call end".to_owned(),
            Seen::CallCut => "call cut".to_owned(),
            Seen::Citation(citation) => format!("citation {citation}"),
            Seen::Logprobs(json) => format!("logprobs {json}"),
            Seen::WebSearch(search) => format!("web search {search}"),
            Seen::StoppedAt(text) => format!("stopped at {text:?}"),
            Seen::Usage(usage) => format!("usage {}", usage_line(usage)),
            Seen::Loss(loss) => format!("loss {loss}"),
            Seen::Finish(reason) => format!("finish {reason}"),
            Seen::Fault(fault) => format!(
                "fault {} {} {:?} code={:?} {:?}",
                fault.class.name(),
                fault.status,
                fault.retry,
                fault.code,
                fault.message
            ),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Input, cached, cache-written, output, reasoning; `-` is not reported.
pub fn usage_line(usage: &Usage) -> String {
    [
        usage.input,
        usage.cached,
        usage.cache_write,
        usage.output,
        usage.reasoning,
    ]
    .map(|count| count.map_or("-".to_owned(), |count| count.to_string()))
    .join("/")
}

/// Recordings that lie beside the repository on some machines. `None`, and a line that says so, on others.
pub fn shared_fixtures() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/providers");
    if place.is_dir() {
        return Some(place);
    }
    println!("skipped: no recordings beside the repository (../shared/fixtures/providers)");
    None
}
