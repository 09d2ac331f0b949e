//! Streams of Chat Completions.

use crate::reader::{Framing, check};
use polywire_dialect_chat::{ChatReader, Leak};

const LEAKS: [Leak; 9] = [
    Leak::ThinkTags,
    Leak::ThoughtTags,
    Leak::KimiThink,
    Leak::OrphanClose,
    Leak::Harmony,
    Leak::ToolCallJson,
    Leak::ToolCallXml,
    Leak::ToolCallSection,
    Leak::Invoke,
];

/// Reads a stream of a Chat Completions provider; of one that leaks all kinds of markup if the header says so.
pub fn chat_reader(input: &[u8]) {
    check(input, Framing::Events, |ledger, circumstances| {
        let reader = ChatReader::new(ledger, "seed");
        if circumstances.odd_habit {
            reader.with_leaks(&LEAKS)
        } else {
            reader
        }
    });
}
