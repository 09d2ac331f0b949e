//! The items of an answer, and the parts that come of them.

mod calling;
mod texts;
mod unseen;

use std::sync::Arc;

use polywire_conversation::parts::Parts;
use polywire_conversation::{Event, EventSink, Ledger, Loss, StopReason, Text, Usage, ids};

use super::calls::Call;
use super::ending::Verdict;
use super::said::{Channel, Place};
use super::wire::{WireOutput, WireResponse, string, word};
use super::{lose, searches};

/// The most items that one answer may have. No model makes as many; the limit keeps a provider that has gone mad from filling
/// the memory.
const ITEMS_MAX: usize = 4_096;

/// The output of one answer.
#[derive(Debug)]
pub(in crate::read) struct Output {
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
    pub(in crate::read) usage: Option<Usage>,
    /// Reasoning items go out whole also when all they have is readable content.
    pub(in crate::read) content_is_state: bool,
    /// The answer has failed: no call that begins now may be handed out.
    pub(in crate::read) is_failing: bool,
    /// More items began than an answer can have: the answer must fail.
    pub(in crate::read) has_too_many: bool,
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
    pub(in crate::read) fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
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

    pub(in crate::read) fn named(&mut self, response: &WireResponse<'_>) {
        self.parts
            .named(|| word(response.id), || word(response.model));
    }

    /// The place of the item whose call is open.
    pub(in crate::read) fn open_call(&self) -> Option<u64> {
        self.open_call.map(|at| self.items[at].index)
    }

    /// The place of the item that began last, for events that do not say which they belong to.
    pub(in crate::read) fn latest_index(&self) -> u64 {
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
    pub(in crate::read) fn added(&mut self, index: u64, wire: &WireOutput<'_>) {
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

    /// An item is done. `raw` is the whole of it.
    pub(in crate::read) fn item_done(
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

    /// Closes everything and ends the answer.
    pub(in crate::read) fn end(&mut self, verdict: Verdict, sink: &mut dyn EventSink) {
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

    pub(in crate::read) fn note_unknown_event(&mut self, tag: &str, sink: &mut dyn EventSink) {
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
    pub(in crate::read) fn note(
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
