//! Streams of Command Code's private API.

use crate::reader::{Framing, check};
use polywire_dialect_command_code::CommandCodeReader;

/// Reads a stream of Command Code, one JSON value per line.
pub fn command_code_reader(input: &[u8]) {
    check(input, Framing::Lines, |ledger, _| {
        CommandCodeReader::new(ledger, "seed")
    });
}
