//! A conversation that is replaced by a summary of it.

use std::fmt;

use polywire_conversation::{Fault, FaultClass, Retry, StopReason, Text, Usage};
use polywire_wire::Object;

use super::frames::{Decimal, Frames};
use super::items::Identity;
use super::response::write_counts;

/// Seals a summary into what clients get to hold.
pub type Seal = Box<dyn Fn(&str) -> String + Send>;

/// The summary on its way: collected, and shown to nobody.
pub(super) struct Compaction {
    seal: Seal,
    summary: String,
}

impl fmt::Debug for Compaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compaction")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl Compaction {
    pub(super) fn new(seal: Seal) -> Self {
        Self {
            seal,
            summary: String::new(),
        }
    }

    pub(super) fn push(&mut self, piece: &Text<'_>) {
        self.summary.push_str(&piece.to_plain());
    }

    /// Tells why the summary cannot stand in the place of the conversation, if it cannot: half of one would lose the other half
    /// for good.
    pub(super) fn failure(&self, reason: StopReason) -> Option<Fault> {
        let problem = match reason {
            StopReason::Length => "was cut off by the output limit",
            StopReason::ContentFilter => "was stopped by the content filter",
            StopReason::Pause => "was not finished",
            StopReason::Calls => "was not written: the model called a tool instead",
            StopReason::Stop if self.summary.trim().is_empty() => {
                return Some(Fault::new(
                    FaultClass::Server,
                    "the summary of the conversation is empty",
                ));
            }
            StopReason::Stop => return None,
        };
        let message = format!("the summary of the conversation {problem}");
        Some(Fault::new(FaultClass::Protocol, message).with_retry(Retry::Never))
    }

    /// Writes the item that stands in the place of the conversation, and gives it.
    pub(super) fn write(&self, identity: &Identity, frames: &mut Frames<'_>) -> Vec<u8> {
        let item = render_item(&identity.id, &(self.seal)(self.summary.trim()));
        identity.added(&item, frames);
        identity.done(&item, frames);
        item
    }
}

fn render_item(id: &str, sealed: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(sealed.len() + 96);
    let mut item = Object::open(&mut out);
    item.string("type", "compaction");
    item.string("id", id);
    item.string("encrypted_content", sealed);
    item.close();
    out
}

/// What the answer to `POST /responses/compact` is made from.
#[derive(Clone, Copy, Debug)]
pub struct Compacted<'a> {
    /// The id of the answer, `resp_…`. The id of its item is made from it.
    pub response_id: &'a str,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// The summary, sealed.
    pub sealed: &'a str,
    /// What it cost to make. The protocol wants numbers, so what the provider did not tell is 0.
    pub usage: Usage,
}

/// Renders the `response.compaction` object, whose output can be sent as the next input.
pub fn render_compacted(compacted: &Compacted<'_>) -> Vec<u8> {
    let Compacted {
        response_id,
        created_at,
        sealed,
        usage,
    } = compacted;
    let identity = Identity::new("cmp", response_id, 0);
    let mut out = Vec::with_capacity(sealed.len() + 320);
    let mut object = Object::open(&mut out);
    object.string("id", response_id);
    object.string("object", "response.compaction");
    let seconds = Decimal::new(*created_at);
    object
        .member("created_at")
        .extend_from_slice(seconds.digits());
    let item = render_item(&identity.id, sealed);
    let output = object.member("output");
    output.push(b'[');
    output.extend_from_slice(&item);
    output.push(b']');
    let (input, given) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
    write_counts(usage, input, given, object.member("usage"));
    object.close();
    out
}
