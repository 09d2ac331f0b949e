//! Streams of Messages.

use crate::reader::{Framing, check};
use polywire_dialect_messages::MessagesReader;

/// Reads a stream of a Messages provider.
pub fn messages_reader(input: &[u8]) {
    check(input, Framing::Events, |ledger, _| {
        MessagesReader::new(ledger, "seed")
    });
}
