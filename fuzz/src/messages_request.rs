//! A request of a Messages client.

use crate::request::{can_be_decoded, check, check_json};
use polywire_dialect_messages::native::{NativeEdits, edit};
use polywire_dialect_messages::{Profile, parse, parse_count};

/// Parses a body as a request for an answer and as one for a count, and renders what is accepted for every kind of provider. For a
/// provider of the same protocol it must still be JSON when it has been edited.
pub fn messages_request(input: &[u8]) {
    let can_be_decoded = can_be_decoded(input);
    let _ = parse_count(input);
    let Ok(parsed) = parse(input) else {
        return;
    };
    check(&parsed.request, can_be_decoded);
    let edits = NativeEdits {
        model: "model",
        profile: &Profile::default(),
        open: &|_| None,
    };
    let native = edit(&String::from_utf8_lossy(input), edits);
    check_json(&native.unwrap().body, can_be_decoded);
}
