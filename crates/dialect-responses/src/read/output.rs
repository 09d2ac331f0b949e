//! The items of an answer, and the parts that come of them.

use std::sync::Arc;

use polywire_conversation::parts::{Kind, Parts};
use polywire_conversation::{
    Event, EventSink, Ledger, Loss, OpaqueKind, StopReason, Text, Usage, ids,
};
use serde_json::value::RawValue;

use super::calls::{Call, CallKind, End};
use super::ending::Verdict;
use super::said::{Channel, LastWord, Place};
use super::wire::{
    Raw, WireContent, WireOutput, WireResponse, elements, filled_array, object, string, text, word,
};
use super::{lose, searches};

/// The most items that one answer may have. No model makes as many; the limit keeps a provider that has gone mad from filling
/// the memory.
const ITEMS_MAX: usize = 4_096;

/// The output of one answer.
#[derive(Debug)]
pub(super) struct Output {
    ledger: Arc<Ledger>,
    seed: String,
    parts: Parts,
    items: Vec<Item>,
    /// The item whose call is open.
    open_call: Option<usize>,
    /// Which text was said last, as long as its part is open.
    speaking: Option<(u64, Place)>,
    /// The ids of calls that were handed out.
    ids: Vec<String>,
    calls_whole: usize,
    pub(super) usage: Option<Usage>,
    /// Reasoning items go out whole also when all they have is readable content.
    pub(super) content_is_state: bool,
    /// The answer has failed: no call that begins now may be handed out.
    pub(super) is_failing: bool,
    /// More items began than an answer can have: the answer must fail.
    pub(super) has_too_many: bool,
    noted: Vec<String>,
}

/// One item.
#[derive(Debug)]
struct Item {
    index: u64,
    tag: String,
    id: String,
    call: Option<Call>,
    channels: Vec<Channel>,
    /// For reasoning: whether the summary or the reasoning itself is handed out, whichever came first.
    form: Option<Form>,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Summary,
    Thought,
}

impl Form {
    fn of(place: Place) -> Option<Self> {
        match place {
            Place::Summary(_) => Some(Form::Summary),
            Place::Thought(_) => Some(Form::Thought),
            Place::Text(_) | Place::Refusal(_) | Place::Input => None,
        }
    }
}

impl Item {
    fn channel(&mut self, place: Place) -> &mut Channel {
        let found = self
            .channels
            .iter()
            .position(|channel| channel.place == place);
        let at = found.unwrap_or_else(|| {
            self.channels.push(Channel::new(place));
            self.channels.len() - 1
        });
        &mut self.channels[at]
    }

    /// All that came in one of the two forms of reasoning.
    fn reasoning(&self, form: Form) -> String {
        let of_form = |channel: &&Channel| Form::of(channel.place) == Some(form);
        let texts: Vec<String> = self
            .channels
            .iter()
            .filter(of_form)
            .map(Channel::plain)
            .collect();
        texts.join("\n\n")
    }
}

impl Output {
    pub(super) fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            ledger,
            seed: seed.to_owned(),
            parts: Parts::default(),
            items: Vec::new(),
            open_call: None,
            speaking: None,
            ids: Vec::new(),
            calls_whole: 0,
            usage: None,
            content_is_state: false,
            is_failing: false,
            has_too_many: false,
            noted: Vec::new(),
        }
    }

    pub(super) fn named(&mut self, response: &WireResponse<'_>) {
        self.parts
            .named(|| word(response.id), || word(response.model));
    }

    /// The place of the item whose call is open.
    pub(super) fn open_call(&self) -> Option<u64> {
        self.open_call.map(|at| self.items[at].index)
    }

    /// The place of the item that began last, for events that do not say which they belong to.
    pub(super) fn latest_index(&self) -> u64 {
        self.items.last().map_or(0, |item| item.index)
    }

    fn find(&self, index: u64) -> Option<usize> {
        self.items.iter().rposition(|item| item.index == index)
    }

    /// The item at a place, which begins with this event if it did not before.
    fn item(&mut self, index: u64, tag: &str) -> usize {
        self.find(index).unwrap_or_else(|| {
            if self.items.len() >= ITEMS_MAX {
                self.has_too_many = true;
                return self.items.len() - 1;
            }
            self.items.push(Item {
                index,
                tag: tag.to_owned(),
                id: String::new(),
                call: None,
                channels: Vec::new(),
                form: None,
                done: false,
            });
            self.items.len() - 1
        })
    }

    /// An item began.
    pub(super) fn added(&mut self, index: u64, wire: &WireOutput<'_>) {
        let tag = string(wire.tag).unwrap_or_default();
        let at = self.item(index, &tag);
        let item = &mut self.items[at];
        item.tag = tag;
        item.id = word(wire.id).unwrap_or_default();
        match &mut item.call {
            Some(call) => call.read_target(wire),
            None => item.call = Call::of(wire),
        }
    }

    /// A piece of text.
    pub(super) fn say(
        &mut self,
        index: u64,
        place: Place,
        piece: Text<'_>,
        sink: &mut dyn EventSink,
    ) {
        if piece.is_empty() {
            return;
        }
        let at = self.item(index, tag_of(place));
        let item = &mut self.items[at];
        if let Some(form) = Form::of(place)
            && *item.form.get_or_insert(form) != form
        {
            // Kept to compare with what is handed out.
            item.channel(place).push(piece);
            return;
        }
        let begins = item.channel(place).is_empty();
        let follows = begins
            && item
                .channels
                .iter()
                .any(|other| Form::of(other.place).is_some() && !other.is_empty());
        let mended = item.channel(place).push(piece).into_owned();
        if follows && Form::of(place).is_some() {
            self.speak(index, place, Text::plain("\n\n"), sink);
        }
        self.speak(index, place, mended, sink);
    }

    /// Hands out a piece of text. Each text of a message is a part of its own; all of one reasoning item is one part.
    fn speak(&mut self, index: u64, place: Place, piece: Text<'_>, sink: &mut dyn EventSink) {
        if piece.is_empty() {
            return;
        }
        let (kind, key) = match place {
            Place::Text(_) => (Kind::Text, place),
            Place::Refusal(_) => (Kind::Refusal, place),
            Place::Summary(_) | Place::Thought(_) | Place::Input => {
                (Kind::Reasoning, Place::Summary(0))
            }
        };
        if self.speaking != Some((index, key)) {
            self.close_part(sink);
        }
        self.parts.say(kind, piece, sink);
        // While a call is open the piece waits, and nothing can be said of it.
        self.speaking = (!self.parts.call_is_open()).then_some((index, key));
    }

    fn close_part(&mut self, sink: &mut dyn EventSink) {
        self.speaking = None;
        self.parts.close(sink);
    }

    /// The whole of a text: hands out what did not come before.
    pub(super) fn last_word(
        &mut self,
        index: u64,
        place: Place,
        whole: &Text<'_>,
        sink: &mut dyn EventSink,
    ) {
        if whole.is_empty() {
            return;
        }
        let at = self.item(index, tag_of(place));
        let said = self.items[at].channel(place).compare(whole);
        match said {
            LastWord::Same => {}
            LastWord::Rest(rest) => self.say(index, place, rest, sink),
            LastWord::Different => self.note(
                "differs",
                || {
                    Loss::degraded(
                        "stream",
                        "the whole of a text is not what was streamed of it; the streamed text counts",
                    )
                },
                sink,
            ),
        }
    }

    /// Probabilities of the text that came before them.
    pub(super) fn logprobs(
        &mut self,
        index: u64,
        place: Place,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let Some(json) = filled_array(raw) else {
            return;
        };
        if self.speaking != Some((index, place)) {
            lose(
                Loss::degraded("logprobs", "left out: their text is over already"),
                sink,
            );
            return;
        }
        let at = self.item(index, tag_of(place));
        self.items[at].channel(place).has_logprobs = true;
        sink.event(Event::Logprobs(json));
    }

    /// A source of the text so far.
    pub(super) fn annotation(
        &mut self,
        index: u64,
        content: u64,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let place = Place::Text(content);
        let at = self.item(index, tag_of(place));
        self.items[at].channel(place).citations += 1;
        let Some(citation) = searches::citation(raw, sink) else {
            return;
        };
        if self.speaking == Some((index, place)) {
            sink.event(Event::Citation(citation));
        } else {
            lose(
                Loss::degraded("annotation", "left out: its text is over already"),
                sink,
            );
        }
    }

    /// A part is over. It stays open, because what the item says at its end may add sources.
    pub(super) fn part_done(
        &mut self,
        index: u64,
        content: u64,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let Some(part) = object::<WireContent<'_>>(raw) else {
            return;
        };
        match word(part.tag).as_deref() {
            Some("output_text" | "text") => {
                let place = Place::Text(content);
                if let Some(whole) = text(part.text) {
                    self.last_word(index, place, &whole, sink);
                }
                self.last_logprobs(index, place, part.logprobs, sink);
                let at = self.item(index, tag_of(place));
                let known = self.items[at].channel(place).citations;
                for annotation in elements(part.annotations).into_iter().skip(known) {
                    self.annotation(index, content, Some(annotation), sink);
                }
            }
            Some("refusal") => {
                if let Some(whole) = text(part.refusal) {
                    self.last_word(index, Place::Refusal(content), &whole, sink);
                }
            }
            Some("reasoning_text") => {
                if let Some(whole) = text(part.text) {
                    self.last_word(index, Place::Thought(content), &whole, sink);
                }
            }
            Some(tag) => self.note(
                tag,
                || {
                    Loss::degraded(
                        "stream",
                        format!("left out: a part of type `{tag}` cannot be carried"),
                    )
                },
                sink,
            ),
            None => {}
        }
    }

    /// Probabilities of a whole text, which repeat those of its pieces.
    pub(super) fn last_logprobs(
        &mut self,
        index: u64,
        place: Place,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let at = self.item(index, tag_of(place));
        if !self.items[at].channel(place).has_logprobs {
            self.logprobs(index, place, raw, sink);
        }
    }

    /// A piece of a call's input.
    pub(super) fn call_piece(
        &mut self,
        index: u64,
        kind: CallKind,
        piece: Option<Text<'_>>,
        sink: &mut dyn EventSink,
    ) {
        let Some(piece) = piece else {
            return;
        };
        let at = self.item(index, "function_call");
        let item = &mut self.items[at];
        if item.done {
            return;
        }
        let call = item.call.get_or_insert_with(|| Call::new(kind));
        call.push(piece, sink);
        self.open_if_ready(at, sink);
    }

    fn open_if_ready(&mut self, at: usize, sink: &mut dyn EventSink) {
        let ready = self.items[at]
            .call
            .as_ref()
            .is_some_and(|call| !call.opened && call.may_open());
        if ready {
            self.open(at, sink);
        }
    }

    /// The whole input of a call, before its item is done.
    pub(super) fn call_input(
        &mut self,
        index: u64,
        whole: Option<Text<'_>>,
        sink: &mut dyn EventSink,
    ) {
        let Some(at) = self.find(index) else {
            return;
        };
        let Some(call) = &mut self.items[at].call else {
            return;
        };
        // Whether the two agree is settled when the item is done.
        if let Some(whole) = whole
            && let LastWord::Rest(rest) = call.input.compare(&whole)
        {
            call.push(rest, sink);
            self.open_if_ready(at, sink);
        }
    }

    fn open(&mut self, at: usize, sink: &mut dyn EventSink) {
        self.close_part(sink);
        let position = self.ids.len();
        let Some(call) = &mut self.items[at].call else {
            return;
        };
        let usable = ids::is_usual(&call.id) && !self.ids.contains(&call.id);
        let id = if usable {
            call.id.clone()
        } else {
            ids::made_from(&format!("{}/{position}", self.seed))
        };
        let parts = &mut self.parts;
        call.open(
            &id,
            &self.ledger,
            |id, tool, sink| parts.start_call(id, tool, sink),
            sink,
        );
        self.ids.push(id);
        self.open_call = Some(at);
    }

    fn end_call(&mut self, at: usize, end: End, sink: &mut dyn EventSink) {
        self.items[at].done = true;
        self.open_call = None;
        self.calls_whole += usize::from(end == End::Whole);
        self.parts.end_call(end == End::Cut, sink);
    }

    /// An item is done. `raw` is the whole of it.
    pub(super) fn item_done(
        &mut self,
        index: u64,
        wire: &WireOutput<'_>,
        raw: &str,
        sink: &mut dyn EventSink,
    ) {
        let tag = string(wire.tag).unwrap_or_default();
        let at = self.item(index, &tag);
        if self.items[at].done {
            return;
        }
        self.items[at].tag.clone_from(&tag);
        if let Some(id) = word(wire.id) {
            self.items[at].id = id;
        }
        let is_call = self.items[at].call.is_some() || Call::of(wire).is_some();
        if is_call {
            self.call_done(at, wire, sink);
            return;
        }
        self.items[at].done = true;
        match &*tag {
            "message" => self.message_done(index, wire, sink),
            "reasoning" => self.reasoning_done(at, wire, raw, sink),
            "web_search_call" => {
                self.close_part(sink);
                self.parts.start(sink);
                let made = format!("ws_{}", ids::made_from(&format!("{}/{index}", self.seed)));
                searches::web_search(wire, &made, sink);
            }
            other => searches::other(other, sink),
        }
    }

    fn message_done(&mut self, index: u64, wire: &WireOutput<'_>, sink: &mut dyn EventSink) {
        for (content, part) in elements(wire.content).into_iter().enumerate() {
            let content = u64::try_from(content).unwrap_or_default();
            self.part_done(index, content, Some(part), sink);
        }
        self.close_part(sink);
        if word(wire.phase).is_some_and(|phase| phase != "final_answer") {
            self.note(
                "phase",
                || {
                    Loss::note(
                        "message.phase",
                        "left out: whether the model talks on the way cannot be told apart",
                    )
                },
                sink,
            );
        }
    }

    fn reasoning_done(
        &mut self,
        at: usize,
        wire: &WireOutput<'_>,
        raw: &str,
        sink: &mut dyn EventSink,
    ) {
        let index = self.items[at].index;
        let content = texts_of(wire.content);
        let summary = texts_of(wire.summary);
        let has_content = content.iter().any(|text| !text.is_empty());
        for (number, whole) in (0..).zip(&summary) {
            self.last_word(index, Place::Summary(number), whole, sink);
        }
        for (number, whole) in (0..).zip(&content) {
            self.last_word(index, Place::Thought(number), whole, sink);
        }
        self.note_other_form(at, sink);
        let is_state =
            word(wire.encrypted_content).is_some() || (self.content_is_state && has_content);
        if is_state {
            if self.speaking != Some((index, Place::Summary(0))) {
                self.close_part(sink);
            }
            self.parts.opaque(OpaqueKind::Item, Text::plain(raw), sink);
        }
        self.close_part(sink);
    }

    /// Tells of the form of reasoning that was not handed out, unless it has the same words.
    fn note_other_form(&mut self, at: usize, sink: &mut dyn EventSink) {
        let item = &self.items[at];
        let other = match item.form {
            Some(Form::Summary) => Form::Thought,
            Some(Form::Thought) => Form::Summary,
            None => return,
        };
        let left_out = item.reasoning(other);
        let same = item
            .form
            .is_some_and(|form| item.reasoning(form).contains(left_out.trim()));
        if !same {
            self.note(
                "other form",
                || {
                    Loss::note(
                        "reasoning",
                        "came in two forms, as a summary and in full; the one that came first is shown",
                    )
                },
                sink,
            );
        }
    }

    fn call_done(&mut self, at: usize, wire: &WireOutput<'_>, sink: &mut dyn EventSink) {
        let item = &mut self.items[at];
        match (&mut item.call, Call::of(wire)) {
            (Some(call), _) => call.read_target(wire),
            (call @ None, found) => *call = found,
        }
        let Some(call) = &mut item.call else {
            return;
        };
        let whole = call.whole_input(wire).unwrap_or_default();
        let agrees = whole.is_empty() || call.settle_input(&whole, sink);
        let status = word(wire.status);
        let is_cut = matches!(status.as_deref(), Some("incomplete" | "failed")) || self.is_failing;
        if !agrees {
            lose(
                Loss::severe(
                    format!("call of `{}`", call.name),
                    "its whole input is not what was streamed of it; it must not be carried out",
                ),
                sink,
            );
        }
        if is_cut || !agrees {
            self.cut(at, sink);
        } else {
            self.complete(at, sink);
        }
    }

    /// Ends a call as one that is to be carried out, if it is whole.
    fn complete(&mut self, at: usize, sink: &mut dyn EventSink) {
        let Some(call) = &self.items[at].call else {
            return;
        };
        if call.name.is_empty() {
            lose(
                Loss::severe("a call", "has no name; left out: nobody can carry it out"),
                sink,
            );
            self.items[at].done = true;
            return;
        }
        if !call.opened {
            self.open(at, sink);
        }
        let Some(call) = &mut self.items[at].call else {
            return;
        };
        let end = call.end(sink);
        if end == End::Whole {
            call.finish_input(sink);
        }
        self.end_call(at, end, sink);
    }

    /// Ends a call as one that must not be carried out. Of one that nobody heard of nothing is told when the answer has failed.
    fn cut(&mut self, at: usize, sink: &mut dyn EventSink) {
        let Some(call) = &self.items[at].call else {
            return;
        };
        if !call.opened {
            if self.is_failing || call.name.is_empty() {
                self.items[at].done = true;
                return;
            }
            self.open(at, sink);
        }
        self.end_call(at, End::Cut, sink);
    }

    /// Ends the open call, because the answer is over: by what the response says of it, else as one that was cut.
    pub(super) fn settle_open_call(&mut self, output: &[&RawValue], sink: &mut dyn EventSink) {
        if let Some(at) = self.open_call {
            self.settle_call(at, output, sink);
        }
    }

    /// The same for calls that were announced and not opened.
    pub(super) fn settle_waiting_calls(&mut self, output: &[&RawValue], sink: &mut dyn EventSink) {
        for at in 0..self.items.len() {
            if self.items[at].call.is_some() && !self.items[at].done {
                self.settle_call(at, output, sink);
            }
        }
    }

    fn settle_call(&mut self, at: usize, output: &[&RawValue], sink: &mut dyn EventSink) {
        let id = self.items[at].call.as_ref().map(|call| call.id.clone());
        let told = output.iter().find_map(|raw| {
            let wire: WireOutput<'_> = object(Some(raw))?;
            let is_it = Call::of(&wire).is_some() && word(wire.call_id) == id;
            is_it.then_some(wire)
        });
        if let Some(wire) = told {
            self.call_done(at, &wire, sink);
            return;
        }
        if !self.is_failing {
            let call = self.items[at].call.as_ref();
            let call = call.filter(|call| !call.name.is_empty());
            let what = call.map(|call| format!("call of `{}`", call.name));
            lose(
                Loss::severe(
                    what.unwrap_or_else(|| "a call".to_owned()),
                    "the answer ended before it was whole; it was cut off",
                ),
                sink,
            );
        }
        self.cut(at, sink);
    }

    /// Reads the items that only the response at the end has.
    pub(super) fn read_unseen(&mut self, output: &[&RawValue], sink: &mut dyn EventSink) {
        for (index, raw) in (0..).zip(output) {
            let Some(wire) = object::<WireOutput<'_>>(Some(raw)) else {
                continue;
            };
            if self.is_known(index, &wire) {
                continue;
            }
            // A place that is taken by something else, because the response leaves out items: the next free one.
            let taken = self.find(index).is_some_and(|at| self.items[at].done);
            let index = if taken { self.free_index() } else { index };
            self.item_done(index, &wire, raw.get(), sink);
        }
    }

    fn free_index(&self) -> u64 {
        let last = self.items.iter().map(|item| item.index).max();
        last.map_or(0, |last| last + 1)
    }

    /// Whether an item of the response at the end was read before: the same id, call or text, or the same kind at the same
    /// place.
    fn is_known(&self, index: u64, wire: &WireOutput<'_>) -> bool {
        let tag = string(wire.tag).unwrap_or_default();
        let (id, call_id) = (word(wire.id), word(wire.call_id));
        let said = texts_of(wire.content);
        self.items.iter().any(|item| {
            let same_call = item
                .call
                .as_ref()
                .is_some_and(|call| call_id.as_ref() == Some(&call.id));
            let same_text = item.tag == tag
                && !said.is_empty()
                && item
                    .channels
                    .iter()
                    .any(|channel| said[0].to_plain() == channel.plain());
            // Calls go by their own ids; places and item ids tell the other items apart.
            let same_item = call_id.is_none()
                && (same_text
                    || id.as_ref() == Some(&item.id)
                    || (item.index == index && item.tag == tag));
            item.done && (same_call || same_item)
        })
    }

    /// Closes everything and ends the answer.
    pub(super) fn end(&mut self, verdict: Verdict, sink: &mut dyn EventSink) {
        self.release(sink);
        self.close_part(sink);
        let last = match verdict {
            Verdict::Failed(fault) => Event::Fault(fault),
            Verdict::Completed { goes_on } => {
                self.parts.start(sink);
                Event::Finish(match (self.calls_whole, goes_on) {
                    (0, true) => StopReason::Pause,
                    (0, false) => StopReason::Stop,
                    (1.., _) => StopReason::Calls,
                })
            }
            Verdict::Incomplete { reason, unknown } => {
                if let Some(unknown) = unknown {
                    lose(
                        Loss::degraded(
                            "incomplete_details.reason",
                            format!("`{unknown}` is not known; taken for the output limit"),
                        ),
                        sink,
                    );
                }
                self.parts.start(sink);
                Event::Finish(reason)
            }
        };
        if let Some(usage) = self.usage {
            sink.event(Event::Usage(usage));
        }
        sink.event(last);
    }

    /// Hands out half characters that still wait for their other half.
    fn release(&mut self, sink: &mut dyn EventSink) {
        let Some((index, _)) = self.speaking else {
            return;
        };
        let Some(at) = self.find(index) else {
            return;
        };
        let rests: Vec<(Place, Text<'static>)> = self.items[at]
            .channels
            .iter_mut()
            .filter_map(|channel| Some((channel.place, channel.finish()?)))
            .collect();
        for (place, rest) in rests {
            self.speak(index, place, rest, sink);
        }
    }

    pub(super) fn note_unknown_event(&mut self, tag: &str, sink: &mut dyn EventSink) {
        const PROGRESS: [&str; 10] = [
            "response.content_part.added",
            "response.reasoning_summary_part.",
            "response.web_search_call.",
            "response.file_search_call.",
            "response.code_interpreter_call",
            "response.image_generation_call.",
            "response.mcp_",
            "response.shell_call_",
            "response.compaction.",
            "response.metadata",
        ];
        let is_progress = PROGRESS.iter().any(|known| tag.starts_with(known));
        if tag.starts_with("response.") && !is_progress {
            self.note(
                tag,
                || {
                    let tag = polywire_wire::quoted(tag);
                    Loss::note("stream", format!("events of type `{tag}` were ignored"))
                },
                sink,
            );
        }
    }

    /// Notes a loss, but each kind of it once only.
    pub(super) fn note(
        &mut self,
        kind: &str,
        loss: impl FnOnce() -> Loss,
        sink: &mut dyn EventSink,
    ) {
        if !self.noted.iter().any(|noted| noted == kind) {
            self.noted.push(kind.to_owned());
            lose(loss(), sink);
        }
    }
}

/// The kind of item that a text belongs to.
fn tag_of(place: Place) -> &'static str {
    match place {
        Place::Text(_) | Place::Refusal(_) => "message",
        Place::Summary(_) | Place::Thought(_) => "reasoning",
        Place::Input => "function_call",
    }
}

/// The texts of an array of parts.
fn texts_of(raw: Raw<'_>) -> Vec<Text<'_>> {
    elements(raw)
        .into_iter()
        .filter_map(|part| {
            let part: WireContent<'_> = object(Some(part))?;
            text(part.text).or_else(|| text(part.refusal))
        })
        .collect()
}
