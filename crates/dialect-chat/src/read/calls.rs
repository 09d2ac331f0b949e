//! Puts tool calls together from their pieces, and lets them out one at a time.

use std::sync::Arc;

use polywire_conversation::json::PairMender;
use polywire_conversation::{
    Event, EventSink, Form, FreeformReader, Ledger, Loss, OpaqueKind, Raised, Text,
};

use super::chunk::{CalledCustom, ExtraContent, Raw, ToolCall, WrappedCall, WrappedCalls};
use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::ids;
use polywire_conversation::parts::Parts;

/// The name under which GPT models wrap several calls into one that nobody declared.
const WRAPPER_NAME: &str = "multi_tool_use.parallel";

/// How the calls that are still open end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The provider says that the answer is complete.
    Complete,
    /// The answer ended and the provider did not say why: only what is whole by itself counts.
    Unexplained,
    /// The answer was cut: what is not whole must not be carried out.
    Cut,
    /// The answer failed: nothing that is still open may be carried out.
    Failed,
}

/// The calls of one answer, in the order in which they began.
#[derive(Debug)]
pub(super) struct Calls {
    ledger: Arc<Ledger>,
    seed: String,
    slots: Vec<Slot>,
    /// The first call that has not ended; the only one that may be open. Those behind it wait.
    front: usize,
    /// The call that the last piece belonged to.
    latest: usize,
    ids: Vec<String>,
    bytes: usize,
    ended_whole: usize,
    nameless: bool,
}

/// One call.
#[derive(Debug, Default)]
struct Slot {
    /// The provider's key of the call. A key, not a position: some begin at 1 or leave gaps.
    index: Option<i64>,
    /// The provider's id, empty if it gave none.
    provider_id: String,
    name: String,
    /// Whether what comes is the free text itself. Nothing in it tells where it ends.
    raw: bool,
    signature: Option<String>,
    check: ArgumentsCheck,
    /// Arguments that were not handed out yet, as the body of a JSON string.
    held: Vec<u8>,
    phase: Phase,
    mender: PairMender,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Waiting,
    Open(Input),
    Ended,
}

/// How the arguments of an open call are handed out.
#[derive(Debug)]
enum Input {
    Json,
    Freeform(FreeformReader),
    Raw,
}

impl Calls {
    pub(super) fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            ledger,
            seed: seed.to_owned(),
            slots: Vec::new(),
            front: 0,
            latest: 0,
            ids: Vec::new(),
            bytes: 0,
            ended_whole: 0,
            nameless: false,
        }
    }

    /// How many calls there were.
    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// How many bytes of arguments there were.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many calls ended whole.
    pub(super) fn ended_whole(&self) -> usize {
        self.ended_whole
    }

    /// Whether a call ended without ever getting a name: nobody can carry it out, or be told that it failed.
    pub(super) fn is_nameless(&self) -> bool {
        self.nameless
    }

    /// Reads a piece of a call. `position` is its place among the pieces of the same chunk.
    pub(super) fn read(
        &mut self,
        piece: &ToolCall<'_>,
        position: usize,
        parts: &mut Parts,
        sink: &mut dyn EventSink,
    ) {
        let index = piece.index.integer();
        let id = piece.id.string().unwrap_or_default();
        let is_custom = piece.custom.has_members();
        let custom: CalledCustom<'_> = piece.custom.parse();
        let name = if is_custom {
            custom.name.string()
        } else {
            piece.function.name.string()
        };
        let name = name.unwrap_or_default();
        let arguments = if is_custom {
            custom.input.text()
        } else {
            arguments_of(piece.function.arguments)
        };
        let at = match self.find(index, &id, &name, position) {
            Some(at) if self.continues(at, &id, &name, arguments.as_ref()) => at,
            Some(at) if name.is_empty() || (!id.is_empty() && self.slots[at].provider_id == id) => {
                return self.ignore(at, sink);
            }
            Some(_) | None => self.begin(index),
        };
        self.latest = at;
        let slot = &mut self.slots[at];
        if slot.provider_id.is_empty() {
            slot.provider_id = id;
        }
        if slot.name != name {
            slot.name.push_str(&name);
        }
        if is_custom {
            let raw = self.raise(&self.slots[at].name).form == Form::Freeform;
            let slot = &mut self.slots[at];
            slot.raw = slot.raw || (raw && matches!(slot.phase, Phase::Waiting));
        }
        self.read_signature(at, piece.extra_content, sink);
        if let Some(arguments) = arguments {
            self.read_arguments(at, arguments, sink);
        }
        self.advance(parts, sink);
    }

    /// Whether a tool of this name was offered.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.raise(name).declared
    }

    /// Takes a whole call that stood in the text. `arguments` is a JSON object.
    pub(super) fn read_leaked(
        &mut self,
        name: String,
        arguments: &str,
        parts: &mut Parts,
        sink: &mut dyn EventSink,
    ) {
        let at = self.begin(None);
        self.slots[at].name = name;
        self.read_arguments(at, Text::plain(arguments), sink);
        self.advance(parts, sink);
    }

    /// The call that a piece belongs to, if it is not clearly a new one.
    fn find(&self, index: Option<i64>, id: &str, name: &str, position: usize) -> Option<usize> {
        if let Some(index) = index {
            return self
                .slots
                .iter()
                .rposition(|slot| slot.index == Some(index));
        }
        if !id.is_empty()
            && let Some(at) = self.slots.iter().rposition(|slot| slot.provider_id == id)
        {
            return Some(at);
        }
        // Without a key: the last call, unless the piece brings an id and a name of its own, or comes beside another piece,
        // because nobody sends two pieces of one call in one chunk (Mistral and Gemini's compatible endpoint, 2025).
        let is_new = position > 0 || (!id.is_empty() && !name.is_empty());
        (!is_new && !self.slots.is_empty()).then_some(self.latest)
    }

    /// Whether a piece that points to a call goes on with it rather than beginning another under the same key.
    fn continues(&self, at: usize, id: &str, name: &str, arguments: Option<&Text<'_>>) -> bool {
        let slot = &self.slots[at];
        let same_id = !id.is_empty() && id == slot.provider_id;
        let other_id = !id.is_empty() && !slot.provider_id.is_empty() && !same_id;
        if other_id && !name.is_empty() {
            return false;
        }
        let is_whole = slot.is_whole() || matches!(slot.phase, Phase::Ended);
        if is_whole && arguments.is_some_and(|text| !text.to_plain().trim().is_empty()) {
            return false;
        }
        if name.is_empty() || slot.name.is_empty() {
            return true;
        }
        // A fragment of a name is appended as long as there are no arguments; the name of another tool is no fragment.
        same_id
            || name == slot.name
            || (slot.check.progress() == Progress::Empty
                && !(self.raise(&slot.name).declared && self.raise(name).declared))
    }

    fn begin(&mut self, index: Option<i64>) -> usize {
        self.slots.push(Slot {
            index,
            ..Slot::default()
        });
        self.slots.len() - 1
    }

    /// Ignores a piece that no call can take: most likely the same call over again.
    fn ignore(&self, at: usize, sink: &mut dyn EventSink) {
        sink.event(Event::Loss(Loss::degraded(
            format!("call of `{}`", self.slots[at].name),
            "more arguments came after they were whole; ignored",
        )));
    }

    fn read_signature(&mut self, at: usize, extra: Raw<'_>, sink: &mut dyn EventSink) {
        if extra.get().is_none() {
            return;
        }
        let extra: ExtraContent<'_> = extra.parse();
        let Some(signature) = extra.google.thought_signature.string() else {
            return;
        };
        let slot = &mut self.slots[at];
        if matches!(slot.phase, Phase::Waiting) {
            slot.signature = Some(signature);
        } else {
            sink.event(Event::Loss(Loss::degraded(
                format!("call of `{}`", slot.name),
                "its signature came after its arguments and was left out",
            )));
        }
    }

    fn read_arguments(&mut self, at: usize, arguments: Text<'_>, sink: &mut dyn EventSink) {
        self.bytes = self.bytes.saturating_add(arguments.as_written().len());
        let slot = &mut self.slots[at];
        slot.check.push(&arguments);
        match &slot.phase {
            Phase::Waiting => arguments.write_escaped(&mut slot.held),
            Phase::Open(_) => slot.hand_out(arguments, sink),
            Phase::Ended => {}
        }
    }

    /// Opens and ends calls as far as the pieces allow: the front call once its arguments begin, the next one once the front
    /// call is whole.
    fn advance(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        while self.front < self.slots.len() {
            let slot = &self.slots[self.front];
            let is_last = self.front + 1 == self.slots.len();
            let may_open = !slot.name.is_empty() && !slot.may_be_null() && !self.is_wrapper(slot);
            match slot.phase {
                Phase::Waiting if may_open => self.open(parts, sink),
                Phase::Waiting | Phase::Open(_) if !is_last && slot.is_whole() => {
                    self.end_front(parts, sink);
                }
                Phase::Waiting | Phase::Open(_) | Phase::Ended => return,
            }
        }
    }

    /// Ends the open call if it is whole, because something else follows.
    pub(super) fn settle(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        let whole = self
            .slots
            .get(self.front)
            .is_some_and(|slot| matches!(slot.phase, Phase::Open(_)) && slot.is_whole());
        if whole {
            self.end_front(parts, sink);
            self.advance(parts, sink);
        }
    }

    /// Ends all calls, because the answer is over.
    pub(super) fn finish(&mut self, ending: Ending, parts: &mut Parts, sink: &mut dyn EventSink) {
        while let Some(slot) = self.slots.get(self.front) {
            let is_last = self.front + 1 == self.slots.len();
            match ending {
                Ending::Complete | Ending::Unexplained if slot.is_half(ending) => {
                    sink.event(Event::Loss(Loss::severe(
                        format!("call of `{}`", slot.name),
                        "its arguments end in the middle; it was cut off and must not be carried out",
                    )));
                    self.cut_front(parts, sink);
                }
                Ending::Complete | Ending::Unexplained => self.end_front(parts, sink),
                // A call without arguments that another call follows was not cut.
                Ending::Cut if slot.is_whole() || (!is_last && slot.is_null()) => {
                    self.end_front(parts, sink);
                }
                Ending::Cut => self.cut_front(parts, sink),
                // Nobody heard of it yet.
                Ending::Failed if matches!(slot.phase, Phase::Waiting) => self.leave_front(),
                Ending::Failed => self.cut_front(parts, sink),
            }
        }
    }

    /// Ends the front call as one that is to be carried out.
    fn end_front(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        if matches!(self.slots[self.front].phase, Phase::Waiting) {
            if self.slots[self.front].name.is_empty() {
                self.nameless = true;
                self.leave_front();
                return;
            }
            if self.is_wrapper(&self.slots[self.front]) && self.unwrap_front(parts, sink) {
                return;
            }
            if self.slots[self.front].is_null() {
                self.end_empty_front(parts, sink);
                return;
            }
            self.open(parts, sink);
        }
        let slot = &mut self.slots[self.front];
        slot.finish_input(sink);
        if matches!(slot.phase, Phase::Open(Input::Json))
            && slot.check.progress() != Progress::Whole
        {
            sink.event(Event::Loss(Loss::severe(
                format!("call of `{}`", slot.name),
                "its arguments are not a JSON object; they are passed on as the model wrote them",
            )));
        }
        self.end_whole(parts, sink);
    }

    /// Ends a front call without arguments. Providers spell that as nothing, as `""` or as `null`; what is meant is `{}`.
    fn end_empty_front(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        self.slots[self.front].held.clear();
        self.open(parts, sink);
        let slot = &mut self.slots[self.front];
        if matches!(slot.phase, Phase::Open(Input::Json)) {
            sink.event(Event::CallDelta(Text::plain("{}")));
        }
        self.end_whole(parts, sink);
    }

    /// Ends the front call as one that must not be carried out.
    fn cut_front(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        let slot = &self.slots[self.front];
        if matches!(slot.phase, Phase::Waiting) {
            if slot.name.is_empty() {
                sink.event(Event::Loss(Loss::note(
                    "a call",
                    "cut off before it had a name; left out",
                )));
                self.leave_front();
                return;
            }
            self.open(parts, sink);
        }
        self.leave_front();
        parts.end_call(true, sink);
    }

    /// Ends the open front call as one that is whole.
    fn end_whole(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        self.leave_front();
        self.ended_whole += 1;
        parts.end_call(false, sink);
    }

    /// Leaves the front call for good; the next one is at the front.
    fn leave_front(&mut self) {
        self.slots[self.front].phase = Phase::Ended;
        self.front += 1;
    }

    /// Opens the front call and hands out what waited.
    fn open(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        let id = self.fresh_id(&self.slots[self.front].provider_id);
        let ledger = Arc::clone(&self.ledger);
        let slot = &mut self.slots[self.front];
        if let Some(signature) = slot.signature.take() {
            parts.opaque(OpaqueKind::CallSignature, Text::plain(signature), sink);
        }
        let tool = raise(&ledger, &slot.name);
        note_undeclared(&tool, sink);
        parts.start_call(&id, tool, sink);
        slot.phase = Phase::Open(if slot.raw {
            Input::Raw
        } else {
            Input::of(tool.form)
        });
        let held = std::mem::take(&mut slot.held);
        if !held.is_empty() {
            slot.hand_out(Text::escaped(String::from_utf8_lossy(&held)), sink);
        }
        self.ids.push(id);
    }

    /// Emits the calls inside a wrapper call. `false` when they cannot be read.
    fn unwrap_front(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) -> bool {
        let slot = &self.slots[self.front];
        let held = Text::escaped(String::from_utf8_lossy(&slot.held).into_owned());
        let arguments = held.to_plain();
        let wrapped: WrappedCalls<'_> = Raw::of(&arguments).parse();
        let readable = |call: &WrappedCall<'_>| call.name.text().is_some();
        if wrapped.tool_uses.is_empty() || !wrapped.tool_uses.iter().all(readable) {
            return false;
        }
        let id = self.fresh_id(&slot.provider_id);
        for (index, call) in wrapped.tool_uses.iter().enumerate() {
            let id = format!("{id}_{index}");
            let name = call.name.string().unwrap_or_default();
            let tool = raise(&self.ledger, &name);
            note_undeclared(&tool, sink);
            parts.start_call(&id, tool, sink);
            let mut input = Input::of(tool.form);
            input.hand_out(Text::plain(call.parameters.get().unwrap_or("{}")), sink);
            input.finish(sink);
            parts.end_call(false, sink);
            self.ended_whole += 1;
            self.ids.push(id);
        }
        self.leave_front();
        true
    }

    /// The provider's id if a client can take it and no other call of the answer has it, else one made from the seed.
    fn fresh_id(&self, provider_id: &str) -> String {
        if ids::is_usual(provider_id) && !self.ids.iter().any(|id| id == provider_id) {
            return provider_id.to_owned();
        }
        ids::made_from(&format!("{}/{}", self.seed, self.front))
    }

    fn raise<'l>(&'l self, name: &'l str) -> Raised<'l> {
        raise(&self.ledger, name)
    }

    fn is_wrapper(&self, slot: &Slot) -> bool {
        slot.name == WRAPPER_NAME && !self.raise(&slot.name).declared
    }
}

impl Slot {
    /// Whether the arguments are complete, so that nothing more can belong to them.
    fn is_whole(&self) -> bool {
        !self.raw && (self.check.progress() == Progress::Whole || self.held == b"null")
    }

    /// Whether the arguments so far could still mean that there are none.
    fn may_be_null(&self) -> bool {
        !self.raw && (self.check.progress() == Progress::Empty || b"null".starts_with(&self.held))
    }

    /// Whether the arguments mean that there are none.
    fn is_null(&self) -> bool {
        let says_nothing = self.check.progress() == Progress::Empty || self.held == b"null";
        matches!(self.phase, Phase::Waiting) && !self.raw && says_nothing
    }

    /// Whether the arguments of a named call lack their end, as far as can be told when the answer is over.
    ///
    /// The beginning of an object is half a call whatever the provider says: completed, it would be one that the model never
    /// made. Anything else that is no object is what the model wrote if the answer is complete, and may be half of it if not.
    /// Free text may be half of itself wherever it ends: only the provider's word that all is complete makes it whole.
    fn is_half(&self, ending: Ending) -> bool {
        let is_half = match self.check.progress() {
            _ if self.raw => ending != Ending::Complete,
            Progress::Partial => true,
            Progress::Broken => ending != Ending::Complete && !self.is_whole(),
            Progress::Empty | Progress::Whole => false,
        };
        is_half && !self.name.is_empty()
    }

    fn hand_out(&mut self, piece: Text<'_>, sink: &mut dyn EventSink) {
        let piece = self.mender.mend(piece);
        if let Phase::Open(input) = &mut self.phase {
            input.hand_out(piece, sink);
        }
    }

    fn finish_input(&mut self, sink: &mut dyn EventSink) {
        let rest = self.mender.finish();
        if let Phase::Open(input) = &mut self.phase {
            if let Some(rest) = rest {
                input.hand_out(rest, sink);
            }
            input.finish(sink);
        }
    }
}

impl Input {
    /// The input of a tool of this form.
    fn of(form: Form) -> Self {
        match form {
            Form::Function | Form::Search => Input::Json,
            Form::Freeform => Input::Freeform(FreeformReader::default()),
        }
    }

    fn hand_out(&mut self, piece: Text<'_>, sink: &mut dyn EventSink) {
        match self {
            Input::Json | Input::Raw if piece.is_empty() => {}
            Input::Json | Input::Raw => sink.event(Event::CallDelta(piece)),
            Input::Freeform(reader) => {
                reader.push(&piece, |text| sink.event(Event::CallDelta(text)));
            }
        }
    }

    fn finish(&mut self, sink: &mut dyn EventSink) {
        match self {
            Input::Json | Input::Raw => {}
            Input::Freeform(reader) => reader.finish(|text| sink.event(Event::CallDelta(text))),
        }
    }
}

/// The arguments in a piece: text, or the JSON of an object that some proxies send in its place.
fn arguments_of(raw: Raw<'_>) -> Option<Text<'_>> {
    let json = raw.get()?;
    if json.starts_with('"') {
        return raw.text();
    }
    Some(Text::plain(json))
}

/// What a name stands for. GPT-like models put `functions.` before the name of a tool that has no namespace.
fn raise<'l>(ledger: &'l Ledger, name: &'l str) -> Raised<'l> {
    let raised = ledger.raise(name);
    if raised.declared {
        return raised;
    }
    let bare = name
        .strip_prefix("functions.")
        .map(|bare| ledger.raise(bare));
    bare.filter(|bare| bare.declared).unwrap_or(raised)
}

fn note_undeclared(tool: &Raised<'_>, sink: &mut dyn EventSink) {
    if !tool.declared {
        sink.event(Event::Loss(Loss::degraded(
            format!("call of `{}`", tool.name),
            "no such tool was offered; the call is passed on as the model wrote it",
        )));
    }
}
