//! A request of a Chat Completions client.

use crate::request::{can_be_decoded, check};
use polywire_dialect_chat::parse;

/// Parses a body, and renders what is accepted for every kind of provider.
pub fn chat_request(input: &[u8]) {
    if let Ok(parsed) = parse(input) {
        check(&parsed.request, can_be_decoded(input));
    }
}
