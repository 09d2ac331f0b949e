//! The response object, which the first events and the last one carry.

use polywire_conversation::{Text, Usage};

use super::WriterOptions;
use super::frames::{Decimal, escaped, put};
use crate::failure::write_optional;

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    Incomplete { reason: &'static str },
    Failed { code: &'static str, message: String },
}

impl Ending {
    /// The name of the last event.
    pub(crate) const fn event(&self) -> &'static str {
        match self {
            Ending::Completed => "response.completed",
            Ending::Incomplete { .. } => "response.incomplete",
            Ending::Failed { .. } => "response.failed",
        }
    }
}

/// What the response object says from beginning to end.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The object up to what changes.
    head: Vec<u8>,
    /// What follows behind what changes.
    tail: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(options: &WriterOptions) -> Self {
        let mut head = Vec::with_capacity(160);
        put(&mut head, &[b"{\"id\":\"", &escaped(&options.response_id)]);
        put(
            &mut head,
            &[
                b"\",\"object\":\"response\",\"model\":\"",
                &escaped(&options.model),
            ],
        );
        let created_at = Decimal::new(options.created_at);
        put(&mut head, &[b"\",\"created_at\":", created_at.digits()]);
        let previous = options.previous_response_id.as_deref();
        let tail = options.echo.members(previous, options.store);
        Self { head, tail }
    }

    /// The object while the answer is on its way: no output yet, whatever was sent.
    pub(crate) fn in_progress(&self) -> Vec<u8> {
        self.render(b"in_progress", None, None, b"", None)
    }

    /// The object at the end. `output` holds the items, separated by commas.
    pub(crate) fn ended(
        &self,
        ending: &Ending,
        now: u64,
        output: &[u8],
        usage: Option<&Usage>,
    ) -> Vec<u8> {
        match ending {
            Ending::Completed => self.render(b"completed", None, Some(now), output, usage),
            Ending::Incomplete { .. } => {
                self.render(b"incomplete", Some(ending), None, output, usage)
            }
            Ending::Failed { .. } => self.render(b"failed", Some(ending), None, output, usage),
        }
    }

    fn render(
        &self,
        status: &[u8],
        ending: Option<&Ending>,
        completed_at: Option<u64>,
        output: &[u8],
        usage: Option<&Usage>,
    ) -> Vec<u8> {
        let tail = &self.tail;
        let mut object = Vec::with_capacity(self.head.len() + tail.len() + output.len() + 512);
        put(&mut object, &[&self.head, b",\"completed_at\":"]);
        match completed_at {
            Some(seconds) => put(&mut object, &[Decimal::new(seconds).digits()]),
            None => put(&mut object, &[b"null"]),
        }
        put(&mut object, &[b",\"status\":\"", status, b"\""]);
        write_error(ending, &mut object);
        put(&mut object, &[b",\"output\":[", output, b"],\"usage\":"]);
        write_usage(usage, &mut object);
        put(&mut object, &[b",", tail, b"}"]);
        object
    }
}

fn write_error(ending: Option<&Ending>, out: &mut Vec<u8>) {
    let (reason, failed) = match ending {
        Some(Ending::Incomplete { reason }) => (Some(*reason), None),
        Some(Ending::Failed { code, message }) => (None, Some((*code, message.as_str()))),
        Some(Ending::Completed) | None => (None, None),
    };
    put(out, &[b",\"error\":"]);
    match failed {
        Some((code, message)) => {
            put(out, &[b"{\"code\":"]);
            write_optional(Some(code), out);
            put(out, &[b",\"message\":"]);
            Text::from(message).write_string(out);
            put(out, &[b"}"]);
        }
        None => put(out, &[b"null"]),
    }
    put(out, &[b",\"incomplete_details\":"]);
    match reason {
        Some(reason) => put(out, &[b"{\"reason\":\"", reason.as_bytes(), b"\"}"]),
        None => put(out, &[b"null"]),
    }
}

/// Usage with every member that any client requires. Without both totals there is none at all: Codex compacts its conversation
/// by these numbers, so an invented zero would do harm. Details that the provider left out are zero, as the newest SDKs require
/// them.
pub(crate) fn write_usage(usage: Option<&Usage>, out: &mut Vec<u8>) {
    let Some((usage, input, output)) =
        usage.and_then(|usage| Some((usage, usage.input?, usage.output?)))
    else {
        put(out, &[b"null"]);
        return;
    };
    write_counts(usage, input, output, out);
}

/// Usage as an object.
pub(super) fn write_counts(usage: &Usage, input: u64, output: u64, out: &mut Vec<u8>) {
    for (key, number) in [
        ("{\"input_tokens\":", input),
        (
            ",\"input_tokens_details\":{\"cached_tokens\":",
            usage.cached.unwrap_or(0),
        ),
        (",\"cache_write_tokens\":", usage.cache_write.unwrap_or(0)),
        ("},\"output_tokens\":", output),
        (
            ",\"output_tokens_details\":{\"reasoning_tokens\":",
            usage.reasoning.unwrap_or(0),
        ),
        ("},\"total_tokens\":", usage.total()),
    ] {
        put(out, &[key.as_bytes(), Decimal::new(number).digits()]);
    }
    out.push(b'}');
}
