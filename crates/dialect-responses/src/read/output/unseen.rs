//! Items that only the response at the end has.

use polywire_conversation::{EventSink, Text};
use serde_json::value::RawValue;

use super::Output;
use super::texts::texts_of;
use crate::read::wire::{WireOutput, object, string, word};

impl Output {
    /// Reads the items that only the response at the end has.
    pub(in crate::read) fn read_unseen(&mut self, output: &[&RawValue], sink: &mut dyn EventSink) {
        for (index, raw) in (0..).zip(output) {
            let Some(wire) = object::<WireOutput<'_>>(Some(raw)) else {
                continue;
            };
            if self.is_known(index, &wire) {
                continue;
            }
            // A place that is taken by something else, because the response leaves out items: the next free one.
            let taken = self.find(index).is_some_and(|at| self.items[at].done);
            let index = if taken { self.free_index() } else { index };
            self.item_done(index, &wire, raw.get(), sink);
        }
    }

    pub(super) fn free_index(&self) -> u64 {
        let last = self.items.iter().map(|item| item.index).max();
        last.map_or(0, |last| last + 1)
    }

    /// Whether an item of the response at the end was read before: the same id, call or text, or the same kind at the same
    /// place.
    pub(super) fn is_known(&self, index: u64, wire: &WireOutput<'_>) -> bool {
        let tag = string(wire.tag).unwrap_or_default();
        let (id, call_id) = (word(wire.id), word(wire.call_id));
        let said = texts_of(wire.content);
        self.items.iter().filter(|item| item.done).any(|item| {
            // Calls go by their own ids; places, item ids and texts tell the other items apart.
            if call_id.is_some() {
                return item
                    .call
                    .as_ref()
                    .is_some_and(|call| call_id.as_ref() == Some(&call.id));
            }
            let same_place = item.index == index && item.tag == tag;
            let same_text = || {
                let first = said.first().map(Text::to_plain);
                let mut channels = item.channels.iter();
                item.tag == tag
                    && first.is_some_and(|first| channels.any(|channel| first == channel.plain()))
            };
            same_place || id.as_ref() == Some(&item.id) || same_text()
        })
    }
}
