//! A provider's answer as events.

mod blocks;
mod body;
mod call;
pub(crate) mod frame;
mod notes;
mod said;
mod search;
mod stop;
mod usage;
pub(crate) mod wire;

use std::sync::Arc;

use polywire_conversation::parts::{Kind, Parts};
use polywire_conversation::{
    Event, EventSink, Fault, FaultClass, Ledger, Loss, ReadStream, StopReason, StreamEnd,
};
use polywire_sse::Frame;
use polywire_wire::{clean, html_fault, read_embedded_error};
use serde_json::value::RawValue;

use blocks::Blocks;
use frame::{Content, content, utf8};
use notes::Notes;
use stop::Stop;
use usage::Tally;
use wire::{Delta, Envelope, Raw, StopDetails, elements, inner, string, word};

/// The most bytes that one answer may make us keep. No model writes as much; the limit keeps a provider that has gone mad from
/// filling the memory.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// The most blocks that one answer may have, for the same reason.
const BLOCKS_MAX: usize = 4_096;

/// How the blocks that are still open end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The provider says that the answer is complete.
    Complete,
    /// The answer ended and the provider did not say why: only what is whole by itself counts.
    Unexplained,
    /// The answer was cut: what is not whole must not be carried out.
    Cut,
    /// The answer failed: nothing that is still open may be carried out.
    Failed,
}

/// Reads the stream of any Messages provider, or its answer in one piece.
///
/// Tolerant of all that compatible servers were seen to do (the fixtures name it): what an event is stands in its data and not in
/// its `event:` line, interleaved blocks are put in order, ends that were left out are made up for, and nothing that was cut is
/// presented as whole. The stop reason is held until the message ends, because more usage may come.
///
/// Every thinking block is a reasoning part of its own, so that its signature stays with its words.
#[derive(Debug)]
pub struct MessagesReader {
    parts: Parts,
    blocks: Blocks,
    tally: Tally,
    stop: Option<(Stop, String)>,
    stopped_at: Option<String>,
    message_id: Option<String>,
    heard: bool,
    notes: Notes,
    done: bool,
}

impl MessagesReader {
    /// A reader for one answer. `ledger` is the one that [`render`](crate::render()) gave; `seed` goes into the ids of calls
    /// that come without a usable one, and should differ from answer to answer.
    pub fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            parts: Parts::default(),
            blocks: Blocks::new(ledger, seed),
            tally: Tally::default(),
            stop: None,
            stopped_at: None,
            message_id: None,
            heard: false,
            notes: Notes::default(),
            done: false,
        }
    }
}

impl ReadStream for MessagesReader {
    fn push(&mut self, frame: Frame<'_>, sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let data = utf8(frame.data);
        self.read(&content(frame.event, &data), &data, sink);
    }

    fn whole(&mut self, body: &[u8], sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let body = utf8(body);
        match body.bytes().next() {
            Some(b'{' | b'[') => self.read_whole(&body, sink),
            Some(b'<') => self.fail(html_fault(200, &body), sink),
            Some(_) => {
                let message = format!("text came instead of an answer: {}", clean(&body, 200));
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
        match (end, &self.stop) {
            (_, Some(_)) => self.end(sink),
            (StreamEnd::Broken(fault), None) => self.fail(fault, sink),
            (StreamEnd::Closed, None) => {
                let message = "the provider closed the stream before the answer was complete";
                self.fail(Fault::new(FaultClass::NetworkCut, message), sink);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_ending(&self) -> bool {
        self.stop.is_some() && !self.done
    }
}

impl MessagesReader {
    /// Reads what a frame with this data holds.
    pub(crate) fn read(&mut self, content: &Content<'_>, data: &str, sink: &mut dyn EventSink) {
        match content {
            Content::Nothing => {}
            Content::Done => self.end(sink),
            Content::Error => self.error_event(data, sink),
            Content::Event(envelope) => self.read_event(envelope, sink),
            Content::Unreadable => self.notes.add(
                "unreadable",
                Loss::degraded("stream", "an event that cannot be read was ignored"),
                sink,
            ),
        }
    }

    fn read_event(&mut self, envelope: &Envelope<'_>, sink: &mut dyn EventSink) {
        let index = wire::count(envelope.index);
        let Self { blocks, parts, .. } = self;
        match word(envelope.kind) {
            "message_start" => self.message_start(envelope.message, sink),
            "content_block_start" => {
                self.heard = true;
                blocks.start(index, envelope.content_block, parts, sink);
                self.check_limits(sink);
            }
            "content_block_delta" => {
                self.heard = true;
                blocks.delta(index, envelope.delta, parts, sink);
                self.check_limits(sink);
            }
            "content_block_stop" => blocks.stop(index, parts, sink),
            "message_delta" => {
                self.tally.add(envelope.usage);
                let delta: Delta<'_> = inner(envelope.delta);
                self.read_stop(
                    delta.stop_reason,
                    delta.stop_sequence,
                    delta.stop_details,
                    sink,
                );
            }
            "message_stop" => self.end(sink),
            // Some servers answer with a whole message in one event.
            "message" if !self.heard => {
                self.read_message(envelope, sink);
                self.end(sink);
            }
            "message" | "ping" => {}
            other => {
                let what = format!("event `{}`", clean(other, 60));
                self.notes
                    .add("event", Loss::note(what, "not known; ignored"), sink);
            }
        }
    }

    fn message_start(&mut self, message: Raw<'_>, sink: &mut dyn EventSink) {
        let message: Envelope<'_> = inner(message);
        let id = string(message.id);
        if let (Some(before), Some(id)) = (&self.message_id, &id) {
            // The same message over again is a habit of gateways.
            if before != id {
                let fault = "two answers came mixed in one stream";
                self.fail(Fault::new(FaultClass::Protocol, fault), sink);
            }
            return;
        }
        self.tally.add(message.usage);
        self.parts.named(|| id.clone(), || string(message.model));
        if wire::has_members(message.content) {
            let loss = Loss::degraded(
                "stream",
                "content that came with the start of the message was ignored: it is repeated in pieces",
            );
            self.notes.add("early content", loss, sink);
        }
        self.message_id = self.message_id.take().or(id);
    }

    fn read_stop(
        &mut self,
        reason: Raw<'_>,
        sequence: Raw<'_>,
        details: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let Some(reason) = string(reason) else {
            return;
        };
        let meaning = stop::read(&reason).unwrap_or_else(|| {
            let what = format!("stop reason `{}`", clean(&reason, 40));
            sink.event(Event::Loss(Loss::note(
                what,
                "not known; taken for `end_turn`",
            )));
            Stop::Stopped(StopReason::Stop)
        });
        if meaning == Stop::Stopped(StopReason::ContentFilter) {
            self.note_refusal(details, sink);
        }
        self.stopped_at = string(sequence).or(self.stopped_at.take());
        self.stop = Some((meaning, reason));
    }

    /// The provider's reason for a refusal is no text of the model; it goes to whoever looks into the turn.
    fn note_refusal(&mut self, details: Raw<'_>, sink: &mut dyn EventSink) {
        let details: StopDetails<'_> = inner(details);
        let told = [string(details.category), string(details.explanation)];
        let told: Vec<String> = told.into_iter().flatten().collect();
        let why = if told.is_empty() {
            "the provider refused to go on and did not say why".to_owned()
        } else {
            format!(
                "the provider refused to go on: {}",
                clean(&told.join(": "), 500)
            )
        };
        self.notes
            .add("refusal", Loss::degraded("answer", why), sink);
    }

    fn read_whole(&mut self, body: &str, sink: &mut dyn EventSink) {
        match content(b"", body) {
            Content::Event(envelope)
                if word(envelope.kind) == "message" || envelope.content.is_some() =>
            {
                self.read_message(&envelope, sink);
                self.end(sink);
            }
            Content::Error if read_embedded_error(body).is_some() => self.error_event(body, sink),
            Content::Event(_)
            | Content::Error
            | Content::Unreadable
            | Content::Nothing
            | Content::Done => {
                let message = format!(
                    "JSON came that is neither an answer nor an error: {}",
                    clean(body, 200)
                );
                self.fail(Fault::new(FaultClass::Protocol, message), sink);
            }
        }
    }

    /// Reads a message that came in one piece.
    fn read_message(&mut self, message: &Envelope<'_>, sink: &mut dyn EventSink) {
        self.heard = true;
        self.tally.add(message.usage);
        self.parts
            .named(|| string(message.id), || string(message.model));
        // Only a list is allowed, but a text can hardly be misunderstood.
        if let Some(text) = wire::text(message.content) {
            self.parts.say(Kind::Text, text, sink);
            self.parts.close(sink);
        }
        let content: Vec<&RawValue> = elements(message.content);
        for block in content {
            let index = Some(self.blocks.count() as u64);
            self.blocks.start(index, Some(block), &mut self.parts, sink);
            self.blocks.stop(index, &mut self.parts, sink);
        }
        self.read_stop(
            message.stop_reason,
            message.stop_sequence,
            message.stop_details,
            sink,
        );
    }

    fn check_limits(&mut self, sink: &mut dyn EventSink) {
        if self.blocks.kept_bytes() > KEPT_BYTES_MAX || self.blocks.count() > BLOCKS_MAX {
            let message = "the answer has more content, or longer calls, than can be believed";
            self.fail(Fault::new(FaultClass::Protocol, message), sink);
        }
    }

    fn error_event(&mut self, data: &str, sink: &mut dyn EventSink) {
        let fault = read_embedded_error(data)
            .unwrap_or_else(|| Fault::new(FaultClass::Server, clean(data, 1_000)));
        match &self.stop {
            // An error behind the stop reason is noise, unless both say that the answer failed.
            Some((Stop::Stopped(_), _)) => self.notes.add(
                "late error",
                Loss::note(
                    "stream",
                    format!("an error after the end of the answer was ignored: {fault}"),
                ),
                sink,
            ),
            Some((Stop::Failed(_), _)) | None => self.fail(fault, sink),
        }
    }

    /// The answer is over.
    fn end(&mut self, sink: &mut dyn EventSink) {
        match self.stop.take() {
            Some((Stop::Failed(class), word)) => {
                let message = format!("the provider ended the answer with `{}`", clean(&word, 100));
                self.fail(Fault::new(class, message), sink);
            }
            Some((Stop::Stopped(reason), _)) => {
                let ending = match reason {
                    StopReason::Stop | StopReason::Calls | StopReason::Pause => Ending::Complete,
                    StopReason::Length | StopReason::ContentFilter => Ending::Cut,
                };
                self.complete(reason, ending, sink);
            }
            None if self.heard => self.complete(StopReason::Stop, Ending::Unexplained, sink),
            None => {
                let message = "the provider ended the stream without an answer";
                self.fail(Fault::new(FaultClass::Protocol, message), sink);
            }
        }
    }

    fn complete(&mut self, reason: StopReason, ending: Ending, sink: &mut dyn EventSink) {
        self.blocks.finish(ending, &mut self.parts, sink);
        if self.blocks.is_nameless() {
            let message = "the model called a tool without naming it";
            self.emit_fault(Fault::new(FaultClass::BadToolCall, message), sink);
            return;
        }
        let called = self.blocks.ended_whole() > 0;
        let reason = match reason {
            // Small servers say `end_turn` although the model called: the blocks are right.
            StopReason::Stop if called => StopReason::Calls,
            StopReason::Calls if !called => {
                sink.event(Event::Loss(Loss::degraded(
                    "stop reason",
                    "the provider announced tool calls and made none that is whole; taken for `end_turn`",
                )));
                StopReason::Stop
            }
            StopReason::Stop
            | StopReason::Calls
            | StopReason::Length
            | StopReason::ContentFilter
            | StopReason::Pause => reason,
        };
        self.parts.start(sink);
        if let Some(text) = self.stopped_at.take() {
            sink.event(Event::StoppedAt(text.into()));
        }
        if let Some(usage) = self.tally.usage() {
            sink.event(Event::Usage(usage));
        }
        sink.event(Event::Finish(reason));
        self.done = true;
    }

    fn fail(&mut self, fault: Fault, sink: &mut dyn EventSink) {
        self.blocks.finish(Ending::Failed, &mut self.parts, sink);
        self.emit_fault(fault, sink);
    }

    fn emit_fault(&mut self, fault: Fault, sink: &mut dyn EventSink) {
        if let Some(usage) = self.tally.usage() {
            sink.event(Event::Usage(usage));
        }
        sink.event(Event::Fault(fault));
        self.done = true;
    }
}
