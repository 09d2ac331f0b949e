//! The answer of a provider of this protocol, for a client of this protocol.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use polywire_conversation::{
    Event, EventSink, Ledger, Native, OpaqueKind, ReadStream, Severity, StreamEnd,
};
use polywire_sse::Frame;
use polywire_wire::{One, wire_object};
use serde_json::value::RawValue;

use super::seal::seal_all;
use crate::ResponsesReader;
use crate::read::is_failure;

/// Seals a piece of state into what clients get to hold.
pub type NativeSeal = Box<dyn Fn(OpaqueKind, &str) -> String + Send>;

wire_object! {
    WireKind {
        tag: "type",
        response: "response",
        error: "error",
        object: "object",
        output: "output",
    }
}

/// Hands out each event of a provider as it is, with every `encrypted_content` sealed, and behind it what it means.
///
/// Events that tell of a failure are not handed out: the client gets the fault in its own words. Losses of the reading are left
/// out unless they are severe, because the client gets what they are about.
pub struct NativeReader {
    inner: ResponsesReader,
    seal: NativeSeal,
}

impl fmt::Debug for NativeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeReader")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl NativeReader {
    /// A reader for one answer; the first two are what [`ResponsesReader::new`] takes.
    pub fn new(ledger: Arc<Ledger>, seed: &str, seal: NativeSeal) -> Self {
        Self {
            inner: ResponsesReader::new(ledger, seed),
            seal,
        }
    }

    fn pass(&self, event: &str, data: &str, sink: &mut dyn EventSink) {
        let data = seal_all(data, &*self.seal);
        sink.event(Event::Native(Native { event, data: &data }));
    }
}

impl ReadStream for NativeReader {
    fn push(&mut self, frame: Frame<'_>, sink: &mut dyn EventSink) {
        if self.inner.is_done() {
            return;
        }
        if let Some((event, data)) = passing(frame) {
            self.pass(&event, &data, sink);
        }
        self.inner.push(frame, &mut meaning(sink));
    }

    fn whole(&mut self, body: &[u8], sink: &mut dyn EventSink) {
        if self.inner.is_done() {
            return;
        }
        if let Ok(text) = std::str::from_utf8(body)
            && let Ok(One(kind)) = serde_json::from_str::<One<WireKind<'_>>>(text.trim())
            && (kind.object.is_some_and(|raw| raw.get() == "\"response\"") || kind.output.is_some())
            && !is_failure("", serde_json::from_str::<&RawValue>(text.trim()).ok())
        {
            self.pass("", text.trim(), sink);
        }
        self.inner.whole(body, &mut meaning(sink));
    }

    fn finish(&mut self, end: StreamEnd, sink: &mut dyn EventSink) {
        self.inner.finish(end, &mut meaning(sink));
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
}

/// Name and data of a frame that the client gets; nothing for one that tells of a failure, or of nothing.
fn passing(frame: Frame<'_>) -> Option<(String, Cow<'_, str>)> {
    let data = String::from_utf8_lossy(frame.data);
    let One(kind) = serde_json::from_str::<One<WireKind<'_>>>(&data).ok()?;
    let tag: String = serde_json::from_str(kind.tag?.get()).ok()?;
    let fails = tag == "error" || tag.is_empty() || is_failure(&tag, kind.response);
    (!fails).then_some((tag, data))
}

/// Passes on what matters beside the provider's own events.
fn meaning(sink: &mut dyn EventSink) -> impl FnMut(Event<'_>) {
    |event| {
        let is_minor = matches!(&event, Event::Loss(loss) if loss.severity < Severity::Severe);
        if !is_minor {
            sink.event(event);
        }
    }
}
