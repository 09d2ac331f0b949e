//! A provider's answer as events.

mod calls;
mod finish;
mod hosted;
mod line;
mod usage;

use std::sync::Arc;

use polywire_conversation::json::PairMender;
use polywire_conversation::parts::{Kind, Parts};
use polywire_conversation::{
    Event, EventSink, Fault, FaultClass, Ledger, Loss, ReadStream, StopReason, StreamEnd, Text,
    Usage,
};
use polywire_sse::Frame;
use polywire_wire::{clean, html_fault};

use crate::failure::{read_error, stream_error};
use calls::Calls;
use finish::Finish;
use hosted::Hosted;
use line::{ErrorObject, Line, unframed};

/// Reads the stream of the private API: one JSON object per line, each line one frame of a
/// [`LineDecoder`](polywire_sse::LineDecoder). Lines framed as events (`data: …`) are read too.
///
/// Only what the service calls a tool call is one; the text of the answer is never searched for any. The answer is over with
/// `finish`: a stream that ends without it was cut.
#[derive(Debug)]
pub struct CommandCodeReader {
    parts: Parts,
    calls: Calls,
    hosted: Hosted,
    text_mender: PairMender,
    reasoning_mender: PairMender,
    /// The usage of the steps so far, in case that no total comes.
    usage: Option<Usage>,
    /// What was noted already: one note per kind and answer is enough.
    noted: Vec<&'static str>,
    done: bool,
}

impl CommandCodeReader {
    /// A reader for one answer. `ledger` is the one that [`render`](crate::render()) gave; `seed` goes into the ids of calls
    /// that come without a usable one, and should differ from answer to answer.
    pub fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            parts: Parts::default(),
            calls: Calls::new(ledger, seed),
            hosted: Hosted::default(),
            text_mender: PairMender::default(),
            reasoning_mender: PairMender::default(),
            usage: None,
            noted: Vec::new(),
            done: false,
        }
    }
}

impl ReadStream for CommandCodeReader {
    fn push(&mut self, frame: Frame<'_>, sink: &mut dyn EventSink) {
        if !self.done {
            self.read_line(&String::from_utf8_lossy(frame.data), sink);
        }
    }

    fn whole(&mut self, body: &[u8], sink: &mut dyn EventSink) {
        if self.done {
            return;
        }
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let one: Option<Line<'_>> = serde_json::from_str(text).ok();
        match one {
            Some(line) if line.kind.get().is_none() => {
                self.fail(read_error(200, None, body), sink);
            }
            Some(_) | None if text.starts_with('<') => self.fail(html_fault(200, text), sink),
            Some(_) | None => {
                text.lines().for_each(|line| {
                    if !self.done {
                        self.read_line(line, sink);
                    }
                });
                self.finish(StreamEnd::Closed, sink);
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

impl CommandCodeReader {
    fn read_line(&mut self, line: &str, sink: &mut dyn EventSink) {
        let Some(json) = unframed(line) else {
            return;
        };
        match serde_json::from_str::<Line<'_>>(json) {
            Ok(line) => self.read_event(&line, sink),
            Err(_) => self.note(
                "not JSON",
                Loss::degraded("stream", "a line that is not JSON was ignored"),
                sink,
            ),
        }
        if !self.done && self.calls.are_too_many() {
            let message = "the answer has more tool calls than can be believed";
            self.fail(Fault::new(FaultClass::Protocol, message), sink);
        }
    }

    fn read_event(&mut self, line: &Line<'_>, sink: &mut dyn EventSink) {
        match &*line.kind.word() {
            "text-delta" => {
                if let Some(text) = line.text.or(line.delta).text() {
                    let text = self.text_mender.mend(text);
                    self.parts.say(Kind::Text, text, sink);
                }
            }
            "reasoning-delta" => {
                if let Some(text) = line.text.or(line.delta).text() {
                    let text = self.reasoning_mender.mend(text);
                    self.parts.say(Kind::Reasoning, text, sink);
                }
            }
            "tool-input-start" | "tool-input-delta" | "tool-input-end" | "tool-call-delta" => {
                self.calls.announce(line);
            }
            "tool-call" => self.read_call(line, sink),
            "tool-result" => self.read_result(line, sink),
            "finish-step" => {
                if let Some(step) = usage::read(line.usage) {
                    self.usage = Some(self.usage.map_or(step, |before| usage::sum(before, step)));
                }
            }
            "finish" => self.read_finish(line, sink),
            "abort" => self.aborted(sink),
            "error" => self.read_failure(line, sink),
            // These open and close what the deltas tell of anyhow, or tell of money.
            "start" | "start-step" | "text-start" | "text-end" | "reasoning-start"
            | "reasoning-end" | "provider-metadata" => {}
            "" if line.error.get().is_some() => self.read_failure(line, sink),
            other => {
                let what = format!("event `{}`", clean(other, 40));
                self.note("event", Loss::note(what, "not known; ignored"), sink);
            }
        }
    }

    fn read_call(&mut self, line: &Line<'_>, sink: &mut dyn EventSink) {
        let id = line.tool_call_id.or(line.id).word();
        if !self.calls.take(&id, sink) {
            return;
        }
        if line.provider_executed.flag() == Some(true) {
            self.hosted.call(line, sink);
        } else {
            self.mend_texts(sink);
            self.calls.offer(line, &mut self.parts, sink);
        }
    }

    fn read_result(&mut self, line: &Line<'_>, sink: &mut dyn EventSink) {
        self.mend_texts(sink);
        let shown = self.hosted.result(line, &mut self.parts, sink);
        let id = line.tool_call_id.or(line.id).word();
        if !shown && self.calls.is_offered(&id) {
            sink.event(Event::Loss(Loss::severe(
                format!("call `{}`", clean(&id, 80)),
                "the provider carried out a call itself that was offered to the client",
            )));
        }
    }

    fn read_finish(&mut self, line: &Line<'_>, sink: &mut dyn EventSink) {
        self.usage = usage::read(line.total_usage)
            .or(self.usage)
            .or_else(|| usage::read(line.usage));
        let (reason, raw_reason) = (line.finish_reason.word(), line.raw_finish_reason.word());
        match finish::read(&reason, &raw_reason) {
            Finish::Stopped(reason) => self.complete(reason, sink),
            Finish::Failed(class) => {
                let word = if raw_reason.is_empty() {
                    reason
                } else {
                    raw_reason
                };
                let word = clean(&word, 80);
                let message = format!("the provider ended the answer with `{word}`");
                self.fail(Fault::new(class, message).with_code(word), sink);
            }
            Finish::Unknown => {
                let what = format!(
                    "finish reason `{}` (`{}`)",
                    clean(&reason, 40),
                    clean(&raw_reason, 40)
                );
                sink.event(Event::Loss(Loss::note(what, "not known; taken for `stop`")));
                self.complete(StopReason::Stop, sink);
            }
        }
    }

    /// The service stopped as if somebody had asked it to. Nobody on our side has, so the client must not take it for the end.
    fn aborted(&mut self, sink: &mut dyn EventSink) {
        sink.event(Event::Loss(Loss::severe(
            "stream",
            "the provider stopped the answer in the middle (`abort`); it is told as incomplete",
        )));
        self.complete(StopReason::Length, sink);
    }

    fn read_failure(&mut self, line: &Line<'_>, sink: &mut dyn EventSink) {
        let fault = if let Some(words) = line.error.text() {
            stream_error(&words.to_plain(), None, None)
        } else {
            let error: ErrorObject<'_> = line.error.parse();
            let status = error.status_code.or(error.status).count();
            let status = status.and_then(|status| u16::try_from(status).ok());
            let message = error.message.word();
            let whole = line.error.get().unwrap_or_default();
            let told = if message.is_empty() { whole } else { &message };
            let mut fault = stream_error(told, status, error.is_retryable.flag());
            if fault.code.is_none() && !message.is_empty() {
                // A code may stand beside the message.
                fault.code = stream_error(whole, status, None).code;
            }
            fault
        };
        self.fail(fault, sink);
    }

    fn complete(&mut self, reason: StopReason, sink: &mut dyn EventSink) {
        let cut = self.close(sink);
        if self.calls.is_nameless() {
            let message = "the model called a tool without naming it";
            self.terminal(
                Event::Fault(Fault::new(FaultClass::BadToolCall, message)),
                sink,
            );
            return;
        }
        let whole = self.calls.whole() > 0;
        let reason = match reason {
            StopReason::Stop if whole => StopReason::Calls,
            StopReason::Calls if !whole => {
                if !cut {
                    sink.event(Event::Loss(Loss::degraded(
                        "finish reason",
                        "the provider announced tool calls and made none that is whole; taken for `stop`",
                    )));
                }
                StopReason::Stop
            }
            StopReason::Stop
            | StopReason::Calls
            | StopReason::Length
            | StopReason::ContentFilter
            | StopReason::Pause => reason,
        };
        self.parts.start(sink);
        self.terminal(Event::Finish(reason), sink);
    }

    fn fail(&mut self, fault: Fault, sink: &mut dyn EventSink) {
        self.close(sink);
        self.terminal(Event::Fault(fault), sink);
    }

    fn terminal(&mut self, event: Event<'_>, sink: &mut dyn EventSink) {
        if let Some(usage) = self.usage {
            sink.event(Event::Usage(usage));
        }
        sink.event(event);
        self.done = true;
    }

    /// Hands out what was held back and closes every part. Gives whether a call was cut off.
    fn close(&mut self, sink: &mut dyn EventSink) -> bool {
        self.mend_texts(sink);
        self.parts.close(sink);
        self.hosted.finish(&mut self.parts, sink);
        self.calls.finish(sink)
    }

    /// Something else than text follows: half a character will not become a whole one.
    fn mend_texts(&mut self, sink: &mut dyn EventSink) {
        let rests: [(Kind, Option<Text<'static>>); 2] = [
            (Kind::Reasoning, self.reasoning_mender.finish()),
            (Kind::Text, self.text_mender.finish()),
        ];
        for (kind, rest) in rests {
            if let Some(rest) = rest {
                self.parts.say(kind, rest, sink);
            }
        }
    }

    /// Notes a loss, but each kind of it once only.
    fn note(&mut self, kind: &'static str, loss: Loss, sink: &mut dyn EventSink) {
        if !self.noted.contains(&kind) {
            self.noted.push(kind);
            sink.event(Event::Loss(loss));
        }
    }
}
