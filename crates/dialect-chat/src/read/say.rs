//! Text and reasoning on their way out: halves of characters joined, tags and markup read, what waits released in time.

use polywire_conversation::parts::Kind;
use polywire_conversation::{Event, EventSink, Loss, OpaqueKind, Text};

use super::ChatReader;
use super::leaks::Found;
use super::think::{Divided, ThinkSplitter};

impl ChatReader {
    pub(super) fn text(&mut self, text: Text<'_>, sink: &mut dyn EventSink) {
        self.flush_details(sink);
        self.settle_calls(sink);
        let text = self.text_mender.mend(text);
        if self.think.is_over() {
            self.text_behind_reasoning(text, sink);
        } else {
            self.divide(sink, |think, emit| think.push(text, emit));
        }
    }

    /// Lets the splitter do something, and says what it divides.
    pub(super) fn divide(
        &mut self,
        sink: &mut dyn EventSink,
        act: impl FnOnce(&mut ThinkSplitter, &mut dyn FnMut(Divided<'_>)),
    ) {
        let mut think = std::mem::take(&mut self.think);
        act(&mut think, &mut |divided| match divided {
            Divided::Reasoning(text) => self.parts.say(Kind::Reasoning, text, sink),
            Divided::Text(text) => self.text_behind_reasoning(text, sink),
        });
        self.think = think;
    }

    /// Says text, or what the markup in it means.
    fn text_behind_reasoning(&mut self, text: Text<'_>, sink: &mut dyn EventSink) {
        let Some(scanner) = &mut self.leaks else {
            self.parts.say(Kind::Text, text, sink);
            return;
        };
        let mut found = Vec::new();
        let calls = &self.calls;
        scanner.push(
            &text.to_plain(),
            &|name| calls.is_declared(name),
            &mut found,
        );
        self.say_found(found, sink);
    }

    fn say_found(&mut self, found: Vec<Found>, sink: &mut dyn EventSink) {
        for found in found {
            self.settle_calls(sink);
            match found {
                Found::Text(text) => self.parts.say(Kind::Text, text.into(), sink),
                Found::Reasoning(text) => self.parts.say(Kind::Reasoning, text.into(), sink),
                Found::Call { name, arguments } => {
                    sink.event(Event::Loss(Loss::note(
                        format!("call of `{name}`"),
                        "read from the text of the answer, where the provider has left it",
                    )));
                    self.calls
                        .read_leaked(name, &arguments, &mut self.parts, sink);
                }
                Found::Loss(loss) => self.note("leaked markup", loss, sink),
            }
        }
    }

    /// Says text that waits to be understood, because something else follows it.
    pub(super) fn release_text(&mut self, sink: &mut dyn EventSink) {
        self.divide(sink, |think, emit| think.release(emit));
        let mut found = Vec::new();
        if let Some(scanner) = &mut self.leaks {
            scanner.release(&mut found);
        }
        self.say_found(found, sink);
    }

    pub(super) fn reasoning(&mut self, text: Text<'_>, sink: &mut dyn EventSink) {
        self.divide(sink, |think, emit| think.reasoning_comes_separately(emit));
        self.settle_calls(sink);
        let text = self.reasoning_mender.mend(text);
        self.parts.say(Kind::Reasoning, text, sink);
    }

    pub(super) fn refusal(&mut self, text: Text<'_>, sink: &mut dyn EventSink) {
        self.flush_details(sink);
        self.settle_calls(sink);
        let text = self.refusal_mender.mend(text);
        self.parts.say(Kind::Refusal, text, sink);
    }

    pub(super) fn opaque(&mut self, kind: OpaqueKind, state: Text<'_>, sink: &mut dyn EventSink) {
        self.settle_calls(sink);
        self.parts.opaque(kind, state, sink);
    }

    /// Something else follows: the open call ends if it can.
    pub(super) fn settle_calls(&mut self, sink: &mut dyn EventSink) {
        if self.parts.call_is_open() {
            self.calls.settle(&mut self.parts, sink);
        }
    }
}
