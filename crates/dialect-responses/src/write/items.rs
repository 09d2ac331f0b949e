//! The output items of an answer: the events of each, and what it looks like when it is done.

use polywire_conversation::{Form, Json, Raised, Text};
use serde_json::value::RawValue;

use super::frames::{Channel, Decimal, Frames, escaped, put};

/// Whether an item is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Completed,
    Incomplete,
}

impl Status {
    pub(super) const fn name(self) -> &'static [u8] {
        match self {
            Status::Completed => b"completed",
            Status::Incomplete => b"incomplete",
        }
    }
}

/// Who an item is: its id and its place in the output.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) id: String,
    index: Decimal,
}

impl Identity {
    /// Ids are made from the response's id, so that the same answer gets the same ids again.
    pub(super) fn new(prefix: &str, response_id: &str, index: u64) -> Self {
        let seed = hash(FNV_OFFSET, response_id.as_bytes());
        let hash = hash(hash(seed, prefix.as_bytes()), &index.to_le_bytes());
        Self {
            id: format!("{prefix}_{hash:032x}"),
            index: Decimal::new(index),
        }
    }

    pub(super) fn added(&self, item: &[u8], frames: &mut Frames<'_>) {
        self.item_event("response.output_item.added", item, frames);
    }

    pub(super) fn done(&self, item: &[u8], frames: &mut Frames<'_>) {
        self.item_event("response.output_item.done", item, frames);
    }

    fn item_event(&self, name: &str, item: &[u8], frames: &mut Frames<'_>) {
        let index = self.index.digits();
        frames.event(name, &[b",\"output_index\":", index, b",\"item\":", item]);
    }

    /// An event inside the item. `members` are what follows its place, beginning with a comma.
    pub(super) fn event(&self, name: &str, members: &[&[u8]], frames: &mut Frames<'_>) {
        frames.event(name, &[&self.place(), &members.concat()]);
    }

    pub(super) fn place(&self) -> Vec<u8> {
        let mut place = Vec::with_capacity(96);
        put(&mut place, &[b",\"item_id\":\"", self.id.as_bytes()]);
        put(&mut place, &[b"\",\"output_index\":", self.index.digits()]);
        place
    }
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;

/// FNV-1a, 128 bits: stable over versions and machines, which is all that is needed here.
fn hash(start: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(start, |hash, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// Reasoning on its way.
#[derive(Debug)]
pub(super) struct ReasoningItem {
    identity: Identity,
    channel: Channel,
    /// Readable reasoning has come, so that the one part of the summary is open.
    part_open: bool,
    /// State for the provider, escaped.
    sealed: Option<Vec<u8>>,
}

impl ReasoningItem {
    pub(super) fn open(identity: Identity, frames: &mut Frames<'_>) -> Self {
        let channel = Channel::new(
            "response.reasoning_summary_text.delta",
            &[&identity.place(), b",\"summary_index\":0"],
            b"\"",
        );
        let item = Self {
            identity,
            channel,
            part_open: false,
            sealed: None,
        };
        item.identity.added(&item.render(), frames);
        item
    }

    pub(super) fn push(&mut self, piece: &Text<'_>, frames: &mut Frames<'_>) {
        if !self.part_open {
            self.part_open = true;
            self.part_event("response.reasoning_summary_part.added", frames);
        }
        self.channel.push(piece, frames);
    }

    /// Keeps the state that goes back to the provider. The last one counts: a provider that sends several sends it growing.
    pub(super) fn seal(&mut self, state: &Text<'_>) {
        let mut sealed = Vec::with_capacity(state.as_written().len());
        state.write_escaped(&mut sealed);
        self.sealed = Some(sealed);
    }

    /// Ends the reasoning and gives the item.
    pub(super) fn close(self, frames: &mut Frames<'_>) -> Vec<u8> {
        if self.part_open {
            self.identity.event(
                "response.reasoning_summary_text.done",
                &[
                    b",\"summary_index\":0,\"text\":\"",
                    self.channel.text(),
                    b"\"",
                ],
                frames,
            );
            self.part_event("response.reasoning_summary_part.done", frames);
        }
        let item = self.render();
        self.identity.done(&item, frames);
        item
    }

    fn part_event(&self, name: &str, frames: &mut Frames<'_>) {
        let members = [b",\"summary_index\":0,\"part\":", &self.part()[..]];
        self.identity.event(name, &members, frames);
    }

    fn part(&self) -> Vec<u8> {
        [
            b"{\"type\":\"summary_text\",\"text\":\"",
            self.channel.text(),
            b"\"}",
        ]
        .concat()
    }

    fn render(&self) -> Vec<u8> {
        let part = if self.part_open {
            self.part()
        } else {
            Vec::new()
        };
        // Left away rather than null: Open Responses takes no null here.
        let sealed = match &self.sealed {
            Some(sealed) => [b",\"encrypted_content\":\"", &sealed[..], b"\""].concat(),
            None => Vec::new(),
        };
        [
            b"{\"type\":\"reasoning\",\"id\":\"",
            self.identity.id.as_bytes(),
            b"\",\"summary\":[",
            &part,
            b"]",
            &sealed,
            b"}",
        ]
        .concat()
    }
}

/// Whose call it is, escaped for JSON.
#[derive(Debug)]
pub(super) struct Target {
    call_id: Vec<u8>,
    name: Vec<u8>,
    namespace: Option<Vec<u8>>,
    /// The name as people write it, for messages.
    pub(super) plain_name: String,
}

impl Target {
    pub(super) fn new(call_id: &str, tool: &Raised<'_>) -> Self {
        Self {
            call_id: escaped(call_id),
            name: escaped(tool.name),
            namespace: tool.namespace.map(escaped),
            plain_name: tool.name.to_owned(),
        }
    }

    /// `call_id`, `name` and `namespace`, beginning with a comma.
    fn members(&self) -> Vec<u8> {
        let mut members = Vec::with_capacity(96);
        put(&mut members, &[b",\"call_id\":\"", &self.call_id]);
        put(&mut members, &[b"\",\"name\":\"", &self.name, b"\""]);
        if let Some(namespace) = &self.namespace {
            put(&mut members, &[b",\"namespace\":\"", namespace, b"\""]);
        }
        members
    }
}

/// The two kinds of calls whose input streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Function,
    Freeform,
}

/// A call on its way.
#[derive(Debug)]
pub(super) struct CallItem {
    identity: Identity,
    kind: Kind,
    target: Target,
    channel: Channel,
}

impl CallItem {
    /// The prefix of the ids of calls of this form.
    pub(super) const fn prefix(form: Form) -> &'static str {
        match form {
            Form::Function | Form::Search => "fc",
            Form::Freeform => "ctc",
        }
    }

    pub(super) fn open(
        identity: Identity,
        form: Form,
        target: Target,
        frames: &mut Frames<'_>,
    ) -> Self {
        let (kind, event) = match form {
            Form::Function | Form::Search => {
                (Kind::Function, "response.function_call_arguments.delta")
            }
            Form::Freeform => (Kind::Freeform, "response.custom_tool_call_input.delta"),
        };
        let item = Self {
            channel: Channel::new(event, &[&identity.place()], b"\""),
            identity,
            kind,
            target,
        };
        let started = item.render(b"in_progress");
        item.identity.added(&started, frames);
        item
    }

    pub(super) fn push(&mut self, piece: &Text<'_>, frames: &mut Frames<'_>) {
        self.channel.push(piece, frames);
    }

    /// Ends a whole call and gives the item.
    pub(super) fn close(mut self, frames: &mut Frames<'_>) -> Vec<u8> {
        if self.kind == Kind::Function && self.channel.text().is_empty() {
            // No arguments at all is how some providers spell an empty object; clients parse what they are given.
            self.channel.push(&Text::from("{}"), frames);
        }
        let text = self.channel.text();
        match self.kind {
            Kind::Function => self.identity.event(
                "response.function_call_arguments.done",
                &[
                    b",\"name\":\"",
                    &self.target.name,
                    b"\",\"arguments\":\"",
                    text,
                    b"\"",
                ],
                frames,
            ),
            Kind::Freeform => self.identity.event(
                "response.custom_tool_call_input.done",
                &[b",\"input\":\"", text, b"\""],
                frames,
            ),
        }
        let item = self.render(Status::Completed.name());
        self.identity.done(&item, frames);
        item
    }

    /// Ends a call that was cut off and gives the item. There is no `done` event for its input, since some clients carry out a
    /// call as soon as they see one.
    pub(super) fn cut(self, frames: &mut Frames<'_>) -> Vec<u8> {
        let item = self.render(Status::Incomplete.name());
        self.identity.done(&item, frames);
        item
    }

    /// The name of the tool, as people write it.
    pub(super) fn name(&self) -> &str {
        &self.target.plain_name
    }

    fn render(&self, status: &[u8]) -> Vec<u8> {
        let (tag, key): (&[u8], &[u8]) = match self.kind {
            Kind::Function => (b"function_call", b"arguments"),
            Kind::Freeform => (b"custom_tool_call", b"input"),
        };
        [
            b"{\"type\":\"",
            tag,
            b"\",\"id\":\"",
            self.identity.id.as_bytes(),
            b"\"",
            &self.target.members(),
            b",\"",
            key,
            b"\":\"",
            self.channel.text(),
            b"\",\"status\":\"",
            status,
            b"\"}",
        ]
        .concat()
    }
}

/// A search for tools on its way. Its arguments are an object rather than text, so nothing can be sent before they are whole.
#[derive(Debug)]
pub(super) struct SearchItem {
    pub(super) target: Target,
    /// The arguments so far, as escaped JSON text.
    pub(super) arguments: Vec<u8>,
}

impl SearchItem {
    /// The arguments as one line of JSON, when they are an object.
    pub(super) fn object(&self) -> Option<String> {
        let escaped = String::from_utf8_lossy(&self.arguments);
        let arguments = Text::escaped(escaped).to_plain().into_owned();
        let object: &RawValue = serde_json::from_str(&arguments).ok()?;
        if !object.get().starts_with('{') {
            return None;
        }
        // Line breaks stand between tokens only, and would end the event.
        let line = object.get().replace(['\n', '\r'], " ");
        Some(Json::new(line).mended().as_str().to_owned())
    }

    /// Writes the whole call and gives the item.
    pub(super) fn write(
        &self,
        identity: &Identity,
        object: &str,
        frames: &mut Frames<'_>,
    ) -> Vec<u8> {
        let started = self.render(identity, b"{}", b"in_progress");
        identity.added(&started, frames);
        let item = self.render(identity, object.as_bytes(), Status::Completed.name());
        identity.done(&item, frames);
        item
    }

    fn render(&self, identity: &Identity, object: &[u8], status: &[u8]) -> Vec<u8> {
        [
            b"{\"type\":\"tool_search_call\",\"id\":\"",
            identity.id.as_bytes(),
            b"\",\"call_id\":\"",
            &self.target.call_id,
            b"\",\"execution\":\"client\",\"arguments\":",
            object,
            b",\"status\":\"",
            status,
            b"\"}",
        ]
        .concat()
    }
}
