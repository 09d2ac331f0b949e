//! The call that is open: its chunks, one after the other.

use std::borrow::Cow;

use polywire_conversation::{Form, Raised, Text, ids};
use polywire_sse::FrameBuffer;
use polywire_wire::Object;

use super::WriterOptions;
use super::chunks::Chunks;
use super::message::{Call, Kind, escaped, string};

/// A call on its way.
#[derive(Debug)]
pub(super) struct OpenCall {
    call: Call,
    index: usize,
}

impl OpenCall {
    /// The call number `index` of the answer.
    pub(super) fn new(id: &str, tool: &Raised<'_>, index: usize, options: &WriterOptions) -> Self {
        let kind = match tool.form {
            _ if options.legacy_functions => Kind::Legacy,
            Form::Function | Form::Search => Kind::Function,
            Form::Freeform => Kind::Custom,
        };
        // No tool of this protocol lives in a namespace. One that does all the same keeps a name that tells it from others.
        let name: Cow<'_, str> = match tool.namespace {
            Some(namespace) => format!("{namespace}__{}", tool.name).into(),
            None => tool.name.into(),
        };
        // Clients pair results with calls by the id, so that none must go without.
        let id: Cow<'_, str> = if id.is_empty() {
            ids::made_from(&format!("{} {index}", options.completion_id)).into()
        } else {
            id.into()
        };
        Self {
            call: Call {
                id: escaped(&Text::plain(id)),
                name: escaped(&Text::plain(name)),
                kind,
                input: Vec::new(),
            },
            index,
        }
    }

    /// Whether nobody hears of it: a second call in the form that has room for one.
    pub(super) fn is_silent(&self) -> bool {
        self.call.kind == Kind::Legacy && self.index > 0
    }

    /// Whether it still lacks arguments that can be parsed. No arguments at all is how some providers spell an empty object.
    pub(super) fn lacks_object(&self) -> bool {
        self.call.kind != Kind::Custom && self.call.input.is_empty()
    }

    /// Writes its first chunk.
    pub(super) fn announce(&self, chunks: &Chunks, out: &mut FrameBuffer) {
        let Call { id, name, kind, .. } = &self.call;
        let called = |called: &mut Object<'_>| {
            string(called, "name", name);
            called.string(kind.input_key(), "");
        };
        let identity = |entry: &mut Object<'_>| {
            string(entry, "id", id);
            entry.string("type", kind.tag());
        };
        self.chunk(chunks, out, identity, called);
    }

    /// Takes a piece of its input, and writes the chunk for it.
    pub(super) fn push(&mut self, piece: &Text<'_>, chunks: &Chunks, out: &mut FrameBuffer) {
        piece.write_escaped(&mut self.call.input);
        let key = self.call.kind.input_key();
        self.chunk(chunks, out, |_| {}, |called| called.text(key, piece));
    }

    /// The whole call, unless nobody is to hear of it.
    pub(super) fn end(self) -> Option<Call> {
        (!self.is_silent()).then_some(self.call)
    }

    fn chunk(
        &self,
        chunks: &Chunks,
        out: &mut FrameBuffer,
        identity: impl FnOnce(&mut Object<'_>),
        called: impl FnOnce(&mut Object<'_>),
    ) {
        if self.is_silent() {
            return;
        }
        let write_called = |out: &mut Vec<u8>| {
            let mut object = Object::open(out);
            called(&mut object);
            object.close();
        };
        let kind = self.call.kind;
        chunks.delta(out, |delta| match kind {
            Kind::Legacy => write_called(delta.member("function_call")),
            Kind::Function | Kind::Custom => {
                let list = delta.member("tool_calls");
                list.push(b'[');
                let mut entry = Object::open(list);
                entry.raw("index", &self.index.to_string());
                identity(&mut entry);
                write_called(entry.member(kind.tag()));
                entry.close();
                list.push(b']');
            }
        });
    }
}
