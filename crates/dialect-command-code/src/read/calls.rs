//! The tool calls of an answer.

use std::sync::Arc;

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::json::PairMender;
use polywire_conversation::parts::Parts;
use polywire_conversation::{Event, EventSink, Form, FreeformReader, Ledger, Loss, Text, ids};
use polywire_wire::clean;

use super::line::{Line, Raw};

/// The most calls that one answer may have. No model makes as many; the limit keeps a service that has gone mad from filling the
/// memory with their ids.
pub(super) const CALLS_MAX: usize = 1_024;

/// The calls of one answer.
///
/// `tool-call` is the one line that counts: it holds the whole input, and the provider's client reads nothing else. The pieces that
/// may come before it only tell that a call is coming; one that never does was cut off.
#[derive(Debug)]
pub(super) struct Calls {
    ledger: Arc<Ledger>,
    seed: String,
    /// Ids and names of calls whose pieces came, until they come whole.
    announced: Vec<(String, String)>,
    /// The ids of the service's own of all calls that came whole, offered or not.
    seen: Vec<String>,
    /// The ids under which calls were handed out.
    ids: Vec<String>,
    whole: usize,
    nameless: bool,
}

impl Calls {
    pub(super) fn new(ledger: Arc<Ledger>, seed: &str) -> Self {
        Self {
            ledger,
            seed: seed.to_owned(),
            announced: Vec::new(),
            seen: Vec::new(),
            ids: Vec::new(),
            whole: 0,
            nameless: false,
        }
    }

    /// How many calls may be carried out.
    pub(super) fn whole(&self) -> usize {
        self.whole
    }

    /// Whether a call came without a name: nobody can carry it out, or be told that it failed.
    pub(super) fn is_nameless(&self) -> bool {
        self.nameless
    }

    pub(super) fn are_too_many(&self) -> bool {
        self.seen.len() + self.announced.len() > CALLS_MAX
    }

    /// Whether a call with the service's id `id` was handed out.
    pub(super) fn is_offered(&self, id: &str) -> bool {
        !id.is_empty() && self.ids.iter().any(|known| known == id)
    }

    /// Reads a piece of a call that will come whole later.
    pub(super) fn announce(&mut self, line: &Line<'_>) {
        let id = line.tool_call_id.or(line.id).word();
        let known = self.announced.iter().any(|(announced, _)| *announced == id);
        if !known && !id.is_empty() && !self.seen.iter().any(|seen| *seen == id) {
            let name = line.tool_name.or(line.name).word();
            self.announced.push((id.into_owned(), name.into_owned()));
        }
    }

    /// Takes note of a call that came whole. `false` when it came before.
    pub(super) fn take(&mut self, id: &str, sink: &mut dyn EventSink) -> bool {
        if id.is_empty() {
            self.seen.push(String::new());
            return true;
        }
        self.announced.retain(|(announced, _)| announced != id);
        if self.seen.iter().any(|seen| seen == id) {
            sink.event(Event::Loss(Loss::degraded(
                format!("call `{}`", clean(id, 80)),
                "came twice; the second was ignored",
            )));
            return false;
        }
        self.seen.push(id.to_owned());
        true
    }

    /// Hands out a whole call.
    pub(super) fn offer(&mut self, line: &Line<'_>, parts: &mut Parts, sink: &mut dyn EventSink) {
        let name = line.tool_name.or(line.name).word();
        if name.is_empty() {
            self.nameless = true;
            return;
        }
        let id = self.id_for(&line.tool_call_id.or(line.id).word());
        let tool = self.ledger.raise(&name);
        let input = line.input.or(line.args).or(line.arguments);
        let arguments = arguments_of(input);
        let progress = progress(&arguments);
        match (progress, tool.form) {
            (Progress::Partial, Form::Function | Form::Search) => {
                sink.event(Event::Loss(Loss::severe(
                    format!("call of `{}`", clean(&name, 80)),
                    "its arguments end in the middle; it was cut off and must not be carried out",
                )));
            }
            (Progress::Broken, Form::Function | Form::Search) => {
                sink.event(Event::Loss(Loss::degraded(
                    format!("call of `{}`", clean(&name, 80)),
                    "its arguments are not a JSON object; passed on as the model wrote them",
                )));
            }
            (Progress::Empty | Progress::Whole, _)
            | (Progress::Partial | Progress::Broken, Form::Freeform) => {}
        }
        parts.start_call(&id, tool, sink);
        match tool.form {
            Form::Function | Form::Search => hand_out(arguments, sink),
            Form::Freeform => hand_out_freeform(&arguments, sink),
        }
        let cut = progress == Progress::Partial;
        parts.end_call(cut, sink);
        self.whole += usize::from(!cut);
        self.ids.push(id);
    }

    /// Tells of calls that were announced and never came. Gives whether there were any.
    pub(super) fn finish(&mut self, sink: &mut dyn EventSink) -> bool {
        let announced = std::mem::take(&mut self.announced);
        for (_, name) in &announced {
            sink.event(Event::Loss(Loss::severe(
                format!("call of `{}`", clean(name, 80)),
                "began and was cut off; it is not shown and must not be carried out",
            )));
        }
        !announced.is_empty()
    }

    /// The service's id when it can go anywhere, else one of ours.
    fn id_for(&self, id: &str) -> String {
        let is_free = |id: &str| !self.ids.iter().any(|known| known == id);
        if ids::is_usual(id) && is_free(id) {
            return id.to_owned();
        }
        let count = self.ids.len();
        let made = ids::made_from(&format!("{}/{count}/{id}", self.seed));
        if is_free(&made) {
            made
        } else {
            format!("{made}_{count}")
        }
    }
}

/// The arguments of a call: an object in place, or JSON text in a string. Nothing, or null, is an empty object.
fn arguments_of(input: Raw<'_>) -> Text<'_> {
    let arguments = match input.text() {
        Some(text) => text,
        None => Text::plain(input.get().unwrap_or_default()),
    };
    match arguments.as_written().trim() {
        "" | "null" => Text::plain("{}"),
        _ => arguments,
    }
}

fn progress(arguments: &Text<'_>) -> Progress {
    let mut check = ArgumentsCheck::default();
    check.push(arguments);
    check.progress()
}

fn hand_out(arguments: Text<'_>, sink: &mut dyn EventSink) {
    let mut mender = PairMender::default();
    let mended = mender.mend(arguments);
    for piece in [Some(mended), mender.finish()].into_iter().flatten() {
        if !piece.is_empty() {
            sink.event(Event::CallDelta(piece));
        }
    }
}

fn hand_out_freeform(arguments: &Text<'_>, sink: &mut dyn EventSink) {
    let mut reader = FreeformReader::default();
    let mut mender = PairMender::default();
    let mut emit = |piece: Text<'_>| {
        let piece = mender.mend(piece);
        if !piece.is_empty() {
            sink.event(Event::CallDelta(piece));
        }
    };
    reader.push(arguments, &mut emit);
    reader.finish(&mut emit);
    if let Some(rest) = mender.finish() {
        sink.event(Event::CallDelta(rest));
    }
}
