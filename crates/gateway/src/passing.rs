//! Answers in the client's own protocol, which pass as they are where the provider keeps to the form that was asked for.
//!
//! Some answer a request for a stream with one body, and others the other way round. What passes would then be of no use to the
//! client, so the answer is written anew from the events that come beside it.

use polywire_conversation::{Event, Fault, WriteStream};
use polywire_sse::FrameBuffer;

/// Passes an answer on, or writes it anew.
pub(crate) struct Passing {
    native: Box<dyn WriteStream>,
    translating: Box<dyn WriteStream>,
    asked: Asked,
    form: Form,
}

/// What the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A stream.
    Stream,
    /// One body.
    Whole {
        /// The native writer adds a stream up by itself.
        adds_up: bool,
    },
}

/// What the provider sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unknown,
    AsAsked,
    Other,
}

impl Passing {
    /// A writer for one answer.
    pub(crate) fn new(
        native: impl WriteStream + 'static,
        translating: impl WriteStream + 'static,
        asked: Asked,
    ) -> Self {
        Self {
            native: Box::new(native),
            translating: Box::new(translating),
            asked,
            form: Form::Unknown,
        }
    }

    fn look(&mut self, event: &Event<'_>) {
        let Event::Native(native) = event else {
            return;
        };
        let is_whole = native.event.is_empty();
        let fits = match self.asked {
            Asked::Stream => !is_whole,
            Asked::Whole { adds_up } => is_whole || adds_up,
        };
        self.form = if fits { Form::AsAsked } else { Form::Other };
    }

    fn writer(&mut self) -> &mut dyn WriteStream {
        match self.form {
            Form::Unknown | Form::AsAsked => &mut *self.native,
            Form::Other => &mut *self.translating,
        }
    }
}

impl WriteStream for Passing {
    fn tick(&mut self, unix_seconds: u64) {
        self.native.tick(unix_seconds);
        self.translating.tick(unix_seconds);
    }

    fn push(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        if self.form == Form::Unknown {
            self.look(&event);
        }
        self.writer().push(event, out);
    }

    fn heartbeat(&mut self, out: &mut FrameBuffer) {
        if self.form == Form::Unknown {
            // Whichever goes on from here must know that the answer has begun.
            self.translating.heartbeat(&mut FrameBuffer::new());
        }
        self.writer().heartbeat(out);
    }

    fn whole(&mut self) -> Vec<u8> {
        self.writer().whole()
    }

    fn failure(&self) -> Option<&Fault> {
        match self.form {
            Form::Unknown | Form::AsAsked => self.native.failure(),
            Form::Other => self.translating.failure(),
        }
    }
}
