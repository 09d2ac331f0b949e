//! The message of an answer as far as it has come, for the answer in one piece.

use polywire_conversation::{Citation, Text, Usage};
use polywire_wire::{Object, write_array};

use super::chunks::write_identity;
use super::{WriterOptions, usage};

/// What was said, thought and called so far. All texts are escaped.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) content: Vec<u8>,
    pub(super) refusal: Vec<u8>,
    pub(super) reasoning: Vec<u8>,
    /// Envelopes for the next turn, one for each stretch of reasoning that had one.
    pub(super) sealed: Vec<Vec<u8>>,
    /// The calls that are whole.
    pub(super) calls: Vec<Call>,
    /// Annotations, as JSON.
    pub(super) annotations: Vec<Vec<u8>>,
    /// The elements of all arrays of probabilities, separated by commas.
    pub(super) logprobs: Vec<u8>,
}

/// A call. Name and input are escaped.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) input: Vec<u8>,
}

/// The forms in which a call goes to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A function with JSON arguments.
    Function,
    /// A tool with free text.
    Custom,
    /// A function in the form before there were tools: one at most, without an id.
    Legacy,
}

impl Kind {
    /// The word for it; also the member that holds what is called.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Kind::Function | Kind::Legacy => "function",
            Kind::Custom => "custom",
        }
    }

    /// The member that holds what the model passed.
    pub(super) const fn input_key(self) -> &'static str {
        match self {
            Kind::Function | Kind::Legacy => "arguments",
            Kind::Custom => "input",
        }
    }
}

impl Message {
    /// Appends the elements of an array of probabilities. `false` when it has none.
    pub(super) fn add_logprobs(&mut self, array: &str) -> bool {
        let elements = array.trim();
        let elements = elements.strip_prefix('[').unwrap_or(elements);
        let elements = elements.strip_suffix(']').unwrap_or(elements).trim();
        if elements.is_empty() {
            return false;
        }
        if !self.logprobs.is_empty() {
            self.logprobs.push(b',');
        }
        self.logprobs.extend_from_slice(elements.as_bytes());
        true
    }

    /// The whole answer in one piece.
    pub(super) fn completion(
        &self,
        options: &WriterOptions,
        finish_reason: &str,
        usage: Option<&Usage>,
    ) -> Vec<u8> {
        let mut body = Vec::with_capacity(512 + self.content.len());
        write_identity(options, "chat.completion", &mut body);
        body.extend_from_slice(b",\"choices\":[");
        let mut choice = Object::open(&mut body);
        choice.raw("index", "0");
        self.write(options.reasoning_details, choice.member("message"));
        self.write_logprobs(choice.member("logprobs"));
        choice.string("finish_reason", finish_reason);
        choice.close();
        body.push(b']');
        if let Some(usage) = usage::render(usage) {
            body.extend_from_slice(b",\"usage\":");
            body.extend_from_slice(&usage);
        }
        body.push(b'}');
        body
    }

    fn write(&self, reasoning_details: bool, out: &mut Vec<u8>) {
        let mut message = Object::open(out);
        message.string("role", "assistant");
        // Null stands for a message that says nothing because it calls or declines; one that is simply empty has empty text.
        let says_something_else = !self.calls.is_empty() || !self.refusal.is_empty();
        if self.content.is_empty() && says_something_else {
            message.raw("content", "null");
        } else {
            string(&mut message, "content", &self.content);
        }
        if self.refusal.is_empty() {
            message.raw("refusal", "null");
        } else {
            string(&mut message, "refusal", &self.refusal);
        }
        if !self.reasoning.is_empty() {
            string(&mut message, "reasoning_content", &self.reasoning);
        }
        if reasoning_details && !self.sealed.is_empty() {
            write_array(
                self.sealed.iter().enumerate(),
                message.member("reasoning_details"),
                |(index, sealed), out| write_sealed(index, sealed, out),
            );
        }
        if !self.annotations.is_empty() {
            write_array(
                &self.annotations,
                message.member("annotations"),
                |annotation, out| out.extend_from_slice(annotation),
            );
        }
        self.write_calls(&mut message);
        message.close();
    }

    fn write_calls(&self, message: &mut Object<'_>) {
        match self.calls.first() {
            Some(call) if call.kind == Kind::Legacy => {
                call.write_called(message.member("function_call"));
            }
            Some(_) => write_array(&self.calls, message.member("tool_calls"), |call, out| {
                let mut object = Object::open(out);
                string(&mut object, "id", &call.id);
                object.string("type", call.kind.tag());
                call.write_called(object.member(call.kind.tag()));
                object.close();
            }),
            None => {}
        }
    }

    /// Writes the `logprobs` of the choice: null as long as nobody asked for them.
    fn write_logprobs(&self, out: &mut Vec<u8>) {
        if self.logprobs.is_empty() {
            out.extend_from_slice(b"null");
            return;
        }
        out.extend_from_slice(b"{\"content\":[");
        out.extend_from_slice(&self.logprobs);
        out.extend_from_slice(b"],\"refusal\":null}");
    }
}

impl Call {
    fn write_called(&self, out: &mut Vec<u8>) {
        let mut called = Object::open(out);
        string(&mut called, "name", &self.name);
        string(&mut called, self.kind.input_key(), &self.input);
        called.close();
    }
}

/// A member whose value is escaped text.
pub(super) fn string(object: &mut Object<'_>, key: &str, escaped: &[u8]) {
    let out = object.member(key);
    out.push(b'"');
    out.extend_from_slice(escaped);
    out.push(b'"');
}

/// The body of the JSON string that spells `text`.
pub(super) fn escaped(text: &Text<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(text.as_written().len());
    text.write_escaped(&mut body);
    body
}

/// Writes an entry of `reasoning_details` that holds an envelope. Without a `format`: clients that check it know a closed list.
pub(super) fn write_sealed(index: usize, sealed: &[u8], out: &mut Vec<u8>) {
    let mut detail = Object::open(out);
    detail.string("type", "reasoning.encrypted");
    string(&mut detail, "data", sealed);
    detail.raw("index", &index.to_string());
    detail.close();
}

/// A source as an annotation. `start` and `end` are the stretch of the whole content that rests on it, in characters.
pub(super) fn annotation(citation: &Citation<'_>, start: u64, end: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    let mut annotation = Object::open(&mut bytes);
    annotation.string("type", "url_citation");
    let mut url = Object::open(annotation.member("url_citation"));
    url.raw("start_index", &start.to_string());
    url.raw("end_index", &end.to_string());
    url.text("url", &citation.url);
    url.text("title", &citation.title);
    url.close();
    annotation.close();
    bytes
}

/// Counts the characters of a growing escaped text, each once.
#[derive(Debug, Default)]
pub(super) struct Characters {
    bytes: usize,
    count: u64,
}

impl Characters {
    /// The characters of `text`, which has only grown since the last time. It must be cut between characters, as whole pieces of text
    /// are.
    pub(super) fn of(&mut self, text: &[u8]) -> u64 {
        let fresh = String::from_utf8_lossy(text.get(self.bytes..).unwrap_or_default());
        let fresh = Text::escaped(fresh);
        self.bytes = text.len();
        self.count += u64::try_from(fresh.to_plain().chars().count()).unwrap_or(u64::MAX);
        self.count
    }
}
