//! A provider's stream through the chat reader and the Responses writer, cut anywhere and ended anyhow.

use crate::cuts;
use crate::grammar::Grammar;
use crate::writer::Written;
use polywire_conversation::{
    Event, Fault, FaultClass, Form, Ledger, NameRule, ReadStream, StreamEnd,
};
use polywire_dialect_chat::ChatReader;
use polywire_dialect_responses::Client;
use polywire_sse::Decoder;
use std::sync::Arc;

const FRAME_BYTES_MAX: usize = 16 << 20;

/// Reads a stream whole and cut as the header says. Expects the same events both times, in the order that is promised, with
/// exactly one terminal, and that what is written for the client is well formed.
pub fn chat_reader(input: &[u8]) {
    let (header, stream) = cuts::split(input);
    let circumstances = Circumstances::new(header[0]);
    let whole = read(&[stream], circumstances);
    let cut = read(&cuts::chunks(stream, &header[1..]), circumstances);
    assert_eq!(cut, whole);
}

/// What the first byte of an input decides.
#[derive(Clone, Copy)]
struct Circumstances {
    broken: bool,
    client: Client,
    /// The answer is one JSON body instead of a stream.
    whole_body: bool,
}

impl Circumstances {
    fn new(bits: u8) -> Self {
        Self {
            broken: bits & 1 != 0,
            client: if bits & 2 == 0 {
                Client::Codex
            } else {
                Client::Sdk
            },
            whole_body: bits & 4 != 0,
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

fn read(chunks: &[&[u8]], circumstances: Circumstances) -> Vec<String> {
    let mut events = Vec::new();
    let mut grammar = Grammar::default();
    let mut written = Written::new(circumstances.client);
    let mut sink = |event: Event<'_>| {
        grammar.event(&event);
        events.push(format!("{event:?}"));
        written.event(event);
    };
    let mut reader = ChatReader::new(Arc::new(ledger()), "seed");
    if circumstances.whole_body {
        reader.whole(&chunks.concat(), &mut sink);
    } else {
        let mut decoder = Decoder::new(FRAME_BYTES_MAX);
        for chunk in chunks {
            let read = decoder.push(chunk, |frame| reader.push(frame, &mut sink));
            assert_eq!(read, Ok(()));
        }
        decoder.finish(|frame| reader.push(frame, &mut sink));
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
