//! The two machines between a provider's stream and a client's: events in, events out, no I/O.

use polywire_sse::{Frame, FrameBuffer};

use crate::{Event, Fault, Loss};

/// Takes events as a reader produces them. Events borrow from the frame that is being read, so that text passes without a copy.
pub trait EventSink {
    /// Takes one event.
    fn event(&mut self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>)> EventSink for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}

/// How a provider's stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The provider closed it as the transport wants it closed.
    Closed,
    /// It broke off, stalled or made no sense to the transport; the fault says how.
    Broken(Fault),
}

/// Turns the frames of one provider answer into neutral events.
///
/// Holds no I/O and never waits. Whatever goes in, exactly one [`Event::Finish`] or [`Event::Fault`] comes out, at the latest
/// from [`finish`](ReadStream::finish); what comes after it is ignored.
pub trait ReadStream: Send {
    /// Reads one frame.
    fn push(&mut self, frame: Frame<'_>, sink: &mut dyn EventSink);

    /// Reads an answer that came in one piece instead of as a stream: a whole completion, or an error body.
    fn whole(&mut self, body: &[u8], sink: &mut dyn EventSink);

    /// The stream ended.
    fn finish(&mut self, end: StreamEnd, sink: &mut dyn EventSink);

    /// Whether the terminal event was handed out: nothing more can come.
    fn is_done(&self) -> bool;

    /// Whether the finish reason was seen and only the usage may still come. The caller then waits only a moment longer.
    fn is_ending(&self) -> bool {
        false
    }
}

/// Turns neutral events into frames of the client's dialect.
///
/// Expects the order that [`Event`] promises, and writes exactly one terminal frame.
pub trait WriteStream: Send {
    /// Tells the time, in seconds since 1970, for the time stamps of what is written next.
    fn tick(&mut self, unix_seconds: u64);

    /// Writes what one event means to the client.
    fn push(&mut self, event: Event<'_>, out: &mut FrameBuffer);

    /// Writes a sign of life that the client counts as activity. Does nothing once the terminal frame was written.
    fn heartbeat(&mut self, out: &mut FrameBuffer);

    /// The failure with which the writer itself has ended the answer, such as one that grew past its limit. Whatever comes after
    /// it is not written, so the provider need not be read any further.
    fn failure(&self) -> Option<&Fault> {
        None
    }

    /// What of the answer the client's dialect had no room for. To be called after the terminal event; the second call gives nothing.
    fn take_losses(&mut self) -> Vec<Loss> {
        Vec::new()
    }

    /// The answer as one body, for a client that asked for no stream. To be called after the terminal event.
    fn whole(&mut self) -> Vec<u8>;
}
