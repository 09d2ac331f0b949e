//! Streams of Responses.

use crate::reader::{Framing, check};
use polywire_dialect_responses::ResponsesReader;

/// Reads a stream of a Responses provider; of one that wants readable reasoning back if the header says so.
pub fn responses_reader(input: &[u8]) {
    check(input, Framing::Events, |ledger, circumstances| {
        ResponsesReader::new(ledger, "seed").with_content_as_state(circumstances.odd_habit)
    });
}
