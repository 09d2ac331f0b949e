//! Neutral events to the events of a Messages stream.
//!
//! The writer here keeps the order: which block is open, how the answer begins and ends. `parts` says what each event does to the open
//! block; what the events of the protocol look like is in `blocks`, `call` and `message`.

mod blocks;
mod call;
mod frames;
mod message;
mod parts;

use polywire_conversation::{Citation, Event, Fault, StopReason, Text, WriteStream};
use polywire_sse::FrameBuffer;

use crate::ThinkingDisplay;
use crate::failure::{render_error, write_error};
pub(crate) use blocks::SIGNATURE_WITHOUT_STATE;
use blocks::{TextBlock, ThinkingBlock};
use call::CallBlock;
use message::{Circumstances, Ending, Frame, Numbers};

/// What a [`MessagesWriter`] needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// The id of the message, `msg_…`.
    pub message_id: String,
    /// The id of the request, for errors; may be empty.
    pub request_id: String,
    /// The model as the client named it.
    pub model: String,
    /// What the input is taken to have in tokens, for the first event, which comes before anybody has counted; see
    /// [`estimate`](crate::estimate).
    pub input_tokens_estimate: u64,
    /// How much of the model's thinking the client wants to see, as [`parse`](crate::parse) has read it.
    pub thinking: ThinkingDisplay,
}

/// Writes one answer as a stream of Messages events.
///
/// Events that come in an order that [`Event`] does not promise never make it panic or write an ill-formed stream: a block that
/// was left open is closed before the next, a call that was left open counts as cut, deltas without a call are ignored.
///
/// Opaque reasoning goes to the client as the signature of its thinking block when its kind is
/// [`Sealed`](polywire_conversation::OpaqueKind::Sealed); without readable text it becomes a block of redacted thinking. Other kinds
/// are meaningless without the name of their provider, which is not known here; whoever knows it seals them into that form first.
#[derive(Debug)]
pub struct MessagesWriter {
    frame: Frame,
    request_id: String,
    thinking: ThinkingDisplay,
    numbers: Numbers,
    stage: Stage,
    open: Open,
    /// The index of the block that is open, or of the next.
    index: u64,
    /// The blocks that are done, separated by commas.
    content: Vec<u8>,
    /// Sealed reasoning that is written before the next call only.
    withheld: Vec<Text<'static>>,
    /// Sources of a text that has not begun.
    citations_early: Vec<Citation<'static>>,
    called: bool,
    cut: bool,
    refused: bool,
    stopped_at: Option<Text<'static>>,
    /// All text so far, to keep the limit.
    text_bytes: usize,
    /// The failure that passing the limit made of the answer.
    overflow: Option<Fault>,
}

#[derive(Debug)]
enum Stage {
    Before,
    Streaming,
    Finished(Ending),
    Failed(Fault),
}

/// The block that is open.
#[derive(Debug)]
enum Open {
    Nothing,
    Text(TextBlock, Said),
    Reasoning(ReasoningPart),
    Call(CallBlock),
}

/// What a block of text holds. The protocol has no block for refusals, but they stay apart from what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Text,
    Refusal,
}

/// Reasoning on its way. Its block is opened by readable text; what is sealed comes at its end.
#[derive(Debug, Default)]
struct ReasoningPart {
    block: Option<ThinkingBlock>,
    /// Whether there was readable text that is not shown.
    omitted: bool,
    sealed: Vec<Text<'static>>,
}

impl MessagesWriter {
    /// A writer that has written nothing yet.
    pub fn new(options: WriterOptions) -> Self {
        Self {
            frame: Frame {
                id: options.message_id,
                model: options.model,
            },
            request_id: options.request_id,
            thinking: options.thinking,
            numbers: Numbers {
                input_estimate: options.input_tokens_estimate,
                ..Numbers::default()
            },
            stage: Stage::Before,
            open: Open::Nothing,
            index: 0,
            content: Vec::new(),
            withheld: Vec::new(),
            citations_early: Vec::new(),
            called: false,
            cut: false,
            refused: false,
            stopped_at: None,
            text_bytes: 0,
            overflow: None,
        }
    }

    /// What one event means to the client.
    fn event(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        match event {
            Event::Usage(usage) => self.numbers.usage = Some(usage),
            Event::StoppedAt(text) => self.stopped_at = Some(text.into_owned()),
            // Nobody can ask for probabilities in this protocol, and frames of it do not come this way.
            Event::Loss(_) | Event::Logprobs(_) | Event::Native(_) => {}
            Event::Fault(fault) => self.fail(fault, out),
            // Blocks are opened by their first piece, so that nothing empty is sent.
            Event::Start { .. }
            | Event::ReasoningStart
            | Event::TextStart
            | Event::RefusalStart => self.begin(out),
            Event::ReasoningDelta(text) => self.reasoning_delta(&text, out),
            Event::ReasoningOpaque(opaque) => self.reasoning_opaque(opaque, out),
            Event::ReasoningEnd => self.reasoning_end(out),
            Event::TextDelta(text) => self.text(Said::Text, &text, out),
            Event::RefusalDelta(text) => self.text(Said::Refusal, &text, out),
            Event::Citation(citation) => self.citation(&citation, out),
            Event::TextEnd | Event::RefusalEnd => self.text_end(out),
            Event::CallStart { id, tool } => self.call_start(id, &tool, out),
            Event::CallDelta(text) => self.call_delta(&text, out),
            Event::CallEnd => self.call_end(out),
            Event::CallCut => self.call_cut(out),
            Event::WebSearch(search) => self.web_search(&search, out),
            Event::Finish(reason) => self.finish(reason, out),
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Finished(_) | Stage::Failed(_))
    }

    fn begin(&mut self, out: &mut FrameBuffer) {
        if matches!(self.stage, Stage::Before) {
            self.stage = Stage::Streaming;
            self.frame.start(&self.numbers, out);
            frames::ping(out);
        }
    }

    /// Keeps a block that is done.
    fn keep(&mut self, block: &[u8]) {
        self.index += 1;
        if !self.content.is_empty() {
            self.content.push(b',');
        }
        self.content.extend_from_slice(block);
    }

    fn finish(&mut self, reason: StopReason, out: &mut FrameBuffer) {
        self.begin(out);
        self.close(out);
        let ending = Ending::new(
            reason,
            Circumstances {
                called: self.called,
                cut: self.cut,
                refused: self.refused,
                stopped_at: self.stopped_at.take(),
            },
        );
        message::end(&ending, &self.numbers, out);
        self.stage = Stage::Finished(ending);
    }

    /// Ends the answer with a failure. What is open stays open: a block that is closed would look complete.
    fn fail(&mut self, fault: Fault, out: &mut FrameBuffer) {
        self.open = Open::Nothing;
        write_error(&fault, &self.request_id, out.open("error"));
        out.close();
        self.stage = Stage::Failed(fault);
    }
}

impl WriteStream for MessagesWriter {
    /// Nothing in this protocol tells the time.
    fn tick(&mut self, _unix_seconds: u64) {}

    fn push(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        if !self.has_ended() {
            self.event(event, out);
        }
    }

    fn heartbeat(&mut self, out: &mut FrameBuffer) {
        match self.stage {
            Stage::Before => self.begin(out),
            Stage::Streaming => frames::ping(out),
            Stage::Finished(_) | Stage::Failed(_) => {}
        }
    }

    fn failure(&self) -> Option<&Fault> {
        self.overflow.as_ref()
    }

    /// The whole message; the error body when the answer failed.
    fn whole(&mut self) -> Vec<u8> {
        let ending = match &self.stage {
            Stage::Failed(fault) => return render_error(fault, &self.request_id),
            Stage::Finished(ending) => Some(ending),
            Stage::Before | Stage::Streaming => None,
        };
        let mut body = Vec::with_capacity(self.content.len() + 512);
        self.frame
            .message(&self.content, ending, &self.numbers, &mut body);
        body
    }
}
