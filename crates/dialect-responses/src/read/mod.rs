//! A provider's answer as events.
//!
//! `wire` is what stands in the provider's events, `said` one text that grows, `calls` one call; `output` keeps the items of an
//! answer, `ending` reads how it ended, and the reader here takes the events one by one.

mod calls;
mod ending;
mod output;
mod said;
mod searches;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use polywire_conversation::{
    Event, EventSink, Fault, FaultClass, Ledger, Loss, ReadStream, StreamEnd,
};
use polywire_sse::Frame;
use polywire_wire::{One, clean, html_fault, read_embedded_error};

use calls::CallKind;
use output::Output;
use said::Place;
use wire::{WireEvent, WireOutput, WireResponse, arguments, count, object, text, word};

/// The most bytes of events that wait for an open call to end. No model writes as much; the limit keeps a provider that has gone
/// mad from filling the memory.
const HELD_BYTES_MAX: usize = 16 << 20;

/// Reads the stream of any provider of the Responses protocol, or its answer in one piece.
///
/// Events are told apart by their place in the output, not by item ids, which some services change on the way. What an item says
/// when it is done counts, and what was streamed of it is not repeated; an item that comes only when it is done, or only in the
/// response at the end, is read from there. While a call is open, events of other items wait.
///
/// A reasoning item that has encrypted content is handed out whole as
/// [`OpaqueKind::Item`](polywire_conversation::OpaqueKind::Item), behind its readable text.
#[derive(Debug)]
pub struct ResponsesReader {
    output: Output,
    /// Events of other items that came while a call was open.
    held: Vec<String>,
    held_bytes: usize,
    done: bool,
}

impl ResponsesReader {
    /// A reader for one answer. `ledger` is the one that [`render`](crate::render()) gave; `seed` goes into the ids of calls
    /// that come without a usable one, and should differ from answer to answer.
    pub fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            output: Output::new(ledger, seed),
            held: Vec::new(),
            held_bytes: 0,
            done: false,
        }
    }

    /// The same reader, which hands out reasoning items whole also when all they have is readable content: for providers that
    /// want it back ([`Profile::reasoning_content_back`](crate::Profile::reasoning_content_back)).
    #[must_use]
    pub fn with_content_as_state(mut self, wanted: bool) -> Self {
        self.output.content_is_state = wanted;
        self
    }
}

impl ReadStream for ResponsesReader {
    fn push(&mut self, frame: Frame<'_>, sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let data = match std::str::from_utf8(frame.data) {
            Ok(data) => Cow::Borrowed(data),
            Err(_) => String::from_utf8_lossy(frame.data),
        };
        match data.trim() {
            // Some servers end with the word that Chat Completions ends with; the answer has ended before it, or not at all.
            "" | "[DONE]" => {}
            data => self.read_data(data, sink),
        }
        self.read_held(sink);
    }

    fn whole(&mut self, body: &[u8], sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let body = String::from_utf8_lossy(body);
        let body = body.trim();
        match body.bytes().next() {
            Some(b'{' | b'[') => self.read_whole(body, sink),
            Some(b'<') => self.fail(html_fault(200, body), sink),
            Some(_) => {
                let message = format!("text came instead of an answer: {}", clean(body, 200));
                self.fail(Fault::new(FaultClass::Protocol, message), sink);
            }
            None => {
                let message = "the provider answered with an empty body";
                self.fail(Fault::new(FaultClass::Protocol, message), sink);
            }
        }
    }

    fn finish(&mut self, end: StreamEnd, sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let fault = match end {
            StreamEnd::Broken(fault) => fault,
            StreamEnd::Closed => Fault::new(
                FaultClass::NetworkCut,
                "the provider closed the stream before the answer was complete",
            ),
        };
        self.fail(fault, sink);
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl ResponsesReader {
    fn read_data(&mut self, data: &str, sink: &mut dyn EventSink) {
        let Ok(One(event)) = serde_json::from_str::<One<WireEvent<'_>>>(data) else {
            // Google wraps errors in an array, and so do proxies in front of it.
            match read_embedded_error(data).filter(|_| data.starts_with('[')) {
                Some(fault) => self.fail(fault, sink),
                None => self.output.note(
                    "not JSON",
                    || Loss::degraded("stream", "an event that cannot be read was ignored"),
                    sink,
                ),
            }
            return;
        };
        let tag = word(event.tag).unwrap_or_default();
        match &*tag {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = object::<WireResponse<'_>>(event.response) {
                    self.output.named(&response);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => self.end(&tag, &event, sink),
            "error" => self.fail(ending::error_event(&event, data), sink),
            "" if event.error.is_some() || event.detail.is_some() => {
                self.fail(ending::error_event(&event, data), sink);
            }
            "" => {}
            _ if self.must_wait(&event) => self.hold(data, sink),
            _ => self.read_event(&tag, &event, sink),
        }
        if self.output.has_too_many && !self.done {
            let message = "the answer has more items than can be read";
            self.fail(Fault::new(FaultClass::Protocol, message), sink);
        }
    }

    /// Whether an event has to wait because a call of another item is open.
    fn must_wait(&self, event: &WireEvent<'_>) -> bool {
        let named = count(event.output_index);
        let index = named.unwrap_or_else(|| self.output.latest_index());
        self.output.open_call().is_some_and(|open| open != index)
    }

    fn hold(&mut self, data: &str, sink: &mut dyn EventSink) {
        self.held_bytes += data.len();
        if self.held_bytes > HELD_BYTES_MAX {
            let message = "more than can be kept came while a tool call was open";
            self.fail(Fault::new(FaultClass::Protocol, message), sink);
            return;
        }
        self.held.push(data.to_owned());
    }

    /// Reads what waited, as far as no call is open any more.
    fn read_held(&mut self, sink: &mut dyn EventSink) {
        while !self.done && self.output.open_call().is_none() && !self.held.is_empty() {
            self.held_bytes = 0;
            for data in std::mem::take(&mut self.held) {
                if !self.done {
                    self.read_data(&data, sink);
                }
            }
        }
    }

    /// Reads an event of one item.
    fn read_event(&mut self, tag: &str, event: &WireEvent<'_>, sink: &mut dyn EventSink) {
        let output = &mut self.output;
        let index = count(event.output_index).unwrap_or_else(|| output.latest_index());
        let content = count(event.content_index).unwrap_or(0);
        let summary = count(event.summary_index).unwrap_or(0);
        let (place, piece, whole) = match tag {
            "response.output_item.added" => {
                if let Some(item) = object::<WireOutput<'_>>(event.item) {
                    output.added(index, &item);
                }
                return;
            }
            "response.output_item.done" => {
                if let (Some(item), Some(raw)) = (object::<WireOutput<'_>>(event.item), event.item)
                {
                    output.item_done(index, &item, raw.get(), sink);
                }
                return;
            }
            "response.content_part.done" => {
                output.part_done(index, content, event.part, sink);
                return;
            }
            "response.output_text.annotation.added" => {
                output.annotation(index, content, event.annotation, sink);
                return;
            }
            "response.output_text.delta" => (Place::Text(content), text(event.delta), None),
            "response.output_text.done" => (Place::Text(content), None, text(event.text)),
            "response.refusal.delta" => (Place::Refusal(content), text(event.delta), None),
            "response.refusal.done" => (Place::Refusal(content), None, text(event.refusal)),
            "response.reasoning_summary_text.delta" => {
                (Place::Summary(summary), text(event.delta), None)
            }
            "response.reasoning_summary_text.done" => {
                (Place::Summary(summary), None, text(event.text))
            }
            // Open Responses has the shorter names.
            "response.reasoning_text.delta" | "response.reasoning.delta" => {
                (Place::Thought(content), text(event.delta), None)
            }
            "response.reasoning_text.done" | "response.reasoning.done" => {
                (Place::Thought(content), None, text(event.text))
            }
            "response.function_call_arguments.delta" => {
                output.call_piece(index, CallKind::Function, text(event.delta), sink);
                return;
            }
            "response.custom_tool_call_input.delta" => {
                output.call_piece(index, CallKind::Custom, text(event.delta), sink);
                return;
            }
            "response.function_call_arguments.done" => {
                output.call_input(index, arguments(event.arguments), sink);
                return;
            }
            "response.custom_tool_call_input.done" => {
                output.call_input(index, text(event.input), sink);
                return;
            }
            other => {
                output.note_unknown_event(other, sink);
                return;
            }
        };
        if let Some(piece) = piece {
            output.say(index, place, piece, sink);
            output.logprobs(index, place, event.logprobs, sink);
        }
        if let Some(whole) = whole {
            output.last_word(index, place, &whole, sink);
            output.last_logprobs(index, place, event.logprobs, sink);
        }
    }

    /// Reads the event that ends the answer.
    fn end(&mut self, tag: &str, event: &WireEvent<'_>, sink: &mut dyn EventSink) {
        let response = object::<WireResponse<'_>>(event.response).unwrap_or_default();
        self.end_with(tag, &response, sink);
    }

    fn end_with(&mut self, tag: &str, response: &WireResponse<'_>, sink: &mut dyn EventSink) {
        self.output.named(response);
        let verdict = ending::verdict(tag, response);
        self.output.usage = ending::usage(response.usage).or(self.output.usage);
        let output = match &verdict {
            ending::Verdict::Failed(_) => {
                self.output.is_failing = true;
                Vec::new()
            }
            ending::Verdict::Completed { .. } | ending::Verdict::Incomplete { .. } => {
                wire::elements(response.output)
            }
        };
        self.settle(&output, sink);
        if self.done {
            return;
        }
        self.output.read_unseen(&output, sink);
        self.done = true;
        self.output.end(verdict, sink);
    }

    /// Ends every call that is still open, with what the response says of it, and reads what waited for that.
    fn settle(&mut self, output: &[&serde_json::value::RawValue], sink: &mut dyn EventSink) {
        loop {
            self.output.settle_open_call(output, sink);
            if self.held.is_empty() || self.done {
                break;
            }
            self.read_held(sink);
        }
        self.output.settle_waiting_calls(output, sink);
    }

    fn fail(&mut self, fault: Fault, sink: &mut dyn EventSink) {
        if self.output.is_failing || self.done {
            return;
        }
        // What waited is read as far as it is text, so that the user sees all that came.
        self.output.is_failing = true;
        self.settle(&[], sink);
        self.done = true;
        self.output.end(ending::Verdict::Failed(fault), sink);
    }

    fn read_whole(&mut self, body: &str, sink: &mut dyn EventSink) {
        let read = serde_json::from_str::<One<WireResponse<'_>>>(body);
        let is_response = |response: &WireResponse<'_>| {
            word(response.object).as_deref() == Some("response") || response.output.is_some()
        };
        match read {
            Ok(One(response)) if is_response(&response) => {
                self.end_with("", &response, sink);
            }
            Ok(_) | Err(_) => {
                let fault = read_embedded_error(body).unwrap_or_else(|| {
                    Fault::new(
                        FaultClass::Protocol,
                        "what came is JSON, but neither an answer nor an error",
                    )
                    .with_detail(clean(body, 200))
                });
                self.fail(fault, sink);
            }
        }
    }
}

/// Whether an event, or an answer in one piece when `tag` is empty, says in its response that the answer has failed.
pub(crate) fn is_failure(tag: &str, response: Option<&serde_json::value::RawValue>) -> bool {
    let is_last = tag.is_empty()
        || matches!(
            tag,
            "response.completed"
                | "response.incomplete"
                | "response.failed"
                | "response.cancelled"
                | "response.done"
        );
    let response: WireResponse<'_> = object(response).unwrap_or_default();
    is_last && matches!(ending::verdict(tag, &response), ending::Verdict::Failed(_))
}

/// Emits a loss.
fn lose(loss: Loss, sink: &mut dyn EventSink) {
    sink.event(Event::Loss(loss));
}
