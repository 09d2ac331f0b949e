//! The calls of an answer: whose they are, and how their input is handed out.

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::tools::SEARCH_NAME;
use polywire_conversation::{Event, EventSink, Form, FreeformReader, Ledger, Loss, Raised, Text};

use super::said::{Channel, LastWord, Place};
use super::wire::{Raw, WireOutput, arguments, string, text, word};

/// The namespace that OpenAI's own tools are said to be in: none.
const DEFAULT_NAMESPACE: &str = "functions";

/// The kinds of calls, as the provider spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    /// `function_call`.
    Function,
    /// `custom_tool_call`: free text.
    Custom,
    /// `tool_search_call` that the client carries out.
    Search,
    /// A call with a type of its own that the client carries out, taken for a function call.
    Typed,
}

/// A call on its way.
#[derive(Debug)]
pub(super) struct Call {
    kind: CallKind,
    /// The provider's id.
    pub(super) id: String,
    pub(super) name: String,
    namespace: Option<String>,
    pub(super) input: Channel,
    check: ArgumentsCheck,
    /// What was not handed out yet, as the body of a JSON string.
    held: Vec<u8>,
    pub(super) opened: bool,
    form: InputForm,
}

#[derive(Debug)]
enum InputForm {
    AsWritten,
    /// Free text inside of JSON arguments.
    Wrapped(FreeformReader),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Cut,
}

impl Call {
    /// The call that an output item is; nothing when it is none that the client carries out.
    pub(super) fn of(item: &WireOutput<'_>) -> Option<Self> {
        let tag = string(item.tag)?;
        let (kind, name) = match &*tag {
            "function_call" => (CallKind::Function, word(item.name).unwrap_or_default()),
            "custom_tool_call" => (CallKind::Custom, word(item.name).unwrap_or_default()),
            "tool_search_call" if is_for_client(item) => (CallKind::Search, SEARCH_NAME.to_owned()),
            "local_shell_call" | "shell_call" | "apply_patch_call" => {
                let name = tag.trim_end_matches("_call").to_owned();
                (CallKind::Typed, name)
            }
            _ => return None,
        };
        let mut call = Self::new(kind);
        call.name = name;
        call.read_target(item);
        Some(call)
    }

    /// A call of which nothing but a piece is known.
    pub(super) fn new(kind: CallKind) -> Self {
        Self {
            kind,
            id: String::new(),
            name: String::new(),
            namespace: None,
            input: Channel::new(Place::Input),
            check: ArgumentsCheck::default(),
            held: Vec::new(),
            opened: false,
            form: InputForm::AsWritten,
        }
    }

    /// Takes over whose call it is. The last word counts as long as nobody was told: what an item says when it begins is
    /// provisional (OpenAI changes the id of a tool search on the way, March 2026).
    pub(super) fn read_target(&mut self, item: &WireOutput<'_>) {
        if self.opened {
            return;
        }
        if let Some(id) = word(item.call_id) {
            self.id = id;
        }
        if let (CallKind::Function | CallKind::Custom, Some(name)) = (self.kind, word(item.name)) {
            self.name = name;
        }
        self.namespace = word(item.namespace);
    }

    /// Whether it can be told of: its name is known, and its input is something.
    pub(super) fn may_open(&self) -> bool {
        let streams = match self.kind {
            CallKind::Custom => !self.input.is_empty(),
            CallKind::Function => !self.may_be_nothing(),
            CallKind::Search | CallKind::Typed => false,
        };
        streams && !self.name.is_empty()
    }

    /// Whether the arguments so far could still mean that there are none.
    fn may_be_nothing(&self) -> bool {
        self.check.progress() == Progress::Empty || "null".starts_with(self.input.plain().trim())
    }

    /// Opens the call and hands out what waited.
    pub(super) fn open(
        &mut self,
        id: &str,
        ledger: &Ledger,
        open: impl FnOnce(&str, Raised<'_>, &mut dyn EventSink),
        sink: &mut dyn EventSink,
    ) {
        let tool = self.raise(ledger);
        if !tool.declared {
            sink.event(Event::Loss(Loss::degraded(
                format!("call of `{}`", tool.name),
                "no such tool was offered; the call is passed on as the model wrote it",
            )));
        }
        let form = match (self.kind, tool.form) {
            (CallKind::Function, Form::Freeform) => InputForm::Wrapped(FreeformReader::default()),
            (CallKind::Function, Form::Function | Form::Search)
            | (CallKind::Custom | CallKind::Search | CallKind::Typed, _) => InputForm::AsWritten,
        };
        open(id, tool, sink);
        self.form = form;
        self.opened = true;
        let held = std::mem::take(&mut self.held);
        let nothing = self.kind != CallKind::Custom && self.may_be_nothing();
        if !held.is_empty() && !nothing {
            self.hand_out(Text::escaped(String::from_utf8_lossy(&held)), sink);
        }
    }

    /// The tool that is called, in the form in which its client waits for the call.
    fn raise<'l>(&'l self, ledger: &'l Ledger) -> Raised<'l> {
        let mut tool = self.declared(ledger);
        match self.kind {
            CallKind::Custom => tool.form = Form::Freeform,
            CallKind::Search => tool.form = Form::Search,
            CallKind::Typed => tool.form = Form::Function,
            CallKind::Function => {}
        }
        tool
    }

    fn declared<'l>(&'l self, ledger: &'l Ledger) -> Raised<'l> {
        let namespace = self.namespace.as_deref();
        let Some(namespace) = namespace else {
            let raised = ledger.raise(&self.name);
            let bare = self.name.strip_prefix("functions.");
            let bare = bare.map(|bare| ledger.raise(bare));
            return bare
                .filter(|bare| bare.declared && !raised.declared)
                .unwrap_or(raised);
        };
        let mut entries = ledger.entries().iter();
        let entry = entries
            .find(|entry| entry.name == self.name && entry.namespace.as_deref() == Some(namespace));
        match entry {
            Some(entry) => Raised {
                name: &entry.name,
                namespace: entry.namespace.as_deref(),
                form: entry.form,
                declared: true,
            },
            None if namespace == DEFAULT_NAMESPACE => ledger.raise(&self.name),
            None => Raised {
                name: &self.name,
                namespace: Some(namespace),
                form: Form::Function,
                declared: false,
            },
        }
    }

    /// Takes a piece of the input.
    pub(super) fn push(&mut self, piece: Text<'_>, sink: &mut dyn EventSink) {
        self.check.push(&piece);
        let piece = self.input.push(piece);
        if self.opened {
            self.hand_out(piece, sink);
        } else {
            piece.write_escaped(&mut self.held);
        }
    }

    fn hand_out(&mut self, piece: Text<'_>, sink: &mut dyn EventSink) {
        match &mut self.form {
            InputForm::AsWritten if piece.is_empty() => {}
            InputForm::AsWritten => sink.event(Event::CallDelta(piece)),
            InputForm::Wrapped(reader) => {
                reader.push(&piece, |text| sink.event(Event::CallDelta(text)));
            }
        }
    }

    /// The whole input as a finished item tells it.
    pub(super) fn whole_input<'i>(&self, item: &WireOutput<'i>) -> Option<Text<'i>> {
        let of_typed = |raw: Raw<'i>| raw.map(serde_json::value::RawValue::get);
        match self.kind {
            CallKind::Function | CallKind::Search => arguments(item.arguments),
            CallKind::Custom => text(item.input),
            CallKind::Typed => match (of_typed(item.action), of_typed(item.operation)) {
                (Some(action), _) => Some(Text::plain(action)),
                (None, Some(operation)) => {
                    Some(Text::plain(format!("{{\"operation\":{operation}}}")))
                }
                (None, None) => None,
            },
        }
    }

    /// Takes the whole input. `false` when something else was streamed, so that nobody knows what the model meant.
    pub(super) fn settle_input(&mut self, whole: &Text<'_>, sink: &mut dyn EventSink) -> bool {
        match self.input.compare(whole) {
            LastWord::Same => true,
            LastWord::Rest(rest) => {
                self.push(rest, sink);
                true
            }
            LastWord::Different => {
                self.kind != CallKind::Custom
                    && is_same_json(&self.input.plain(), &whole.to_plain())
            }
        }
    }

    /// Whether the input is one that may be carried out; to be asked when the provider says that the call is complete.
    pub(super) fn end(&self, sink: &mut dyn EventSink) -> End {
        if self.kind == CallKind::Custom {
            return End::Whole;
        }
        match self.check.progress() {
            Progress::Whole | Progress::Empty => End::Whole,
            // The beginning of an object is half a call whatever the provider says.
            Progress::Partial => {
                sink.event(Event::Loss(Loss::severe(
                    format!("call of `{}`", self.name),
                    "its arguments end in the middle; it was cut off and must not be carried out",
                )));
                End::Cut
            }
            Progress::Broken if self.may_be_nothing() => End::Whole,
            // Free text that the model did not wrap is what it wrote.
            Progress::Broken if matches!(self.form, InputForm::Wrapped(_)) => End::Whole,
            Progress::Broken => {
                sink.event(Event::Loss(Loss::severe(
                    format!("call of `{}`", self.name),
                    "its arguments are not a JSON object; they are passed on as the model wrote them",
                )));
                End::Whole
            }
        }
    }

    /// Hands out what is left of a whole call.
    pub(super) fn finish_input(&mut self, sink: &mut dyn EventSink) {
        if let Some(rest) = self.input.finish() {
            self.hand_out(rest, sink);
        }
        let nothing = self.kind != CallKind::Custom && self.may_be_nothing();
        match &mut self.form {
            InputForm::Wrapped(reader) => {
                reader.finish(|text| sink.event(Event::CallDelta(text)));
            }
            // Nothing, or the word `null`, is how some providers spell an empty object.
            InputForm::AsWritten if nothing => {
                sink.event(Event::CallDelta(Text::plain("{}")));
            }
            InputForm::AsWritten => {}
        }
    }
}

/// Whether the client has to carry out a search for tools; the provider carries out the others.
fn is_for_client(item: &WireOutput<'_>) -> bool {
    word(item.execution).as_deref() != Some("server") && word(item.call_id).is_some()
}

fn is_same_json(one: &str, other: &str) -> bool {
    let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).ok();
    read(one).is_some_and(|one| Some(one) == read(other))
}
