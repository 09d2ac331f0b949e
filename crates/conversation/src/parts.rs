//! Emits the parts of an answer, one open at a time.

use crate::{Event, EventSink, Opaque, OpaqueKind, Raised, Text};

/// A kind of part that consists of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Readable reasoning.
    Reasoning,
    /// Visible text.
    Text,
    /// A refusal.
    Refusal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Said(Kind),
    Call,
}

/// What came while a call was open that could not be closed yet.
#[derive(Debug)]
enum Deferred {
    Said(Kind, Text<'static>),
    Opaque(OpaqueKind, Text<'static>),
}

/// The parts of an answer, in the order that [`Event`] promises.
///
/// The start of the answer is announced with its first part, so that an answer that fails before it can still be replaced.
#[derive(Debug, Default)]
pub struct Parts {
    id: Option<String>,
    model: Option<String>,
    started: bool,
    open: Open,
    deferred: Vec<Deferred>,
    deferred_bytes: usize,
    said: bool,
}

impl Parts {
    /// Remembers what the answer calls itself. The first words count.
    pub fn named(
        &mut self,
        id: impl FnOnce() -> Option<String>,
        model: impl FnOnce() -> Option<String>,
    ) {
        if self.started {
            return;
        }
        if self.id.is_none() {
            self.id = id();
        }
        if self.model.is_none() {
            self.model = model();
        }
    }

    /// Announces the answer, unless that has been done.
    pub fn start(&mut self, sink: &mut dyn EventSink) {
        if !std::mem::replace(&mut self.started, true) {
            sink.event(Event::Start {
                id: self.id.as_deref(),
                model: self.model.as_deref(),
            });
        }
    }

    /// Whether any part has begun.
    pub fn any(&self) -> bool {
        self.said
    }

    /// Whether a part of this kind is open.
    pub fn is_open(&self, kind: Kind) -> bool {
        self.open == Open::Said(kind)
    }

    /// Whether a call is open.
    pub fn call_is_open(&self) -> bool {
        self.open == Open::Call
    }

    /// How many bytes wait for the open call to end.
    pub fn deferred_bytes(&self) -> usize {
        self.deferred_bytes
    }

    /// Emits a piece of text, opening a part for it if need be. While a call is open it waits.
    pub fn say(&mut self, kind: Kind, piece: Text<'_>, sink: &mut dyn EventSink) {
        if piece.is_empty() {
            return;
        }
        if self.call_is_open() {
            self.deferred_bytes += piece.as_written().len();
            self.deferred.push(Deferred::Said(kind, piece.into_owned()));
            return;
        }
        self.open_said(kind, sink);
        sink.event(match kind {
            Kind::Reasoning => Event::ReasoningDelta(piece),
            Kind::Text => Event::TextDelta(piece),
            Kind::Refusal => Event::RefusalDelta(piece),
        });
    }

    /// Emits opaque reasoning state, as a piece of a reasoning part.
    pub fn opaque(&mut self, kind: OpaqueKind, state: Text<'_>, sink: &mut dyn EventSink) {
        if self.call_is_open() {
            self.deferred_bytes += state.as_written().len();
            self.deferred
                .push(Deferred::Opaque(kind, state.into_owned()));
            return;
        }
        self.open_said(Kind::Reasoning, sink);
        sink.event(Event::ReasoningOpaque(Opaque { kind, state }));
    }

    /// Opens a call.
    pub fn start_call(&mut self, id: &str, tool: Raised<'_>, sink: &mut dyn EventSink) {
        self.close(sink);
        self.start(sink);
        self.said = true;
        self.open = Open::Call;
        sink.event(Event::CallStart { id, tool });
    }

    /// Ends the open call, and then says what had to wait for that.
    pub fn end_call(&mut self, cut: bool, sink: &mut dyn EventSink) {
        self.open = Open::Nothing;
        sink.event(if cut { Event::CallCut } else { Event::CallEnd });
        self.deferred_bytes = 0;
        for deferred in std::mem::take(&mut self.deferred) {
            match deferred {
                Deferred::Said(kind, piece) => self.say(kind, piece, sink),
                Deferred::Opaque(kind, state) => self.opaque(kind, state, sink),
            }
        }
    }

    /// Ends the open part of text. An open call is ended by [`end_call`](Parts::end_call) only.
    pub fn close(&mut self, sink: &mut dyn EventSink) {
        if let Open::Said(kind) = self.open {
            self.open = Open::Nothing;
            sink.event(match kind {
                Kind::Reasoning => Event::ReasoningEnd,
                Kind::Text => Event::TextEnd,
                Kind::Refusal => Event::RefusalEnd,
            });
        }
    }

    fn open_said(&mut self, kind: Kind, sink: &mut dyn EventSink) {
        if self.open == Open::Said(kind) {
            return;
        }
        self.close(sink);
        self.start(sink);
        self.said = true;
        self.open = Open::Said(kind);
        sink.event(match kind {
            Kind::Reasoning => Event::ReasoningStart,
            Kind::Text => Event::TextStart,
            Kind::Refusal => Event::RefusalStart,
        });
    }
}
