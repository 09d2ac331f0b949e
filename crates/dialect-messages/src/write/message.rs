//! The message object, and the numbers of a turn.

use polywire_conversation::{StopReason, Text, Usage, estimate};
use polywire_sse::FrameBuffer;
use polywire_wire::Object;

/// What every form of a message says.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) id: String,
    pub(super) model: String,
}

/// How an answer ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) reason: &'static str,
    /// The text of the client's list at which the model stopped.
    pub(super) sequence: Option<Text<'static>>,
}

/// What the end of an answer depends on beside the reason.
pub(super) struct Circumstances {
    pub(super) called: bool,
    pub(super) cut: bool,
    pub(super) refused: bool,
    pub(super) stopped_at: Option<Text<'static>>,
}

impl Ending {
    /// A call that was cut makes the answer one that met its limit, whatever the provider says; and calls that were made want
    /// their results, whatever it says.
    pub(super) fn new(reason: StopReason, met: Circumstances) -> Self {
        let plain = |reason| Self {
            reason,
            sequence: None,
        };
        match reason {
            StopReason::ContentFilter => plain("refusal"),
            StopReason::Length => plain("max_tokens"),
            StopReason::Stop | StopReason::Calls | StopReason::Pause if met.cut => {
                plain("max_tokens")
            }
            StopReason::Pause => plain("pause_turn"),
            StopReason::Stop | StopReason::Calls if met.called => plain("tool_use"),
            StopReason::Stop | StopReason::Calls if met.refused => plain("refusal"),
            StopReason::Stop | StopReason::Calls if met.stopped_at.is_some() => Self {
                reason: "stop_sequence",
                sequence: met.stopped_at,
            },
            StopReason::Stop | StopReason::Calls => plain("end_turn"),
        }
    }

    fn write(ending: Option<&Self>, object: &mut Object<'_>) {
        match ending {
            Some(ending) => object.string("stop_reason", ending.reason),
            None => object.raw("stop_reason", "null"),
        }
        match ending.and_then(|ending| ending.sequence.as_ref()) {
            Some(sequence) => object.text("stop_sequence", sequence),
            None => object.raw("stop_sequence", "null"),
        }
        if ending.is_some_and(|ending| ending.reason == "refusal") {
            object.raw(
                "stop_details",
                r#"{"type":"refusal","category":null,"explanation":null}"#,
            );
        }
    }
}

/// The numbers of a turn.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// What the input is taken to be until the provider tells.
    pub(super) input_estimate: u64,
    pub(super) usage: Option<Usage>,
    /// The bytes of all output, for a provider that never tells.
    pub(super) output_bytes: usize,
    pub(super) searches: u64,
}

impl Numbers {
    /// Clients take sums of these, so they are always numbers: what the provider does not tell is estimated.
    fn write(&self, at_start: bool, out: &mut Vec<u8>) {
        let usage = self.usage.unwrap_or_default();
        let cached = usage.cached.unwrap_or(0);
        let written = usage.cache_write.unwrap_or(0);
        let fresh = match usage.input {
            // The protocol counts what the cache gave and took beside the input, not in it.
            Some(input) => input.saturating_sub(cached).saturating_sub(written),
            None => self.input_estimate,
        };
        let output = match usage.output {
            Some(output) => output,
            None if at_start => 0,
            None => estimate::text_tokens(self.output_bytes),
        };
        let mut object = Object::open(out);
        object.raw("input_tokens", &fresh.to_string());
        object.raw("cache_creation_input_tokens", &written.to_string());
        object.raw("cache_read_input_tokens", &cached.to_string());
        object.raw("output_tokens", &output.to_string());
        if let Some(reasoning) = usage.reasoning {
            let mut details = Object::open(object.member("output_tokens_details"));
            details.raw("thinking_tokens", &reasoning.to_string());
            details.close();
        }
        if self.searches > 0 {
            let mut tools = Object::open(object.member("server_tool_use"));
            tools.raw("web_search_requests", &self.searches.to_string());
            tools.raw("web_fetch_requests", "0");
            tools.close();
        }
        object.close();
    }
}

impl Frame {
    /// The message as a whole. `content` holds its blocks, separated by commas.
    pub(super) fn message(
        &self,
        content: &[u8],
        ending: Option<&Ending>,
        numbers: &Numbers,
        out: &mut Vec<u8>,
    ) {
        let mut message = Object::open(out);
        message.string("id", &self.id);
        message.string("type", "message");
        message.string("role", "assistant");
        message.string("model", &self.model);
        let place = message.member("content");
        place.push(b'[');
        place.extend_from_slice(content);
        place.push(b']');
        Ending::write(ending, &mut message);
        numbers.write(ending.is_none(), message.member("usage"));
        message.close();
    }

    /// The first event.
    pub(super) fn start(&self, numbers: &Numbers, out: &mut FrameBuffer) {
        let mut event = Object::open(out.open("message_start"));
        event.string("type", "message_start");
        self.message(&[], None, numbers, event.member("message"));
        event.close();
        out.close();
    }
}

/// The last two events of an answer that ended as it should.
pub(super) fn end(ending: &Ending, numbers: &Numbers, out: &mut FrameBuffer) {
    let mut event = Object::open(out.open("message_delta"));
    event.string("type", "message_delta");
    let mut delta = Object::open(event.member("delta"));
    Ending::write(Some(ending), &mut delta);
    delta.close();
    numbers.write(false, event.member("usage"));
    event.close();
    out.close();
    out.open("message_stop")
        .extend_from_slice(b"{\"type\":\"message_stop\"}");
    out.close();
}
