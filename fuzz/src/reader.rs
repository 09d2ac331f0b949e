//! A provider's stream through its reader and the writer of a client, cut anywhere and ended anyhow.

use crate::cuts;
use crate::grammar::Grammar;
use crate::writer::{Reader, Written};
use polywire_conversation::{
    Event, Fault, FaultClass, Form, Ledger, NameRule, ReadStream, StreamEnd,
};
use polywire_dialect_responses::Client;
use polywire_sse::{Decoder, LineDecoder};
use std::sync::Arc;

const FRAME_BYTES_MAX: usize = 16 << 20;

/// How the answers of a provider are cut into frames.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    Events,
    Lines,
}

/// Reads a stream whole and cut as the header says, each time by a reader that `make` makes. Expects the same events both times,
/// in the order that is promised, with exactly one terminal, and that what is written for the client is well formed.
pub(crate) fn check<R: ReadStream>(
    input: &[u8],
    framing: Framing,
    make: impl Fn(Arc<Ledger>, Circumstances) -> R,
) {
    let (header, stream) = cuts::split(input);
    let circumstances = Circumstances::new(header[0]);
    let read = |chunks: &[&[u8]]| {
        let reader = make(Arc::new(ledger()), circumstances);
        read(reader, framing, chunks, circumstances)
    };
    let whole = read(&[stream]);
    assert_eq!(read(&cuts::chunks(stream, &header[1..])), whole);
}

/// What the first byte of an input decides.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances {
    broken: bool,
    /// The answer is one JSON body instead of a stream.
    whole_body: bool,
    client: Reader,
    /// The provider has the one habit that makes the reader read differently.
    pub(crate) odd_habit: bool,
}

impl Circumstances {
    fn new(bits: u8) -> Self {
        Self {
            broken: bits & 1 != 0,
            whole_body: bits & 4 != 0,
            client: match (bits >> 3 & 3, bits & 2 != 0) {
                (1, plain) => Reader::Chat { plain },
                (2, plain) => Reader::Messages { plain },
                (_, false) => Reader::Responses(Client::Codex),
                (_, true) => Reader::Responses(Client::Sdk),
            },
            odd_habit: bits & 32 != 0,
        }
    }

    fn end(self) -> StreamEnd {
        if self.broken {
            StreamEnd::Broken(Fault::new(FaultClass::NetworkCut, "the stream broke off"))
        } else {
            StreamEnd::Closed
        }
    }
}

fn read(
    mut reader: impl ReadStream,
    framing: Framing,
    chunks: &[&[u8]],
    circumstances: Circumstances,
) -> Vec<String> {
    let mut events = Vec::new();
    let mut grammar = Grammar::default();
    let mut written = Written::new(circumstances.client);
    let mut sink = |event: Event<'_>| {
        grammar.event(&event);
        events.push(format!("{event:?}"));
        written.event(event);
    };
    if circumstances.whole_body {
        reader.whole(&chunks.concat(), &mut sink);
    } else {
        match framing {
            Framing::Events => {
                let mut decoder = Decoder::new(FRAME_BYTES_MAX);
                for chunk in chunks {
                    let read = decoder.push(chunk, |frame| reader.push(frame, &mut sink));
                    assert_eq!(read, Ok(()));
                }
                decoder.finish(|frame| reader.push(frame, &mut sink));
            }
            Framing::Lines => {
                let mut decoder = LineDecoder::new(FRAME_BYTES_MAX);
                for chunk in chunks {
                    let read = decoder.push(chunk, |frame| reader.push(frame, &mut sink));
                    assert_eq!(read, Ok(()));
                }
                decoder.finish(|frame| reader.push(frame, &mut sink));
            }
        }
    }
    reader.finish(circumstances.end(), &mut sink);
    assert!(reader.is_done());
    grammar.end();
    written.end();
    events
}

/// One tool of each form, so that calls are raised in every way.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(NameRule::default());
    ledger.declare("exec_command", None, Form::Function);
    ledger.declare("apply_patch", None, Form::Freeform);
    ledger.declare("tool_search", None, Form::Search);
    ledger.declare("add", Some("mcp__demo"), Form::Function);
    ledger
}
