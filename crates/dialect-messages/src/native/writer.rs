//! Frames for a client of the provider's own protocol.

use polywire_conversation::{Event, Fault, FaultClass, WriteStream};
use polywire_sse::FrameBuffer;
use polywire_wire::Object;

/// Writes the frames that [`NativeReader`](super::NativeReader) passes on, as they are. A fault is written in the protocol's own
/// shape; all other events are for the gateway only.
#[derive(Debug, Default)]
pub struct NativeWriter {
    /// The answer in one piece, or the fault.
    whole: Vec<u8>,
    ended: bool,
}

impl NativeWriter {
    /// A writer for one answer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl WriteStream for NativeWriter {
    fn tick(&mut self, _unix_seconds: u64) {}

    fn push(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        if self.ended {
            return;
        }
        match event {
            Event::Native(native) if native.event.is_empty() => {
                self.whole = native.data.as_bytes().to_vec();
            }
            Event::Native(native) => {
                out.open(native.event)
                    .extend_from_slice(native.data.as_bytes());
                out.close();
            }
            Event::Fault(fault) => {
                self.ended = true;
                self.whole.clear();
                write_error(&fault, &mut self.whole);
                out.open("error").extend_from_slice(&self.whole);
                out.close();
            }
            Event::Finish(_) => self.ended = true,
            Event::Start { .. }
            | Event::ReasoningStart
            | Event::ReasoningDelta(_)
            | Event::ReasoningOpaque(_)
            | Event::ReasoningEnd
            | Event::TextStart
            | Event::TextDelta(_)
            | Event::Citation(_)
            | Event::Logprobs(_)
            | Event::TextEnd
            | Event::RefusalStart
            | Event::RefusalDelta(_)
            | Event::RefusalEnd
            | Event::CallStart { .. }
            | Event::CallDelta(_)
            | Event::CallEnd
            | Event::CallCut
            | Event::WebSearch(_)
            | Event::StoppedAt(_)
            | Event::Usage(_)
            | Event::Loss(_) => {}
        }
    }

    fn heartbeat(&mut self, out: &mut FrameBuffer) {
        if !self.ended {
            out.open("ping").extend_from_slice(br#"{"type":"ping"}"#);
            out.close();
        }
    }

    fn whole(&mut self) -> Vec<u8> {
        if self.whole.is_empty() {
            let message = "the provider sent a stream where one answer was asked for";
            write_error(&Fault::new(FaultClass::Protocol, message), &mut self.whole);
        }
        std::mem::take(&mut self.whole)
    }
}

/// Writes a fault as the protocol's clients know it.
fn write_error(fault: &Fault, out: &mut Vec<u8>) {
    let mut body = Object::open(out);
    body.string("type", "error");
    let mut error = Object::open(body.member("error"));
    error.string("type", error_type(fault.class));
    // Clients know a conversation that is too long by these words.
    if fault.class == FaultClass::ContextLength && !fault.message.contains("prompt is too long") {
        let message = format!("prompt is too long: {}", fault.message);
        error.string("message", &message);
    } else {
        error.string("message", &fault.message);
    }
    error.close();
    body.close();
}

fn error_type(class: FaultClass) -> &'static str {
    match class {
        FaultClass::RateLimit => "rate_limit_error",
        FaultClass::Overloaded => "overloaded_error",
        FaultClass::Quota => "billing_error",
        FaultClass::TooLarge => "request_too_large",
        FaultClass::Auth => "authentication_error",
        FaultClass::NotFound => "not_found_error",
        FaultClass::ContextLength | FaultClass::InvalidRequest | FaultClass::ContentFilter => {
            "invalid_request_error"
        }
        FaultClass::Timeout => "timeout_error",
        FaultClass::BadToolCall
        | FaultClass::Server
        | FaultClass::NetworkCut
        | FaultClass::Protocol => "api_error",
    }
}
