//! Puts content blocks together from their pieces, and lets them out one at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use polywire_conversation::json::PairMender;
use polywire_conversation::parts::{Kind, Parts};
use polywire_conversation::{Citation, Event, EventSink, Ledger, Loss, OpaqueKind, Text, ids};

use super::Ending;
use super::call::{Call, raise};
use super::search::{Answer, Searches, WEB_SEARCH};
use super::wire::{
    Block, Delta, Raw, WireCitation, elements, has_members, inner, string, text, word,
};
use polywire_wire::clean;

/// The most notes that are remembered in order not to repeat them.
const NOTES_MAX: usize = 32;

/// The blocks of one answer. Only the first that has not ended may be open; those behind it wait.
#[derive(Debug)]
pub(super) struct Blocks {
    ledger: Arc<Ledger>,
    seed: String,
    slots: VecDeque<Slot>,
    searches: Searches,
    /// The ids of all calls.
    ids: Vec<String>,
    count: usize,
    kept_bytes: usize,
    ended_whole: usize,
    nameless: bool,
    /// What was noted already: one note per kind and answer is enough.
    noted: Vec<String>,
}

#[derive(Debug)]
struct Slot {
    /// The provider's key of the block. Most rise by one, but nobody promises that.
    index: u64,
    body: Body,
    begun: bool,
    stopped: bool,
    /// Pieces that came before it was this block's turn.
    held: Vec<Piece<'static>>,
}

#[derive(Debug)]
enum Body {
    Said(Said),
    Call(Call),
    Redacted(Text<'static>),
    ServerTool {
        id: String,
        name: String,
        input: String,
    },
    Search(Answer),
    /// Of no use to anybody but the provider.
    Skipped,
}

/// Text or readable reasoning.
#[derive(Debug, Default)]
struct Said {
    mender: PairMender,
    /// The signature over the reasoning, as the body of a JSON string.
    signature: Vec<u8>,
    citations: Vec<Citation<'static>>,
    /// How many characters were said, where sources may have to point to them.
    chars: Option<u64>,
    /// What was said last.
    last: Option<Kind>,
}

#[derive(Debug)]
enum Piece<'a> {
    Said(Kind, Text<'a>),
    Input(Text<'a>),
    Signature(Text<'a>),
    Citation(Citation<'a>),
}

impl Piece<'_> {
    fn bytes(&self) -> usize {
        match self {
            Piece::Said(_, text) | Piece::Input(text) | Piece::Signature(text) => {
                text.as_written().len()
            }
            Piece::Citation(citation) => {
                let quote = citation
                    .quote
                    .as_ref()
                    .map_or(0, |text| text.as_written().len());
                quote + citation.url.as_written().len()
            }
        }
    }

    fn into_owned(self) -> Piece<'static> {
        match self {
            Piece::Said(kind, text) => Piece::Said(kind, text.into_owned()),
            Piece::Input(text) => Piece::Input(text.into_owned()),
            Piece::Signature(text) => Piece::Signature(text.into_owned()),
            Piece::Citation(citation) => Piece::Citation(Citation {
                url: citation.url.into_owned(),
                title: citation.title.into_owned(),
                quote: citation.quote.map(Text::into_owned),
                span: citation.span,
            }),
        }
    }
}

impl Blocks {
    pub(super) fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            ledger,
            seed: seed.to_owned(),
            slots: VecDeque::new(),
            searches: Searches::default(),
            ids: Vec::new(),
            count: 0,
            kept_bytes: 0,
            ended_whole: 0,
            nameless: false,
            noted: Vec::new(),
        }
    }

    /// How many blocks there were.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes had to be kept, because they could not be handed out at once.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// How many calls ended whole.
    pub(super) fn ended_whole(&self) -> usize {
        self.ended_whole
    }

    /// Whether a call came without a name: nobody can carry it out, or be told that it failed.
    pub(super) fn is_nameless(&self) -> bool {
        self.nameless
    }

    /// A block begins, perhaps with all that it has.
    pub(super) fn start(
        &mut self,
        index: Option<u64>,
        raw: Raw<'_>,
        parts: &mut Parts,
        sink: &mut dyn EventSink,
    ) {
        let block: Block<'_> = inner(raw);
        let index = index.unwrap_or(self.count as u64);
        // A key that comes again means that the end of the block before was left out.
        for slot in self.slots.iter_mut().filter(|slot| slot.index == index) {
            slot.stopped = true;
        }
        let (body, held) = self.body(&block, sink);
        self.open(index, body, held);
        self.advance(parts, sink);
    }

    /// A block grows.
    pub(super) fn delta(
        &mut self,
        index: Option<u64>,
        raw: Raw<'_>,
        parts: &mut Parts,
        sink: &mut dyn EventSink,
    ) {
        let delta: Delta<'_> = inner(raw);
        let Some(piece) = self.piece_of(&delta, sink) else {
            return;
        };
        let found = match index {
            Some(index) => self.slots.iter().rposition(|slot| slot.index == index),
            None => self.slots.len().checked_sub(1),
        };
        let at = match (found, &piece) {
            (Some(at), _) => at,
            // Some small servers never say that a block begins (fixtures/messages/blocks_never_begun.sse).
            (None, Piece::Said(..)) => {
                let index = index.unwrap_or(self.count as u64);
                self.open(index, Body::Said(Said::default()), Vec::new());
                self.advance(parts, sink);
                self.slots.len() - 1
            }
            (None, Piece::Input(_) | Piece::Signature(_) | Piece::Citation(_)) => {
                return self.note(
                    "late piece",
                    Loss::degraded(
                        "stream",
                        "a piece of a block that is over or never began was ignored",
                    ),
                    sink,
                );
            }
        };
        if at == 0 {
            self.grow_front(piece, parts, sink);
        } else if let Some(slot) = self.slots.get_mut(at) {
            self.kept_bytes += piece.bytes();
            slot.held.push(piece.into_owned());
        }
        self.advance(parts, sink);
    }

    /// A block ends.
    pub(super) fn stop(&mut self, index: Option<u64>, parts: &mut Parts, sink: &mut dyn EventSink) {
        let slot = match index {
            Some(index) => self.slots.iter_mut().rfind(|slot| slot.index == index),
            None => self.slots.back_mut(),
        };
        if let Some(slot) = slot {
            slot.stopped = true;
        }
        self.advance(parts, sink);
    }

    /// Ends all blocks, because the answer is over.
    pub(super) fn finish(&mut self, ending: Ending, parts: &mut Parts, sink: &mut dyn EventSink) {
        while let Some(slot) = self.slots.front() {
            // Nobody heard of it yet.
            let unheard = !slot.begun && matches!(slot.body, Body::Call(_));
            if unheard && ending == Ending::Failed {
                self.slots.pop_front();
                continue;
            }
            self.begin_front(parts, sink);
            let followed = self.slots.len() > 1;
            self.end_front(ending, followed, parts, sink);
        }
        self.searches.finish(sink);
        parts.close(sink);
    }

    fn open(&mut self, index: u64, body: Body, held: Vec<Piece<'static>>) {
        self.count += 1;
        self.slots.push_back(Slot {
            index,
            body,
            begun: false,
            stopped: false,
            held,
        });
    }

    /// Begins and ends blocks as far as the pieces allow, so that the first one is always open.
    fn advance(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        loop {
            self.begin_front(parts, sink);
            let followed = self.slots.len() > 1;
            match self.slots.front() {
                Some(slot) if slot.may_end(followed) => {
                    self.end_front(Ending::Complete, followed, parts, sink);
                }
                Some(_) | None => return,
            }
        }
    }

    /// Opens the first block, if it is not open, and hands out what waited.
    fn begin_front(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        let Some(slot) = self.slots.front_mut() else {
            return;
        };
        if std::mem::replace(&mut slot.begun, true) {
            return;
        }
        let held = std::mem::take(&mut slot.held);
        if let Body::Call(call) = &mut slot.body {
            let id = if ids::is_usual(&call.provider_id) && !self.ids.contains(&call.provider_id) {
                call.provider_id.clone()
            } else {
                ids::made_from(&format!("{}/{}", self.seed, self.ids.len()))
            };
            let tool = raise(&self.ledger, &call.name, sink);
            parts.start_call(&id, tool, sink);
            call.announced(tool.form);
            self.ids.push(id);
        }
        for piece in held {
            self.grow_front(piece, parts, sink);
        }
    }

    /// Adds a piece to the first block.
    fn grow_front(&mut self, piece: Piece<'_>, parts: &mut Parts, sink: &mut dyn EventSink) {
        let Some(slot) = self.slots.front_mut() else {
            return;
        };
        let bytes = piece.bytes();
        match (&mut slot.body, piece) {
            (Body::Said(said), Piece::Said(kind, text)) => said.say(kind, text, parts, sink),
            (Body::Said(said), Piece::Signature(text)) => {
                text.write_escaped(&mut said.signature);
                self.kept_bytes += bytes;
            }
            (Body::Said(said), Piece::Citation(citation)) => {
                if let Piece::Citation(citation) = Piece::Citation(citation).into_owned() {
                    said.citations.push(citation);
                }
                self.kept_bytes += bytes;
            }
            (Body::Call(call), Piece::Input(text)) => {
                call.push(text, sink);
                self.kept_bytes += bytes;
            }
            (Body::ServerTool { input, .. }, Piece::Input(text)) => {
                input.push_str(&text.to_plain());
                self.kept_bytes += bytes;
            }
            (Body::Skipped | Body::Redacted(_) | Body::Search(_), _) => {}
            (Body::Said(_) | Body::Call(_) | Body::ServerTool { .. }, _) => self.note(
                "odd piece",
                Loss::degraded("stream", "a piece that does not fit its block was ignored"),
                sink,
            ),
        }
    }

    /// Ends the first block. A call that another block follows is not the one that an answer was cut in.
    fn end_front(
        &mut self,
        ending: Ending,
        followed: bool,
        parts: &mut Parts,
        sink: &mut dyn EventSink,
    ) {
        let Some(slot) = self.slots.pop_front() else {
            return;
        };
        match slot.body {
            Body::Said(said) => {
                let signed = slot.stopped || ending != Ending::Failed;
                said.end(signed, parts, sink);
            }
            Body::Call(mut call) => {
                let ending = match ending {
                    Ending::Failed => Ending::Failed,
                    Ending::Complete | Ending::Unexplained | Ending::Cut if followed => {
                        Ending::Complete
                    }
                    Ending::Complete | Ending::Unexplained | Ending::Cut => ending,
                };
                let whole = call.finish(ending, sink);
                self.ended_whole += usize::from(whole);
                parts.end_call(!whole, sink);
            }
            Body::Redacted(state) => {
                parts.opaque(OpaqueKind::Redacted, state, sink);
                parts.close(sink);
            }
            Body::ServerTool { id, name, input } if name == WEB_SEARCH => {
                self.searches.begin(id, &input);
            }
            Body::ServerTool { name, .. } => {
                let what = format!("tool `{}`", clean(&name, 40));
                let loss = Loss::note(
                    what.clone(),
                    "left out: the provider carried it out by itself",
                );
                self.note(&what, loss, sink);
            }
            Body::Search(answer) => self.searches.answer(answer, parts, sink),
            Body::Skipped => {}
        }
    }

    /// What a block is, and the pieces that come with its beginning.
    fn body(&mut self, block: &Block<'_>, sink: &mut dyn EventSink) -> (Body, Vec<Piece<'static>>) {
        let mut pieces = Vec::new();
        let body = match word(block.kind) {
            "text" => {
                pieces.extend(text(block.text).map(|text| Piece::Said(Kind::Text, text)));
                for raw in elements(block.citations) {
                    pieces.extend(self.citation(Some(raw), sink).map(Piece::Citation));
                }
                Body::Said(Said {
                    chars: block.citations.map(|_| 0),
                    ..Said::default()
                })
            }
            "thinking" => {
                let thought = text(block.thinking);
                pieces.extend(thought.map(|text| Piece::Said(Kind::Reasoning, text)));
                pieces.extend(text(block.signature).map(Piece::Signature));
                Body::Said(Said::default())
            }
            "redacted_thinking" => match text(block.data) {
                Some(state) => Body::Redacted(state.into_owned()),
                None => Body::Skipped,
            },
            "tool_use" => {
                let call = Call::new(block);
                if call.name.is_empty() {
                    self.nameless = true;
                    Body::Skipped
                } else {
                    Body::Call(call)
                }
            }
            "server_tool_use" | "mcp_tool_use" => Body::ServerTool {
                id: string(block.id).unwrap_or_default(),
                name: string(block.name).unwrap_or_default(),
                input: block
                    .input
                    .filter(|_| has_members(block.input))
                    .map(|raw| raw.get().to_owned())
                    .unwrap_or_default(),
            },
            "web_search_tool_result" => Body::Search(Answer::new(block)),
            other => {
                self.note_skipped(other, sink);
                Body::Skipped
            }
        };
        let pieces = pieces.into_iter().map(Piece::into_owned).collect();
        (body, pieces)
    }

    fn note_skipped(&mut self, kind: &str, sink: &mut dyn EventSink) {
        let what = format!("block `{}`", clean(kind, 60));
        let loss = match kind {
            "compaction" => Loss::degraded(
                what.clone(),
                "left out: the provider has summarised the conversation, and nobody can give it the summary back",
            ),
            "fallback" => Loss::note(what.clone(), "another model took over"),
            _ => Loss::note(what.clone(), "left out: it cannot be carried"),
        };
        self.note(&what, loss, sink);
    }

    fn piece_of<'d>(&mut self, delta: &Delta<'d>, sink: &mut dyn EventSink) -> Option<Piece<'d>> {
        match word(delta.kind) {
            "text_delta" => text(delta.text).map(|text| Piece::Said(Kind::Text, text)),
            "thinking_delta" => text(delta.thinking).map(|text| Piece::Said(Kind::Reasoning, text)),
            "input_json_delta" => {
                let as_object = || {
                    let raw = delta
                        .partial_json
                        .filter(|_| has_members(delta.partial_json));
                    raw.map(|raw| Text::plain(raw.get()))
                };
                text(delta.partial_json)
                    .or_else(as_object)
                    .map(Piece::Input)
            }
            "signature_delta" => text(delta.signature).map(Piece::Signature),
            "citations_delta" => self.citation(delta.citation, sink).map(Piece::Citation),
            // What its block is has been said when it began.
            "compaction_delta" => None,
            other => {
                let what = format!("delta `{}`", clean(other, 60));
                let loss = Loss::note(what.clone(), "left out: it cannot be carried");
                self.note(&what, loss, sink);
                None
            }
        }
    }

    /// A source. One without an address is a passage of a document that the client sent; there are no words for it.
    fn citation<'c>(&mut self, raw: Raw<'c>, sink: &mut dyn EventSink) -> Option<Citation<'c>> {
        let wire: WireCitation<'_> = inner(raw);
        let title = text(wire.title).or_else(|| text(wire.document_title));
        let Some(url) = text(wire.url).or_else(|| text(wire.source)) else {
            self.note(
                "citation",
                Loss::note(
                    "citation",
                    "left out: it points into a document and not to an address",
                ),
                sink,
            );
            return None;
        };
        Some(Citation {
            url,
            title: title.unwrap_or_default(),
            quote: text(wire.cited_text),
            span: None,
        })
    }

    /// Notes a loss, but each kind of it once only.
    fn note(&mut self, kind: &str, loss: Loss, sink: &mut dyn EventSink) {
        if !self.noted.iter().any(|noted| noted == kind) {
            // Kinds hold words of the provider, which has as many as it likes.
            if self.noted.len() < NOTES_MAX {
                self.noted.push(kind.to_owned());
            }
            sink.event(Event::Loss(loss));
        }
    }
}

impl Slot {
    /// Whether the block is over. A call that was stopped in the middle may be one that the output limit has cut, which the end of
    /// the answer will tell.
    fn may_end(&self, followed: bool) -> bool {
        match &self.body {
            Body::Call(call) if self.stopped => call.is_whole() || call.came_at_once() || followed,
            Body::Call(call) => call.is_whole() && followed,
            Body::Said(_)
            | Body::Redacted(_)
            | Body::ServerTool { .. }
            | Body::Search(_)
            | Body::Skipped => self.stopped,
        }
    }
}

impl Said {
    fn say(&mut self, kind: Kind, text: Text<'_>, parts: &mut Parts, sink: &mut dyn EventSink) {
        let text = self.mender.mend(text);
        self.last = Some(kind);
        if let (Kind::Text, Some(chars)) = (kind, &mut self.chars) {
            *chars += text.to_plain().chars().count() as u64;
        }
        parts.say(kind, text, sink);
    }

    /// Ends the part. `signed` says that the signature is whole.
    fn end(mut self, signed: bool, parts: &mut Parts, sink: &mut dyn EventSink) {
        if let (Some(rest), Some(kind)) = (self.mender.finish(), self.last) {
            self.say(kind, rest, parts, sink);
        }
        let span = self
            .chars
            .filter(|&chars| chars > 0)
            .map(|chars| (0, chars));
        for citation in self.citations {
            if self.last == Some(Kind::Text) {
                sink.event(Event::Citation(Citation { span, ..citation }));
            } else {
                sink.event(Event::Loss(Loss::note(
                    "citation",
                    "left out: nothing was said that it could be a source of",
                )));
            }
        }
        if signed && !self.signature.is_empty() {
            let signature = String::from_utf8_lossy(&self.signature).into_owned();
            parts.opaque(OpaqueKind::Signature, Text::escaped(signature), sink);
        }
        parts.close(sink);
    }
}
