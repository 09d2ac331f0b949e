//! The chunks of a stream: what each of them has in common, put together once.

use polywire_conversation::{Fault, Text};
use polywire_sse::FrameBuffer;
use polywire_wire::{Object, write_string};

use super::WriterOptions;
use crate::failure::write_error_body;

/// How chunks begin and end.
#[derive(Debug)]
pub(super) struct Chunks {
    /// A chunk up to the value of `choices`.
    head: Vec<u8>,
    /// Whether every chunk but the last says that there is no usage yet.
    usage_follows: bool,
}

impl Chunks {
    pub(super) fn new(options: &WriterOptions) -> Self {
        let mut head = Vec::with_capacity(192);
        write_identity(options, "chat.completion.chunk", &mut head);
        head.extend_from_slice(b",\"choices\":[");
        Self {
            head,
            usage_follows: options.include_usage,
        }
    }

    /// Writes a chunk whose `delta` has what `members` writes.
    pub(super) fn delta(&self, out: &mut FrameBuffer, members: impl FnOnce(&mut Object<'_>)) {
        self.choice(out, None, members, |_| {});
    }

    /// Writes a chunk with a piece of text under `key`.
    pub(super) fn text(&self, key: &str, piece: &Text<'_>, out: &mut FrameBuffer) {
        self.delta(out, |delta| delta.text(key, piece));
    }

    /// Writes a chunk that says nothing but the probabilities of what was said before, an array.
    pub(super) fn logprobs(&self, array: &str, out: &mut FrameBuffer) {
        self.choice(
            out,
            None,
            |_| {},
            |choice| {
                let mut logprobs = Object::open(choice.member("logprobs"));
                logprobs.raw("content", array);
                logprobs.raw("refusal", "null");
                logprobs.close();
            },
        );
    }

    /// Writes the chunk that says how the answer ended.
    pub(super) fn finish(&self, reason: &str, out: &mut FrameBuffer) {
        self.choice(out, Some(reason), |_| {}, |_| {});
    }

    /// Writes the chunk with the usage, which has no choice in it.
    pub(super) fn usage(&self, usage: &[u8], out: &mut FrameBuffer) {
        let bytes = out.open_unnamed();
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(b"],\"usage\":");
        bytes.extend_from_slice(usage);
        bytes.push(b'}');
        out.close();
    }

    fn choice(
        &self,
        out: &mut FrameBuffer,
        finish_reason: Option<&str>,
        members: impl FnOnce(&mut Object<'_>),
        beside: impl FnOnce(&mut Object<'_>),
    ) {
        let bytes = out.open_unnamed();
        bytes.extend_from_slice(&self.head);
        let mut choice = Object::open(bytes);
        choice.raw("index", "0");
        let mut delta = Object::open(choice.member("delta"));
        members(&mut delta);
        delta.close();
        beside(&mut choice);
        match finish_reason {
            Some(reason) => choice.string("finish_reason", reason),
            None => choice.raw("finish_reason", "null"),
        }
        choice.close();
        bytes.push(b']');
        if self.usage_follows {
            bytes.extend_from_slice(b",\"usage\":null");
        }
        bytes.push(b'}');
        out.close();
    }
}

/// Opens an object with what chunks and whole answers have in common; it is left open.
pub(super) fn write_identity(options: &WriterOptions, object: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_string(&options.completion_id, out);
    out.extend_from_slice(b",\"object\":");
    write_string(object, out);
    out.extend_from_slice(b",\"created\":");
    out.extend_from_slice(options.created.to_string().as_bytes());
    out.extend_from_slice(b",\"model\":");
    write_string(&options.model, out);
}

/// Writes the frame that ends a stream as it should.
pub(super) fn write_done(out: &mut FrameBuffer) {
    out.open_unnamed().extend_from_slice(b"[DONE]");
    out.close();
}

/// Writes the frame that ends a stream that failed. Nothing follows it, so that no client takes the answer for a whole one.
pub(super) fn write_failure(fault: &Fault, out: &mut FrameBuffer) {
    write_error_body(fault, out.open_unnamed());
    out.close();
}
