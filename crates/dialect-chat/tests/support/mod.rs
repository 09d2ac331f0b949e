//! The reader under test.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod request;

use std::path::{Path, PathBuf};

use polywire_conversation::StreamEnd;
use polywire_dialect_chat::ChatReader;
use polywire_stream_suite::Bench;

#[allow(unused_imports, reason = "each test binary uses its own part of this")]
pub(crate) use polywire_stream_suite::{Collector, Seen, ledger, lines};

pub(crate) const BENCH: Bench = Bench {
    reader: || Box::new(ChatReader::new(ledger(), "seed")),
};

/// The same for a provider of which everything is known.
pub(crate) const KNOWING: Bench = Bench {
    reader: || {
        let profile = request::profile(serde_json::json!({
            "reasoning_back": "details",
            "leaks": ["think_tags", "thought_tags", "kimi_think", "orphan_close", "harmony", "tool_call_json", "tool_call_xml",
                "tool_call_section", "invoke"],
        }));
        Box::new(ChatReader::new(ledger(), "seed").with_profile(&profile))
    },
};

pub(crate) fn read(chunks: &[&[u8]]) -> Vec<Seen> {
    BENCH.read(chunks)
}

pub(crate) fn read_until(chunks: &[&[u8]], end: StreamEnd) -> Vec<Seen> {
    BENCH.read_until(chunks, end)
}

pub(crate) fn read_whole(body: &[u8]) -> Vec<Seen> {
    BENCH.read_whole(body)
}

/// The fixtures that belong to this repository.
pub(crate) fn own_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chat")
}
