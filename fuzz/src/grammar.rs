//! The order that `Event` promises, checked event by event.

use polywire_conversation::Event;

/// What was seen so far of one answer.
#[derive(Debug, Default)]
pub(crate) struct Grammar {
    begun: bool,
    open: Option<Part>,
    usage_seen: bool,
    terminal_seen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Reasoning,
    Text,
    Refusal,
    Call,
}

impl Grammar {
    /// Takes the next event; panics if it may not come here.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        assert!(!self.terminal_seen, "after the terminal event: {event:?}");
        match event {
            Event::Start { .. } => assert!(!self.begun, "a second start, or a late one"),
            Event::ReasoningStart => self.open(Part::Reasoning),
            Event::TextStart => self.open(Part::Text),
            Event::RefusalStart => self.open(Part::Refusal),
            Event::CallStart { .. } => self.open(Part::Call),
            Event::ReasoningDelta(_) => self.inside(Part::Reasoning, event),
            Event::TextDelta(_) => self.inside(Part::Text, event),
            Event::RefusalDelta(_) => self.inside(Part::Refusal, event),
            Event::CallDelta(_) => self.inside(Part::Call, event),
            Event::ReasoningOpaque(_) => assert!(
                matches!(self.open, Some(Part::Reasoning | Part::Call)),
                "opaque state in {:?}",
                self.open
            ),
            Event::ReasoningEnd => self.close(Part::Reasoning, event),
            Event::TextEnd => self.close(Part::Text, event),
            Event::RefusalEnd => self.close(Part::Refusal, event),
            Event::CallEnd | Event::CallCut => self.close(Part::Call, event),
            Event::Usage(_) => {
                assert!(!self.usage_seen, "usage twice");
                self.usage_seen = true;
            }
            Event::Citation(_) | Event::Logprobs(_) => self.inside(Part::Text, event),
            Event::WebSearch(_) => assert_eq!(self.open, None, "open at {event:?}"),
            Event::Loss(_) | Event::Native(_) | Event::StoppedAt(_) => {}
            Event::Finish(_) | Event::Fault(_) => {
                assert_eq!(self.open, None, "open at {event:?}");
                self.terminal_seen = true;
            }
        }
        self.begun |= !matches!(event, Event::Loss(_));
    }

    /// The answer has ended; panics if it has no terminal event.
    pub(crate) fn end(&self) {
        assert!(self.terminal_seen, "no terminal event");
    }

    fn open(&mut self, part: Part) {
        assert_eq!(self.open, None, "{part:?} begins inside another part");
        self.open = Some(part);
    }

    fn inside(&self, part: Part, event: &Event<'_>) {
        assert_eq!(self.open, Some(part), "{event:?}");
    }

    fn close(&mut self, part: Part, event: &Event<'_>) {
        self.inside(part, event);
        self.open = None;
    }
}
