//! Neutral events to the chunks of a stream, or to one answer.
//!
//! The writer here keeps the order: what is open, what ends it, how the answer ends. What chunks look like is in `chunks`
//! and `calls`, what the answer in one piece looks like in `message`.

mod calls;
mod chunks;
mod message;
mod options;
mod usage;

use polywire_conversation::{
    Citation, Event, Fault, FaultClass, Json, Loss, Opaque, OpaqueKind, Raised, Retry, StopReason,
    Text, Usage, WriteStream,
};
use polywire_sse::FrameBuffer;
use polywire_wire::write_array;

pub use options::WriterOptions;

use crate::failure::render_error;
use crate::limits::{LOGPROBS_BYTES_MAX, OUTPUT_BYTES_MAX};
use calls::OpenCall;
use chunks::{Chunks, write_done, write_failure};
use message::{Characters, Kind, Message, annotation, escaped, write_sealed};

/// Writes one answer as a stream of chunks.
///
/// Events that come in an order that [`Event`] does not promise never make it panic or write an ill-formed stream: a call that was
/// left open counts as cut, deltas without a call are ignored.
///
/// A message has one text, one refusal and one stretch of reasoning: parts of the same kind follow each other without anything between
/// them. Opaque reasoning goes to the client when its kind is [`OpaqueKind::Sealed`]. Other kinds are meaningless without the
/// name of their provider, which is not known here; whoever knows it seals them into that form first.
///
/// A call that was cut has been sent as far as it came. It is never completed: the answer ends with `length`, whatever the provider
/// says, and the answer in one piece is without it.
///
/// ```
/// use polywire_conversation::{Event, StopReason, WriteStream};
/// use polywire_dialect_chat::{ChatWriter, WriterOptions};
/// use polywire_sse::FrameBuffer;
///
/// let mut writer = ChatWriter::new(WriterOptions {
///     completion_id: "chatcmpl-1".to_owned(),
///     created: 1_795_000_000,
///     model: "house/small".to_owned(),
///     include_usage: true,
///     legacy_functions: false,
///     reasoning_details: false,
///     hide_reasoning: false,
/// });
/// let mut frames = FrameBuffer::new();
/// writer.push(Event::TextStart, &mut frames);
/// writer.push(Event::TextDelta("Good morning.".into()), &mut frames);
/// writer.push(Event::TextEnd, &mut frames);
/// writer.push(Event::Finish(StopReason::Stop), &mut frames);
/// assert!(frames.take().ends_with(b"data: [DONE]\n\n"));
/// ```
#[derive(Debug)]
pub struct ChatWriter {
    options: WriterOptions,
    chunks: Chunks,
    stage: Stage,
    message: Message,
    open_call: Option<OpenCall>,
    calls_begun: usize,
    call_was_cut: bool,
    /// The envelope of the stretch of reasoning that is open. The last one counts: a provider that sends several sends it growing.
    sealed: Option<Vec<u8>>,
    characters: Characters,
    /// The characters of the content before the text part that is open.
    part_start: u64,
    usage: Option<Usage>,
    /// All text so far, to keep the limit.
    text_bytes: usize,
    /// The failure that passing a limit made of the answer.
    overflow: Option<Fault>,
    losses: Vec<Loss>,
}

#[derive(Debug, PartialEq)]
enum Stage {
    Before,
    Streaming,
    Finished(&'static str),
    Failed(Fault),
}

impl ChatWriter {
    /// A writer that has written nothing yet.
    pub fn new(options: WriterOptions) -> Self {
        Self {
            chunks: Chunks::new(&options),
            options,
            stage: Stage::Before,
            message: Message::default(),
            open_call: None,
            calls_begun: 0,
            call_was_cut: false,
            sealed: None,
            characters: Characters::default(),
            part_start: 0,
            usage: None,
            text_bytes: 0,
            overflow: None,
            losses: Vec::new(),
        }
    }

    fn begin(&mut self, out: &mut FrameBuffer) {
        if self.stage != Stage::Before {
            return;
        }
        self.stage = Stage::Streaming;
        // Clients tell by the role that an answer has begun, also when nothing follows.
        self.chunks.delta(out, |delta| {
            delta.string("role", "assistant");
            delta.string("content", "");
        });
    }

    /// Counts text against the limit. `false` when there is no room for more, and the answer failed.
    fn has_room(&mut self, text: &Text<'_>, out: &mut FrameBuffer) -> bool {
        self.text_bytes = self.text_bytes.saturating_add(text.as_written().len());
        if self.text_bytes <= OUTPUT_BYTES_MAX {
            return true;
        }
        let limit = OUTPUT_BYTES_MAX >> 20;
        self.overflow(format!("the answer is longer than {limit} MiB"), out);
        false
    }

    fn overflow(&mut self, message: String, out: &mut FrameBuffer) {
        // An answer without end would be as long the next time.
        let fault = Fault::new(FaultClass::Protocol, message).with_retry(Retry::Never);
        self.overflow = Some(fault.clone());
        self.fail(fault, out);
    }

    fn text(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        if piece.is_empty() || !self.has_room(piece, out) {
            return;
        }
        piece.write_escaped(&mut self.message.content);
        self.chunks.text("content", piece, out);
    }

    fn refusal(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        if piece.is_empty() || !self.has_room(piece, out) {
            return;
        }
        piece.write_escaped(&mut self.message.refusal);
        self.chunks.text("refusal", piece, out);
    }

    fn reasoning(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        if self.options.hide_reasoning || piece.is_empty() || !self.has_room(piece, out) {
            return;
        }
        piece.write_escaped(&mut self.message.reasoning);
        self.chunks.text("reasoning_content", piece, out);
    }

    fn opaque(&mut self, opaque: &Opaque<'_>, out: &mut FrameBuffer) {
        match opaque.kind {
            OpaqueKind::Sealed => {
                if self.options.reasoning_details && self.has_room(&opaque.state, out) {
                    self.sealed = Some(escaped(&opaque.state));
                }
            }
            OpaqueKind::Encrypted
            | OpaqueKind::Redacted
            | OpaqueKind::Item
            | OpaqueKind::Detail
            | OpaqueKind::Signature
            | OpaqueKind::CallSignature => {}
        }
    }

    /// Hands out the envelope of the reasoning that is over.
    fn end_reasoning(&mut self, out: &mut FrameBuffer) {
        let Some(sealed) = self.sealed.take() else {
            return;
        };
        let index = self.message.sealed.len();
        self.chunks.delta(out, |delta| {
            write_array(
                [&sealed],
                delta.member("reasoning_details"),
                |sealed, out| {
                    write_sealed(index, sealed, out);
                },
            );
        });
        self.message.sealed.push(sealed);
    }

    fn citation(&mut self, citation: &Citation<'_>, out: &mut FrameBuffer) {
        let room = [&citation.url, &citation.title]
            .iter()
            .all(|text| self.has_room(text, out));
        if !room {
            return;
        }
        // A source of which nobody says what rests on it stands where it came, behind the text so far.
        let here = self.characters.of(&self.message.content);
        let (start, end) = citation.span.map_or((here, here), |(start, end)| {
            let in_content = |place: u64| self.part_start.saturating_add(place).min(here);
            (in_content(start), in_content(end))
        });
        let annotation = annotation(citation, start, end);
        self.chunks.delta(out, |delta| {
            write_array([&annotation], delta.member("annotations"), |json, out| {
                out.extend_from_slice(json);
            });
        });
        self.message.annotations.push(annotation);
    }

    fn logprobs(&mut self, array: &Json<'_>, out: &mut FrameBuffer) {
        let array = array.as_str();
        if self.message.logprobs.len() + array.len() > LOGPROBS_BYTES_MAX {
            let limit = LOGPROBS_BYTES_MAX >> 20;
            self.overflow(
                format!("the token probabilities of the answer are longer than {limit} MiB"),
                out,
            );
            return;
        }
        if self.message.add_logprobs(array) {
            self.chunks.logprobs(array, out);
        }
    }

    fn call_start(&mut self, id: &str, tool: &Raised<'_>, out: &mut FrameBuffer) {
        self.call_cut();
        let open = OpenCall::new(id, tool, self.calls_begun, &self.options);
        self.calls_begun += 1;
        if open.is_silent() {
            self.losses.push(Loss::degraded(
                format!("call `{}`", tool.name),
                "left out: `function_call` has room for one call, and there was one already",
            ));
        }
        open.announce(&self.chunks, out);
        self.open_call = Some(open);
    }

    fn call_delta(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        if self.open_call.is_none() || piece.is_empty() || !self.has_room(piece, out) {
            return;
        }
        if let Some(open) = &mut self.open_call {
            open.push(piece, &self.chunks, out);
        }
    }

    fn call_end(&mut self, out: &mut FrameBuffer) {
        let Some(mut open) = self.open_call.take() else {
            return;
        };
        if open.lacks_object() {
            open.push(&Text::plain("{}"), &self.chunks, out);
        }
        self.message.calls.extend(open.end());
    }

    fn call_cut(&mut self) {
        if self.open_call.take().is_some() {
            self.call_was_cut = true;
        }
    }

    fn finish(&mut self, reason: StopReason, out: &mut FrameBuffer) {
        self.end_reasoning(out);
        self.call_cut();
        let reason = self.finish_reason(reason);
        self.chunks.finish(reason, out);
        if self.options.include_usage
            && let Some(usage) = usage::render(self.usage.as_ref())
        {
            self.chunks.usage(&usage, out);
        }
        write_done(out);
        self.stage = Stage::Finished(reason);
    }

    /// The word for how the answer ended. Clients carry out calls by it and wait for calls by it, so what was really sent counts
    /// for more than what the provider says.
    fn finish_reason(&self, reason: StopReason) -> &'static str {
        match reason {
            StopReason::ContentFilter => "content_filter",
            StopReason::Length => "length",
            StopReason::Stop | StopReason::Calls | StopReason::Pause if self.call_was_cut => {
                "length"
            }
            StopReason::Stop | StopReason::Calls | StopReason::Pause => {
                match self.message.calls.first().map(|call| call.kind) {
                    Some(Kind::Legacy) => "function_call",
                    Some(Kind::Function | Kind::Custom) => "tool_calls",
                    None => "stop",
                }
            }
        }
    }

    fn fail(&mut self, fault: Fault, out: &mut FrameBuffer) {
        write_failure(&fault, out);
        self.stage = Stage::Failed(fault);
    }

    /// What one event means to the client.
    fn event(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        if begins_answer(&event) {
            self.begin(out);
        }
        match event {
            // Parts begin with their first piece, so that nothing empty is sent.
            Event::Start { .. }
            | Event::ReasoningStart
            | Event::TextEnd
            | Event::RefusalStart
            | Event::RefusalEnd
            | Event::Native(_)
            | Event::StoppedAt(_)
            | Event::Loss(_) => {}
            Event::ReasoningDelta(piece) => self.reasoning(&piece, out),
            Event::ReasoningOpaque(opaque) => self.opaque(&opaque, out),
            Event::ReasoningEnd => self.end_reasoning(out),
            Event::TextStart => self.part_start = self.characters.of(&self.message.content),
            Event::TextDelta(piece) => self.text(&piece, out),
            Event::Citation(citation) => self.citation(&citation, out),
            Event::Logprobs(array) => self.logprobs(&array, out),
            Event::RefusalDelta(piece) => self.refusal(&piece, out),
            Event::CallStart { id, tool } => self.call_start(id, &tool, out),
            Event::CallDelta(piece) => self.call_delta(&piece, out),
            Event::CallEnd => self.call_end(out),
            Event::CallCut => self.call_cut(),
            Event::WebSearch(search) => self.losses.push(Loss::note(
                format!("web search `{}`", search.id),
                "left out: only the sources that the text cites can be told",
            )),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Finish(reason) => self.finish(reason, out),
            Event::Fault(fault) => self.fail(fault, out),
        }
    }
}

impl WriteStream for ChatWriter {
    /// Every chunk has the time at which the answer began.
    fn tick(&mut self, _unix_seconds: u64) {}

    fn push(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        match self.stage {
            Stage::Before | Stage::Streaming => self.event(event, out),
            Stage::Finished(_) | Stage::Failed(_) => {}
        }
    }

    /// A comment: any data would be taken for a chunk.
    fn heartbeat(&mut self, out: &mut FrameBuffer) {
        match self.stage {
            Stage::Before | Stage::Streaming => out.comment("keep-alive"),
            Stage::Finished(_) | Stage::Failed(_) => {}
        }
    }

    fn failure(&self) -> Option<&Fault> {
        self.overflow.as_ref()
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// The completion; the error body when the answer failed, or when it is not over, since half an answer must not look like one.
    fn whole(&mut self) -> Vec<u8> {
        match &self.stage {
            Stage::Finished(reason) => {
                self.message
                    .completion(&self.options, reason, self.usage.as_ref())
            }
            Stage::Failed(fault) => render_error(fault),
            Stage::Before | Stage::Streaming => render_error(&Fault::new(
                FaultClass::Server,
                "the answer is not complete",
            )),
        }
    }
}

/// Whether an event is part of an answer. A failure is not: one that comes first leaves nothing but itself.
fn begins_answer(event: &Event<'_>) -> bool {
    !matches!(
        event,
        Event::Usage(_)
            | Event::Loss(_)
            | Event::Native(_)
            | Event::StoppedAt(_)
            | Event::WebSearch(_)
            | Event::Fault(_)
    )
}
