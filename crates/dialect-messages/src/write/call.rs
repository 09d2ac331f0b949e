//! Tool calls.
//!
//! In this protocol the input of a call is a JSON object, and clients take what streams in for one. What a model writes is not
//! always one, and it is passed on all the same, so that the client can tell the model: see [`CallBlock::end`].

use std::borrow::Cow;

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::{Form, Json, Raised, Text, ids, json};
use polywire_sse::FrameBuffer;

use super::frames::{DeltaHead, append, block, block_start, block_stop, text_of};

/// The one member of an input that stands for arguments which are no JSON object.
const INVALID_KEY: &str = "invalid_arguments";

/// A call that is open. It is announced with the first piece of its input, so that a call which is cut before that leaves no
/// block behind that would look like a call without arguments.
#[derive(Debug)]
pub(super) struct CallBlock {
    index: u64,
    id: String,
    name: String,
    form: Form,
    announced: Option<DeltaHead>,
    check: ArgumentsCheck,
    /// All input so far as the model wrote it, escaped.
    text: Vec<u8>,
}

impl CallBlock {
    pub(super) fn new(index: u64, message_id: &str, id: &str, tool: &Raised<'_>) -> Self {
        Self {
            index,
            id: call_id(index, message_id, id).into_owned(),
            name: match tool.namespace {
                Some(namespace) => format!("{namespace}__{}", tool.name),
                None => tool.name.to_owned(),
            },
            form: tool.form,
            announced: None,
            check: ArgumentsCheck::default(),
            text: Vec::new(),
        }
    }

    /// Whether the block has been announced, and so has its index for good.
    pub(super) fn is_announced(&self) -> bool {
        self.announced.is_some()
    }

    /// Takes a piece of the input.
    pub(super) fn push(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        match self.form {
            Form::Freeform => self.push_freeform(piece, out),
            Form::Function | Form::Search => self.push_arguments(piece, out),
        }
    }

    /// Free text, as the one string of an object.
    fn push_freeform(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        if self.announced.is_none() {
            self.announce(out).write(br#"{\"input\":\""#, out);
        }
        let piece = append(piece, &mut self.text);
        let escaped = escaped_again(piece);
        if let Some(head) = &self.announced {
            head.write(&escaped, out);
        }
    }

    /// JSON, as it is written, from the moment on at which it looks like an object.
    fn push_arguments(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        self.check.push(piece);
        let start = self.text.len();
        piece.write_escaped(&mut self.text);
        match (&self.announced, self.check.progress()) {
            (Some(head), _) => head.write(&self.text[start..], out),
            (None, Progress::Partial | Progress::Whole) => {
                self.announce(out);
                if let Some(head) = &self.announced {
                    head.write(&self.text, out);
                }
            }
            (None, Progress::Empty | Progress::Broken) => {}
        }
    }

    fn announce(&mut self, out: &mut FrameBuffer) -> &DeltaHead {
        block_start(self.index, out, |block| {
            block.string("type", "tool_use");
            block.string("id", &self.id);
            block.string("name", &self.name);
            block.raw("input", "{}");
        });
        self.announced.insert(DeltaHead::new(
            self.index,
            "input_json_delta",
            "partial_json",
        ))
    }

    /// Ends a complete call and gives the whole block.
    ///
    /// Arguments that are no JSON object become an object with their text in it, so that a body never holds broken JSON and the
    /// client's check of the input finds what is wrong. Where the beginning looked like an object and has been sent, the rest has
    /// been sent as well: nothing that is put behind it could make it what the model meant.
    pub(super) fn end(mut self, out: &mut FrameBuffer) -> Vec<u8> {
        let input = match self.form {
            Form::Freeform => self.end_freeform(out),
            Form::Function | Form::Search => self.end_arguments(out),
        };
        block_stop(self.index, out);
        block("tool_use", |whole| {
            whole.string("id", &self.id);
            whole.string("name", &self.name);
            whole.member("input").extend_from_slice(&input);
        })
    }

    fn end_freeform(&mut self, out: &mut FrameBuffer) -> Vec<u8> {
        if self.announced.is_none() {
            self.push_freeform(&Text::EMPTY, out);
        }
        if let Some(head) = &self.announced {
            head.write(br#"\"}"#, out);
        }
        object_with("input", &self.text)
    }

    fn end_arguments(&mut self, out: &mut FrameBuffer) -> Vec<u8> {
        let arguments = text_of(&self.text);
        let arguments = arguments.to_plain();
        let is_nothing = matches!(arguments.trim_ascii(), "" | "null");
        if self.check.progress() == Progress::Whole {
            // A half character that the model spelt in its JSON would make the whole message unreadable to strict clients.
            let input = Json::new(arguments.into_owned()).mended();
            return input.as_str().as_bytes().to_vec();
        }
        if self.announced.is_some() {
            return object_with(INVALID_KEY, &self.text);
        }
        let input = if is_nothing {
            b"{}".to_vec()
        } else {
            object_with(INVALID_KEY, &self.text)
        };
        let head = self.announce(out);
        if !is_nothing {
            head.write(&escaped_again(&input), out);
        }
        input
    }

    /// Ends a call that was cut off. Its half input is not completed; the reason for which the answer stops tells the client that it
    /// is a half.
    pub(super) fn cut(self, out: &mut FrameBuffer) {
        if self.is_announced() {
            block_stop(self.index, out);
        }
    }
}

/// The provider's own id wherever it can go through a client and back: some providers read meaning in theirs.
fn call_id<'a>(index: u64, message_id: &str, id: &'a str) -> Cow<'a, str> {
    if ids::is_usual(id) {
        return Cow::Borrowed(id);
    }
    let seed = if id.is_empty() {
        format!("{message_id} {index}")
    } else {
        id.to_owned()
    };
    Cow::Owned(ids::made_from(&seed))
}

/// An object with one string, whose escaped form is given.
fn object_with(key: &str, escaped: &[u8]) -> Vec<u8> {
    let mut object = format!("{{\"{key}\":\"").into_bytes();
    object.extend_from_slice(escaped);
    object.extend_from_slice(b"\"}");
    object
}

/// JSON text as the body of a JSON string.
fn escaped_again(json_text: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(json_text.len() + 8);
    json::escape(&String::from_utf8_lossy(json_text), &mut body);
    body
}
