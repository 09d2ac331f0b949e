//! Losses that are told once.

use polywire_conversation::{Event, EventSink, Loss};

/// The most kinds that are remembered. They hold words of the provider, which has as many as it likes.
const KINDS_MAX: usize = 32;

/// What was noted already: one note per kind and answer is enough.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    /// Tells a loss, unless one of its kind was told before. Kinds beyond the most that are remembered are not told.
    pub(super) fn add(&mut self, kind: &str, loss: Loss, sink: &mut dyn EventSink) {
        if self.0.len() < KINDS_MAX && !self.0.iter().any(|noted| noted == kind) {
            self.0.push(kind.to_owned());
            sink.event(Event::Loss(loss));
        }
    }
}
