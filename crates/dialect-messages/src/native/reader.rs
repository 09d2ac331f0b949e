//! A provider's answer, frame by frame, for a client of the same protocol.

use std::borrow::Cow;
use std::sync::Arc;

use polywire_conversation::{Event, EventSink, Ledger, Native, OpaqueKind, ReadStream, StreamEnd};
use polywire_sse::Frame;

use super::patch::{Patch, string};
use crate::MessagesReader;
use crate::read::frame::{Content, content, utf8};
use crate::read::wire::{self, Block, Delta, Envelope, Raw, elements, inner, word};

/// Puts state of a provider's reasoning into an envelope that the client can hold.
pub type Seal = Box<dyn Fn(OpaqueKind, &str) -> String + Send>;

/// Passes the frames of an answer on, and reads them for the gateway.
///
/// Each frame comes as an [`Event::Native`], followed by the events that [`MessagesReader`] makes of it. Changed is only the state
/// of reasoning, which goes out sealed. Frames that are no events of the protocol, errors and repeated starts are not passed
/// on; an error becomes the fault at the end. A message that ends without saying so is ended.
pub struct NativeReader {
    inner: MessagesReader,
    seal: Seal,
    /// Signatures that are not whole yet.
    held: Vec<HeldSignature>,
    started: bool,
    stopped: bool,
}

/// A signature whose pieces are collected, because only the whole of it can be sealed.
struct HeldSignature {
    index: Option<u64>,
    /// The frame of the first piece, without the piece.
    before: String,
    after: String,
    signature: String,
}

impl NativeReader {
    /// A reader for one answer. `ledger` and `seed` are those of [`MessagesReader::new`]. `seal` must give text that stands in JSON.
    pub fn new(ledger: Arc<Ledger>, seed: &str, seal: Seal) -> Self {
        Self {
            inner: MessagesReader::new(ledger, seed),
            seal,
            held: Vec::new(),
            started: false,
            stopped: false,
        }
    }

    fn pass(&mut self, envelope: &Envelope<'_>, data: &str, sink: &mut dyn EventSink) {
        let kind = word(envelope.kind);
        let index = wire::count(envelope.index);
        let mut patch = Patch::new(data);
        match kind {
            "" => return,
            "message_start" if std::mem::replace(&mut self.started, true) => return,
            "message_stop" if std::mem::replace(&mut self.stopped, true) => return,
            "message_delta" | "message_stop" => self.release(|_| true, sink),
            "content_block_start" => self.seal_block(envelope.content_block, &mut patch),
            "content_block_stop" => self.release(|held| held.index == index, sink),
            "content_block_delta" => {
                let delta: Delta<'_> = inner(envelope.delta);
                if word(delta.kind) == "signature_delta"
                    && self.hold(index, delta.signature, &patch)
                {
                    return;
                }
            }
            // The whole message, in place of its events.
            "message" => {
                self.seal_message(envelope, &mut patch);
                emit("", &patch.apply(), sink);
                return;
            }
            _ => {}
        }
        emit(kind, &patch.apply(), sink);
    }

    fn seal_message(&self, message: &Envelope<'_>, patch: &mut Patch<'_>) {
        for block in elements(message.content) {
            self.seal_block(Some(block), patch);
        }
    }

    fn seal_block(&self, raw: Raw<'_>, patch: &mut Patch<'_>) {
        let block: Block<'_> = inner(raw);
        let (kind, value) = match word(block.kind) {
            "thinking" => (OpaqueKind::Signature, block.signature),
            "redacted_thinking" => (OpaqueKind::Redacted, block.data),
            _ => return,
        };
        if let (Some(value), Some(state)) = (value, wire::string(value)) {
            patch.replace_with_string(value, &(self.seal)(kind, &state));
        }
    }

    /// Keeps a piece of a signature. `false` for one that says nothing.
    fn hold(&mut self, index: Option<u64>, raw: Raw<'_>, patch: &Patch<'_>) -> bool {
        let (Some(value), Some(piece)) = (raw, wire::string(raw)) else {
            return false;
        };
        if let Some(held) = self.held.iter_mut().find(|held| held.index == index) {
            held.signature.push_str(&piece);
            return true;
        }
        let (before, after) = patch.around(value);
        self.held.push(HeldSignature {
            index,
            before: before.to_owned(),
            after: after.to_owned(),
            signature: piece,
        });
        true
    }

    /// Passes signatures on that are whole now.
    fn release(&mut self, is_whole: impl Fn(&HeldSignature) -> bool, sink: &mut dyn EventSink) {
        let (whole, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(is_whole);
        self.held = held;
        let whole: Vec<HeldSignature> = whole;
        for held in whole {
            let sealed = string(&(self.seal)(OpaqueKind::Signature, &held.signature));
            let data = format!("{}{sealed}{}", held.before, held.after);
            emit("content_block_delta", &data, sink);
        }
    }

    /// Ends a message whose provider did not say that it ends.
    fn stop(&mut self, sink: &mut dyn EventSink) {
        if self.started && !std::mem::replace(&mut self.stopped, true) {
            self.release(|_| true, sink);
            emit("message_stop", r#"{"type":"message_stop"}"#, sink);
        }
    }
}

impl ReadStream for NativeReader {
    fn push(&mut self, frame: Frame<'_>, sink: &mut dyn EventSink) {
        if self.inner.is_done() {
            return;
        }
        let data = utf8(frame.data);
        let content = content(frame.event, &data);
        match &content {
            Content::Event(envelope) => self.pass(envelope, &data, sink),
            Content::Done => self.stop(sink),
            Content::Nothing | Content::Error | Content::Unreadable => {}
        }
        self.inner.read(&content, &data, sink);
    }

    fn whole(&mut self, body: &[u8], sink: &mut dyn EventSink) {
        if self.inner.is_done() {
            return;
        }
        let data = utf8(body);
        if let Content::Event(envelope) = content(b"", &data)
            && envelope.content.is_some()
        {
            let mut patch = Patch::new(&data);
            self.seal_message(&envelope, &mut patch);
            emit("", &patch.apply(), sink);
        }
        self.inner.whole(body, sink);
    }

    fn finish(&mut self, end: StreamEnd, sink: &mut dyn EventSink) {
        if self.inner.is_ending() {
            self.stop(sink);
        }
        self.inner.finish(end, sink);
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    fn is_ending(&self) -> bool {
        self.inner.is_ending()
    }
}

fn emit(event: &str, data: &str, sink: &mut dyn EventSink) {
    // A line break in JSON is white space: inside a string it is escaped.
    let data = if data.contains(['\n', '\r']) {
        Cow::Owned(data.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(data)
    };
    let data = &*data;
    sink.event(Event::Native(Native { event, data }));
}
