//! Calls, one open at a time.

use polywire_conversation::{EventSink, Loss, Text, ids};
use serde_json::value::RawValue;

use super::Output;
use crate::read::calls::{Call, CallKind, End};
use crate::read::lose;
use crate::read::said::LastWord;
use crate::read::wire::{WireOutput, object, word};

impl Output {
    /// A piece of a call's input.
    pub(in crate::read) fn call_piece(
        &mut self,
        index: u64,
        kind: CallKind,
        piece: Option<Text<'_>>,
        sink: &mut dyn EventSink,
    ) {
        let Some(piece) = piece else {
            return;
        };
        let at = self.item(index, "function_call");
        let item = &mut self.items[at];
        if item.done {
            return;
        }
        let call = item.call.get_or_insert_with(|| Call::new(kind));
        call.push(piece, sink);
        self.open_if_ready(at, sink);
    }

    pub(super) fn open_if_ready(&mut self, at: usize, sink: &mut dyn EventSink) {
        let ready = self.items[at]
            .call
            .as_ref()
            .is_some_and(|call| !call.opened && call.may_open());
        if ready {
            self.open(at, sink);
        }
    }

    /// The whole input of a call, before its item is done.
    pub(in crate::read) fn call_input(
        &mut self,
        index: u64,
        whole: Option<Text<'_>>,
        sink: &mut dyn EventSink,
    ) {
        let Some(at) = self.find(index) else {
            return;
        };
        if self.items[at].done {
            return;
        }
        let Some(call) = &mut self.items[at].call else {
            return;
        };
        // Whether the two agree is settled when the item is done.
        if let Some(whole) = whole
            && let LastWord::Rest(rest) = call.input.compare(&whole)
        {
            call.push(rest, sink);
            self.open_if_ready(at, sink);
        }
    }

    pub(super) fn open(&mut self, at: usize, sink: &mut dyn EventSink) {
        self.close_part(sink);
        let position = self.ids.len();
        let Some(call) = &mut self.items[at].call else {
            return;
        };
        let usable = ids::is_usual(&call.id) && !self.ids.contains(&call.id);
        let id = if usable {
            call.id.clone()
        } else {
            ids::made_from(&format!("{}/{position}", self.seed))
        };
        let parts = &mut self.parts;
        call.open(
            &id,
            &self.ledger,
            |id, tool, sink| parts.start_call(id, tool, sink),
            sink,
        );
        self.ids.push(id);
        self.open_call = Some(at);
    }

    pub(super) fn end_call(&mut self, at: usize, end: End, sink: &mut dyn EventSink) {
        self.items[at].done = true;
        self.open_call = None;
        self.calls_whole += usize::from(end == End::Whole);
        self.parts.end_call(end == End::Cut, sink);
    }

    pub(super) fn call_done(&mut self, at: usize, wire: &WireOutput<'_>, sink: &mut dyn EventSink) {
        let item = &mut self.items[at];
        match (&mut item.call, Call::of(wire)) {
            (Some(call), _) => call.read_target(wire),
            (call @ None, found) => *call = found,
        }
        let Some(call) = &mut item.call else {
            return;
        };
        let whole = call.whole_input(wire).unwrap_or_default();
        let agrees = whole.is_empty() || call.settle_input(&whole, sink);
        let status = word(wire.status);
        let is_cut = matches!(status.as_deref(), Some("incomplete" | "failed")) || self.is_failing;
        if !agrees {
            lose(
                Loss::severe(
                    format!("call of `{}`", call.name),
                    "its whole input is not what was streamed of it; it must not be carried out",
                ),
                sink,
            );
        }
        if is_cut || !agrees {
            self.cut(at, sink);
        } else {
            self.complete(at, sink);
        }
    }

    /// Ends a call as one that is to be carried out, if it is whole.
    pub(super) fn complete(&mut self, at: usize, sink: &mut dyn EventSink) {
        let Some(call) = &self.items[at].call else {
            return;
        };
        if call.name.is_empty() {
            lose(
                Loss::severe("a call", "has no name; left out: nobody can carry it out"),
                sink,
            );
            self.items[at].done = true;
            return;
        }
        if !call.opened {
            self.open(at, sink);
        }
        let Some(call) = &mut self.items[at].call else {
            return;
        };
        let end = call.end(sink);
        if end == End::Whole {
            call.finish_input(sink);
        }
        self.end_call(at, end, sink);
    }

    /// Ends a call as one that must not be carried out. Of one that nobody heard of nothing is told when the answer has failed.
    pub(super) fn cut(&mut self, at: usize, sink: &mut dyn EventSink) {
        let Some(call) = &self.items[at].call else {
            return;
        };
        if !call.opened {
            if self.is_failing || call.name.is_empty() {
                self.items[at].done = true;
                return;
            }
            self.open(at, sink);
        }
        self.end_call(at, End::Cut, sink);
    }

    /// Ends the open call, because the answer is over: by what the response says of it, else as one that was cut.
    pub(in crate::read) fn settle_open_call(
        &mut self,
        output: &[&RawValue],
        sink: &mut dyn EventSink,
    ) {
        if let Some(at) = self.open_call {
            self.settle_call(at, output, sink);
        }
    }

    /// The same for calls that were announced and not opened.
    pub(in crate::read) fn settle_waiting_calls(
        &mut self,
        output: &[&RawValue],
        sink: &mut dyn EventSink,
    ) {
        for at in 0..self.items.len() {
            if self.items[at].call.is_some() && !self.items[at].done {
                self.settle_call(at, output, sink);
            }
        }
    }

    pub(super) fn settle_call(
        &mut self,
        at: usize,
        output: &[&RawValue],
        sink: &mut dyn EventSink,
    ) {
        let id = self.items[at].call.as_ref().map(|call| call.id.clone());
        let told = output.iter().find_map(|raw| {
            let wire: WireOutput<'_> = object(Some(raw))?;
            let is_it = Call::of(&wire).is_some() && word(wire.call_id) == id;
            is_it.then_some(wire)
        });
        if let Some(wire) = told {
            self.call_done(at, &wire, sink);
            return;
        }
        if !self.is_failing {
            let call = self.items[at].call.as_ref();
            let call = call.filter(|call| !call.name.is_empty());
            let what = call.map(|call| format!("call of `{}`", call.name));
            lose(
                Loss::severe(
                    what.unwrap_or_else(|| "a call".to_owned()),
                    "the answer ended before it was whole; it was cut off",
                ),
                sink,
            );
        }
        self.cut(at, sink);
    }
}
