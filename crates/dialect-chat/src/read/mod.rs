//! A provider's answer as events.

mod calls;
mod chunk;
mod delta;
mod finish;
mod leaked_calls;
mod leaks;
mod say;
mod sources;
mod think;
mod usage;

use std::borrow::Cow;
use std::sync::Arc;

use polywire_conversation::json::PairMender;
use polywire_conversation::{
    Event, EventSink, Fault, FaultClass, Ledger, Loss, ReadStream, StopReason, StreamEnd, Usage,
};
use polywire_sse::Frame;

use calls::{Calls, Ending};
use chunk::{BaseResp, Choice, Chunk, Raw, read_chunk};
use finish::Finish;
pub use leaks::LOOK_AHEAD_BYTES_MAX;
use leaks::LeakScanner;
use polywire_conversation::parts::{Kind, Parts};
use polywire_wire::{clean, html_fault, read_embedded_error};
use sources::Sources;
use think::ThinkSplitter;

use crate::details::Details;
use crate::profile::{Leak, Profile, ReasoningBack};

/// The most bytes of call arguments, and of text that waits for a call to end, that one answer may have. No model writes as
/// much; the limit keeps a provider that has gone mad from filling the memory.
const HELD_BYTES_MAX: usize = 64 << 20;

/// The most calls that one answer may have, for the same reason; and the most entries of reasoning details.
const CALLS_MAX: usize = 1_024;

/// Reads the stream of any Chat Completions provider, or its answer in one piece.
///
/// Tolerant of all that providers were seen to send (the fixtures name them): it counts every piece once, keeps interleaved
/// calls apart, takes reasoning from wherever it stands, and never presents a cut or failed answer as a whole one. The finish
/// reason is held until `[DONE]` or the end of the stream, because the usage comes after it.
///
/// A [`CallSignature`](polywire_conversation::OpaqueKind::CallSignature) comes directly before the call that it belongs to.
#[derive(Debug)]
pub struct ChatReader {
    parts: Parts,
    calls: Calls,
    think: ThinkSplitter,
    /// Looks for markup in the text, where a profile says that there may be some.
    leaks: Option<LeakScanner>,
    /// The entries of `reasoning_details`.
    details: Details,
    /// Whether they go back whole, so that every one has to be kept.
    keeps_details: bool,
    sources: Sources,
    text_mender: PairMender,
    reasoning_mender: PairMender,
    refusal_mender: PairMender,
    usage: Option<Usage>,
    finish: Option<(Finish, String)>,
    /// Whether anything of the message came. A whole message in a stream repeats what is known and counts only before that.
    heard: bool,
    /// What was noted already: one note per kind and answer is enough.
    noted: Vec<&'static str>,
    done: bool,
}

impl ChatReader {
    /// A reader for one answer. `ledger` is the one that [`render`](crate::render()) gave; `seed` goes into the ids of calls
    /// that come without a usable one, and should differ from answer to answer.
    pub fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            parts: Parts::default(),
            calls: Calls::new(ledger, seed),
            think: ThinkSplitter::default(),
            leaks: None,
            details: Details::default(),
            keeps_details: false,
            sources: Sources::default(),
            text_mender: PairMender::default(),
            reasoning_mender: PairMender::default(),
            refusal_mender: PairMender::default(),
            usage: None,
            finish: None,
            heard: false,
            noted: Vec::new(),
            done: false,
        }
    }

    /// The same reader for a provider of these habits: it reads the markup that leaks there ([`Profile::leaks`]), and keeps every
    /// entry of `reasoning_details` if they go back ([`ReasoningBack::Details`]), text and all.
    #[must_use]
    pub fn with_profile(self, profile: &Profile) -> Self {
        Self {
            keeps_details: profile.reasoning_back == ReasoningBack::Details,
            ..self.with_leaks(&profile.leaks)
        }
    }

    /// The same reader, which also reads this markup.
    #[must_use]
    pub fn with_leaks(self, leaks: &[Leak]) -> Self {
        Self {
            think: ThinkSplitter::new(leaks),
            leaks: LeakScanner::new(leaks),
            ..self
        }
    }
}

impl ReadStream for ChatReader {
    fn push(&mut self, frame: Frame<'_>, sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let text = match std::str::from_utf8(frame.data) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(frame.data),
        };
        match text.trim() {
            "" => {}
            "[DONE]" => self.end(sink),
            data if frame.event == b"error" => self.error_event(data, sink),
            data => self.read_data(data, sink),
        }
    }

    fn whole(&mut self, body: &[u8], sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        match text.bytes().next() {
            Some(b'{' | b'[') => self.read_whole(text, sink),
            Some(b'<') => self.fail(html_fault(200, text), sink),
            Some(_) => {
                let message = format!("text came instead of an answer: {}", clean(text, 200));
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
        match (end, &self.finish) {
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
        self.finish.is_some() && !self.done
    }
}

impl ChatReader {
    fn read_data(&mut self, data: &str, sink: &mut dyn EventSink) {
        match read_chunk(data) {
            // An array is no chunk, but Google wraps errors in one.
            Ok(_) if data.starts_with('[') => {
                if let Some(fault) = read_embedded_error(data) {
                    self.fail_unless_late(fault, sink);
                }
            }
            Ok(chunk) => self.read_chunk(&chunk, data, sink),
            Err(_) => self.note(
                "not JSON",
                Loss::degraded("stream", "an event that is not JSON was ignored"),
                sink,
            ),
        }
    }

    fn read_chunk(&mut self, chunk: &Chunk<'_>, data: &str, sink: &mut dyn EventSink) {
        self.parts
            .named(|| chunk.id.string(), || chunk.model.string());
        let choices = || {
            let first = |choice: &&Choice<'_>| choice.index.integer().unwrap_or(0) == 0;
            chunk.choices.iter().filter(first)
        };
        for choice in choices() {
            self.read_choice(choice, sink);
            if self.done {
                return;
            }
        }
        self.heard = self.heard || choices().any(|choice| choice.message.has_members());
        self.usage = usage::read(chunk).or(self.usage);
        if is_error(chunk) {
            let fault = read_embedded_error(data).unwrap_or_else(|| {
                Fault::new(
                    FaultClass::Server,
                    "the provider reported a failure and did not say which",
                )
            });
            self.fail_unless_late(fault, sink);
            if self.done {
                return;
            }
        }
        for choice in choices() {
            self.read_finish(choice.finish_reason, sink);
        }
        if chunk.citations.has_members() {
            self.read_sources("citations", chunk.citations, sink);
        }
    }

    fn read_choice(&mut self, choice: &Choice<'_>, sink: &mut dyn EventSink) {
        self.heard = self.heard || !choice.delta.is_empty();
        self.read_delta(&choice.delta, sink);
        if choice.message.has_members() && !self.heard {
            self.read_delta(&choice.message.parse(), sink);
        }
        if choice.logprobs.has_members() {
            self.read_logprobs(choice.logprobs, sink);
        }
        self.sources.emit(&self.parts, sink);
        let held_bytes = self
            .calls
            .bytes()
            .saturating_add(self.parts.deferred_bytes())
            .saturating_add(self.details.bytes());
        let too_many = self.calls.count().max(self.details.count()) > CALLS_MAX;
        if held_bytes > HELD_BYTES_MAX || too_many {
            let message = "the answer has more tool calls, or longer ones, than can be believed";
            self.fail(Fault::new(FaultClass::Protocol, message), sink);
        }
    }

    fn read_finish(&mut self, word: Raw<'_>, sink: &mut dyn EventSink) {
        // A second finish reason repeats the first.
        let Some(word) = word.string().filter(|_| self.finish.is_none()) else {
            return;
        };
        let meaning = finish::read(&word).unwrap_or_else(|| {
            let what = format!("finish reason `{}`", clean(&word, 40));
            sink.event(Event::Loss(Loss::note(what, "not known; taken for `stop`")));
            Finish::Stopped(StopReason::Stop)
        });
        self.finish = Some((meaning, word));
    }

    fn error_event(&mut self, data: &str, sink: &mut dyn EventSink) {
        let fault = read_embedded_error(data)
            .unwrap_or_else(|| Fault::new(FaultClass::Server, clean(data, 1_000)));
        self.fail_unless_late(fault, sink);
    }

    /// Reads a whole JSON body.
    fn read_whole(&mut self, text: &str, sink: &mut dyn EventSink) {
        self.read_data(text, sink);
        if self.done {
            return;
        }
        if self.finish.is_some() || self.parts.any() || self.calls.count() > 0 {
            self.end(sink);
        } else {
            let message = format!(
                "JSON came that is neither an answer nor an error: {}",
                clean(text, 200)
            );
            self.fail(Fault::new(FaultClass::Protocol, message), sink);
        }
    }

    /// The provider said that it is done, or what it said amounts to that.
    fn end(&mut self, sink: &mut dyn EventSink) {
        match self.finish.take() {
            Some((Finish::Failed(class), word)) => {
                let message = format!("the provider ended the answer with `{}`", clean(&word, 40));
                self.fail(Fault::new(class, message).with_code(word), sink);
            }
            Some((Finish::Stopped(reason), _)) => {
                let ending = match reason {
                    StopReason::Stop | StopReason::Calls | StopReason::Pause => Ending::Complete,
                    StopReason::Length | StopReason::ContentFilter => Ending::Cut,
                };
                self.complete(reason, ending, sink);
            }
            None => self.complete(StopReason::Stop, Ending::Unexplained, sink),
        }
    }

    fn complete(&mut self, reason: StopReason, ending: Ending, sink: &mut dyn EventSink) {
        self.close_parts(ending, sink);
        if self.calls.is_nameless() {
            let message = "the model called a tool without naming it";
            self.emit_fault(Fault::new(FaultClass::BadToolCall, message), sink);
            return;
        }
        let reason = match reason {
            // Gemini, older Ollama and others say `stop` although they called (seen 2025).
            StopReason::Stop if self.calls.ended_whole() > 0 => StopReason::Calls,
            StopReason::Calls if self.calls.ended_whole() == 0 => {
                sink.event(Event::Loss(Loss::degraded(
                    "finish reason",
                    "the provider announced tool calls and made none that is whole; taken for `stop`",
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
        if let Some(usage) = self.usage {
            sink.event(Event::Usage(usage));
        }
        sink.event(Event::Finish(reason));
        self.done = true;
    }

    fn fail(&mut self, fault: Fault, sink: &mut dyn EventSink) {
        self.close_parts(Ending::Failed, sink);
        self.emit_fault(fault, sink);
    }

    fn emit_fault(&mut self, fault: Fault, sink: &mut dyn EventSink) {
        if let Some(usage) = self.usage {
            sink.event(Event::Usage(usage));
        }
        sink.event(Event::Fault(fault));
        self.done = true;
    }

    /// An error after the finish reason is noise; before it, or together with a finish reason that means failure, it is the
    /// end.
    fn fail_unless_late(&mut self, fault: Fault, sink: &mut dyn EventSink) {
        match &self.finish {
            Some((Finish::Stopped(_), _)) => self.note(
                "late error",
                Loss::note(
                    "stream",
                    format!("an error after the end of the answer was ignored: {fault}"),
                ),
                sink,
            ),
            Some((Finish::Failed(_), _)) | None => self.fail(fault, sink),
        }
    }

    /// Hands out what was held back and closes every part.
    fn close_parts(&mut self, ending: Ending, sink: &mut dyn EventSink) {
        if let Some(rest) = self.reasoning_mender.finish() {
            self.parts.say(Kind::Reasoning, rest, sink);
        }
        self.flush_details(sink);
        if let Some(rest) = self.text_mender.finish() {
            self.divide(sink, |think, emit| think.push(rest, emit));
        }
        self.divide(sink, |think, emit| think.finish(emit));
        self.release_text(sink);
        self.sources.emit(&self.parts, sink);
        if self.sources.are_waiting() {
            self.note(
                "sources",
                Loss::note("sources", "left out: there is no text that they belong to"),
                sink,
            );
        }
        let parts = &mut self.parts;
        if let Some(rest) = self.refusal_mender.finish() {
            parts.say(Kind::Refusal, rest, sink);
        }
        self.calls.finish(ending, parts, sink);
        parts.close(sink);
    }

    /// Notes a loss, but each kind of it once only.
    fn note(&mut self, kind: &'static str, loss: Loss, sink: &mut dyn EventSink) {
        if !self.noted.contains(&kind) {
            self.noted.push(kind);
            sink.event(Event::Loss(loss));
        }
    }
}

/// Whether a chunk reports a failure, in any of the forms that are used for it.
fn is_error(chunk: &Chunk<'_>) -> bool {
    let no_choices = chunk.choices.is_empty();
    let says = |raw: Raw<'_>| raw.text().is_some() || raw.has_members();
    says(chunk.error)
        || chunk
            .base_resp
            .parse::<BaseResp<'_>>()
            .status_code
            .integer()
            .unwrap_or(0)
            != 0
        || is_word_error(chunk.object)
        || is_word_error(chunk.kind)
        || (no_choices && says(chunk.detail))
        || (no_choices && says(chunk.message) && chunk.code.get().is_some())
}

fn is_word_error(raw: Raw<'_>) -> bool {
    raw.get() == Some("\"error\"")
}
