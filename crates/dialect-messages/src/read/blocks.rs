//! Puts content blocks together from their pieces, and lets them out one at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use polywire_conversation::parts::Parts;
use polywire_conversation::{EventSink, Ledger, Loss, OpaqueKind, ids};
use polywire_wire::clean;

use super::Ending;
use super::body::{self, Body, Piece};
use super::call::raise;
use super::notes::Notes;
use super::said::Said;
use super::search::{Searches, WEB_SEARCH};
use super::wire::{Block, Delta, Raw, inner};

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
    notes: Notes,
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
            notes: Notes::default(),
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
        let (body, held) = body::body(&block, &mut self.notes, sink);
        self.nameless = self.nameless || matches!(body, Body::Nameless);
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
        let Some(piece) = body::piece_of(&delta, &mut self.notes, sink) else {
            return;
        };
        let found = match index {
            Some(index) => self.slots.iter().rposition(|slot| slot.index == index),
            None => self.slots.len().checked_sub(1),
        };
        let at = match (found, &piece) {
            (Some(at), _) => at,
            // Some small servers never say that a block begins (fixtures/messages/streams/blocks_never_begun.sse).
            (None, Piece::Said(..)) => {
                let index = index.unwrap_or(self.count as u64);
                self.open(index, Body::Said(Said::default()), Vec::new());
                self.advance(parts, sink);
                self.slots.len() - 1
            }
            (None, Piece::Input(_) | Piece::Signature(_) | Piece::Citation(_)) => {
                return self.notes.add(
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
                said.sign(&text);
                self.kept_bytes += bytes;
            }
            (Body::Said(said), Piece::Citation(citation)) => {
                said.cite(citation);
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
            (Body::Nameless | Body::Skipped | Body::Redacted(_) | Body::Search(_), _) => {}
            (Body::Said(_) | Body::Call(_) | Body::ServerTool { .. }, _) => self.notes.add(
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
                self.notes.add(&what, loss, sink);
            }
            Body::Search(answer) => self.searches.answer(answer, parts, sink),
            Body::Nameless | Body::Skipped => {}
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
            | Body::Nameless
            | Body::Skipped => self.stopped,
        }
    }
}
