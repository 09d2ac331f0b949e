//! One tool call, from its pieces.

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::json::PairMender;
use polywire_conversation::{Event, EventSink, Form, FreeformReader, Ledger, Loss, Raised, Text};

use super::Ending;
use super::wire::{Block, Raw, has_members, string, text};

/// A call as far as it came.
#[derive(Debug)]
pub(super) struct Call {
    /// The provider's id, empty if it gave none.
    pub(super) provider_id: String,
    pub(super) name: String,
    /// Input that came whole with the beginning. It counts if no pieces follow.
    whole_input: Option<Text<'static>>,
    check: ArgumentsCheck,
    /// Pieces that were not handed out because they may still mean that there is no input.
    held: Vec<u8>,
    handed_out: bool,
    mender: PairMender,
    input: Input,
}

/// How the input of a call is handed out.
#[derive(Debug)]
enum Input {
    Json,
    Freeform(FreeformReader),
}

impl Call {
    pub(super) fn new(block: &Block<'_>) -> Self {
        Self {
            provider_id: string(block.id).unwrap_or_default(),
            name: string(block.name).unwrap_or_default(),
            whole_input: whole_input(block.input),
            check: ArgumentsCheck::default(),
            held: Vec::new(),
            handed_out: false,
            mender: PairMender::default(),
            input: Input::Json,
        }
    }

    /// The call has been announced as one of a tool of this form.
    pub(super) fn announced(&mut self, form: Form) {
        self.input = match form {
            Form::Function | Form::Search => Input::Json,
            Form::Freeform => Input::Freeform(FreeformReader::default()),
        };
    }

    /// Whether the input is complete by itself, so that nothing more can belong to it.
    pub(super) fn is_whole(&self) -> bool {
        self.check.progress() == Progress::Whole
    }

    /// Whether the input came whole with the beginning and nothing after it.
    pub(super) fn came_at_once(&self) -> bool {
        self.whole_input.is_some() && self.says_nothing()
    }

    /// Whether the pieces mean that there is no input. It is spelled as nothing, as white space or as `null`.
    fn says_nothing(&self) -> bool {
        self.check.progress() == Progress::Empty || self.held == b"null"
    }

    /// Takes a piece of the input.
    pub(super) fn push(&mut self, piece: Text<'_>, sink: &mut dyn EventSink) {
        self.check.push(&piece);
        if self.handed_out {
            self.hand_out(piece, sink);
            return;
        }
        piece.write_escaped(&mut self.held);
        if self.check.progress() == Progress::Empty || b"null".starts_with(&self.held) {
            return;
        }
        self.handed_out = true;
        let held = std::mem::take(&mut self.held);
        self.hand_out(Text::escaped(String::from_utf8_lossy(&held)), sink);
    }

    /// Ends the input. `false` when the call must not be carried out.
    ///
    /// The beginning of an object is half a call whatever the provider says: completed, it would be one that the model never
    /// made. Anything else that is no object is what the model wrote if the answer is complete, and may be half of it if not.
    pub(super) fn finish(&mut self, ending: Ending, sink: &mut dyn EventSink) -> bool {
        let progress = self.check.progress();
        let nothing = self.says_nothing();
        let whole = match ending {
            Ending::Complete => nothing || progress != Progress::Partial,
            Ending::Unexplained => nothing || progress == Progress::Whole,
            Ending::Cut => progress == Progress::Whole || self.came_at_once(),
            Ending::Failed => false,
        };
        if !whole {
            if matches!(ending, Ending::Complete | Ending::Unexplained) {
                self.tell(
                    "its input ends in the middle; it was cut off and must not be carried out",
                    sink,
                );
            }
            return false;
        }
        if nothing {
            self.hand_out_whole_input(sink);
        }
        self.end_input(sink);
        if matches!(self.input, Input::Json) && !nothing && progress != Progress::Whole {
            self.tell(
                "its input is not a JSON object; it is passed on as the model wrote it",
                sink,
            );
        }
        true
    }

    fn tell(&self, why: &'static str, sink: &mut dyn EventSink) {
        // The words "not a JSON object" and "was cut off" tell the two apart wherever losses are read by people.
        sink.event(Event::Loss(Loss::severe(
            format!("call of `{}`", self.name),
            why,
        )));
    }

    fn hand_out_whole_input(&mut self, sink: &mut dyn EventSink) {
        match (self.whole_input.take(), &self.input) {
            (Some(input), _) => self.hand_out(input, sink),
            (None, Input::Json) => self.hand_out(Text::plain("{}"), sink),
            (None, Input::Freeform(_)) => {}
        }
    }

    fn hand_out(&mut self, piece: Text<'_>, sink: &mut dyn EventSink) {
        let piece = self.mender.mend(piece);
        self.input.hand_out(piece, sink);
    }

    fn end_input(&mut self, sink: &mut dyn EventSink) {
        if let Some(rest) = self.mender.finish() {
            self.input.hand_out(rest, sink);
        }
        if let Input::Freeform(reader) = &mut self.input {
            reader.finish(|text| sink.event(Event::CallDelta(text)));
        }
    }
}

impl Input {
    fn hand_out(&mut self, piece: Text<'_>, sink: &mut dyn EventSink) {
        match self {
            Input::Json if piece.is_empty() => {}
            Input::Json => sink.event(Event::CallDelta(piece)),
            Input::Freeform(reader) => {
                reader.push(&piece, |text| sink.event(Event::CallDelta(text)));
            }
        }
    }
}

/// An object, or its JSON as a string, that stands where a stream begins with an empty object.
fn whole_input(raw: Raw<'_>) -> Option<Text<'static>> {
    let as_object = || has_members(raw).then(|| raw.map(|raw| Text::plain(raw.get().to_owned())));
    text(raw)
        .map(Text::into_owned)
        .or_else(|| as_object().flatten())
}

/// What a name stands for, with a note when it stands for nothing.
pub(super) fn raise<'l>(ledger: &'l Ledger, name: &'l str, sink: &mut dyn EventSink) -> Raised<'l> {
    let tool = ledger.raise(name);
    if !tool.declared {
        sink.event(Event::Loss(Loss::degraded(
            format!("call of `{}`", tool.name),
            "no such tool was offered; the call is passed on as the model wrote it",
        )));
    }
    tool
}
