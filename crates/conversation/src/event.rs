//! What a model's answer is made of, event by event.

use crate::json::PairMender;
use crate::{Fault, Json, Loss, Raised, Text, Usage};

/// One event of an answer.
///
/// A stream of events is a sequence of parts, one open at a time: each part has a start, deltas and an end. It closes with
/// exactly one [`Finish`](Event::Finish) or [`Fault`](Event::Fault), and every open part is closed before it, but for a call
/// that was cut: that one is followed by [`CallCut`](Event::CallCut). Readers order interleaved provider streams into this
/// shape, so that writers need no memory of more than one part.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The provider began to answer. First event, at most once.
    Start {
        /// The provider's id of the answer.
        id: Option<&'a str>,
        /// The model that answers, as the provider names it.
        model: Option<&'a str>,
    },
    /// Reasoning begins.
    ReasoningStart,
    /// A piece of readable reasoning.
    ReasoningDelta(Text<'a>),
    /// State of the reasoning that only the provider can read.
    ReasoningOpaque(Opaque<'a>),
    /// Reasoning ends.
    ReasoningEnd,
    /// Visible text begins.
    TextStart,
    /// A piece of visible text.
    TextDelta(Text<'a>),
    /// A source of the visible text so far. Only while text is open.
    Citation(Citation<'a>),
    /// Probabilities of the tokens of the text delta before, an array as OpenAI writes it.
    Logprobs(Json<'a>),
    /// Visible text ends.
    TextEnd,
    /// A refusal begins.
    RefusalStart,
    /// A piece of a refusal.
    RefusalDelta(Text<'a>),
    /// A refusal ends.
    RefusalEnd,
    /// A tool call begins.
    CallStart {
        /// Pairs the call with its result.
        id: &'a str,
        /// The tool, as the client knows it.
        tool: Raised<'a>,
    },
    /// A piece of a call's input: JSON text for functions and searches, the text itself for freeform tools.
    CallDelta(Text<'a>),
    /// A call is complete and may be carried out.
    CallEnd,
    /// A call was cut off and must never be carried out. What arrived of it was handed out as deltas.
    CallCut,
    /// A web search that was carried out for the model. A part of its own: comes whole, while no other part is open.
    WebSearch(WebSearch<'a>),
    /// A frame of the client's own protocol that passes as it is. The events beside it tell the gateway what it means; a writer that
    /// passes frames on ignores those.
    Native(Native<'a>),
    /// The text of the client's stop list at which the model stopped. Before [`Finish`](Event::Finish).
    StoppedAt(Text<'a>),
    /// What the turn consumed. At most once, before the terminal event.
    Usage(Usage),
    /// Something of the answer could not be carried, or looks wrong. May come anywhere before the terminal event; it is for the
    /// log and the receipt, and writers ignore it.
    Loss(Loss),
    /// The answer ended as it should.
    Finish(StopReason),
    /// The answer failed.
    Fault(Fault),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model was done.
    Stop,
    /// The model waits for the results of its calls.
    Calls,
    /// The output limit was reached.
    Length,
    /// A content filter cut the answer.
    ContentFilter,
    /// The provider paused and can go on.
    Pause,
}

impl StopReason {
    /// The word used in logs, receipts and fixtures.
    pub const fn name(self) -> &'static str {
        match self {
            StopReason::Stop => "stop",
            StopReason::Calls => "tool_calls",
            StopReason::Length => "length",
            StopReason::ContentFilter => "content_filter",
            StopReason::Pause => "pause",
        }
    }
}

/// A source of something that the model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation<'a> {
    /// Where it is.
    pub url: Text<'a>,
    /// What it is called; may be empty.
    pub title: Text<'a>,
    /// The words that were taken from it, where the provider tells.
    pub quote: Option<Text<'a>>,
    /// The stretch of the text that rests on it, in characters from the start of the text part.
    pub span: Option<(u64, u64)>,
}

impl Citation<'_> {
    /// The same source, with half characters replaced: a strict client refuses the whole frame for one.
    #[must_use]
    pub fn mended(self) -> Self {
        Self {
            url: PairMender::mend_whole(self.url),
            title: PairMender::mend_whole(self.title),
            quote: self.quote.map(PairMender::mend_whole),
            span: self.span,
        }
    }
}

/// A web search that was carried out for the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSearch<'a> {
    /// The provider's id of the search, or one of ours.
    pub id: &'a str,
    /// What was searched for.
    pub query: Text<'a>,
    /// The pages that were found: URL and title.
    pub sources: Vec<(Text<'a>, Text<'a>)>,
    /// Why it found nothing, when it failed.
    pub failure: Option<Text<'a>>,
}

impl WebSearch<'_> {
    /// The same search, with half characters replaced: a strict client refuses the whole frame for one.
    #[must_use]
    pub fn mended(self) -> Self {
        let mend = PairMender::mend_whole;
        let sources = self.sources.into_iter();
        Self {
            id: self.id,
            query: mend(self.query),
            sources: sources
                .map(|(url, title)| (mend(url), mend(title)))
                .collect(),
            failure: self.failure.map(mend),
        }
    }
}

/// A frame of the client's own protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Native<'a> {
    /// Its event name.
    pub event: &'a str,
    /// Its data, without line breaks.
    pub data: &'a str,
}

/// Reasoning state that only its provider can read and wants back unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque<'a> {
    /// What it is, and so how it goes back.
    pub kind: OpaqueKind,
    /// The state, as the provider wrote it.
    pub state: Text<'a>,
}

/// Forms of opaque reasoning state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpaqueKind {
    /// One entry of a `reasoning_details` array, as JSON.
    Detail,
    /// A signature over the readable reasoning.
    Signature,
    /// Encrypted reasoning beside or in place of readable text.
    Encrypted,
    /// A whole block of encrypted reasoning that has no readable text (`redacted_thinking`).
    Redacted,
    /// A whole reasoning item of the Responses protocol, as JSON.
    Item,
    /// An [envelope](crate::envelope) of ours around the provider's state: what clients get to hold. Readers never emit it.
    Sealed,
    /// A signature on a tool call (`thought_signature`).
    CallSignature,
}

impl OpaqueKind {
    /// The word for it in an envelope.
    pub const fn name(self) -> &'static str {
        match self {
            OpaqueKind::Detail => "detail",
            OpaqueKind::Signature => "signature",
            OpaqueKind::Encrypted => "encrypted",
            OpaqueKind::Redacted => "redacted",
            OpaqueKind::Item => "item",
            OpaqueKind::Sealed => "sealed",
            OpaqueKind::CallSignature => "call_signature",
        }
    }

    /// Reads the word for it.
    pub fn parse(name: &str) -> Option<Self> {
        [
            OpaqueKind::Detail,
            OpaqueKind::Signature,
            OpaqueKind::Encrypted,
            OpaqueKind::Redacted,
            OpaqueKind::Item,
            OpaqueKind::CallSignature,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}
