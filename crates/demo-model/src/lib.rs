//! The built-in demo model: a small script that behaves like a provider.
//!
//! It needs no key and no network, and the same request always gets the same answer, so that it serves as a first try, as a
//! check of an installation, and as the other end of tests. Its events go straight to the client's writer: there is no wire.

use std::time::Duration;

use polywire_conversation::{Event, Request, StopReason, Text};

/// One step of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Hand this to the writer.
    Event(Event<'static>),
    /// Wait as long, so that the answer streams at a pace that people can watch.
    Pause(Duration),
}

/// The whole answer to a request, in order. Ends with exactly one terminal event.
pub fn answer(request: &Request<'_>) -> Vec<Step> {
    let _ = request;
    [
        Event::TextStart,
        Event::TextDelta(Text::plain("This is polywire's demo model.")),
        Event::TextEnd,
        Event::Finish(StopReason::Stop),
    ]
    .into_iter()
    .map(Step::Event)
    .collect()
}
