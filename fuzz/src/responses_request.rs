//! A request of a Responses client.

use crate::request::{can_be_decoded, check, check_json};
use polywire_dialect_responses::{Client, NativeEdits, Profile, edit, is_plain, parse};

/// Parses a body for each kind of client, and renders what is accepted for every kind of provider. What can go to a provider of
/// the same protocol as it is must still be JSON when it has been edited.
pub fn responses_request(input: &[u8]) {
    let can_be_decoded = can_be_decoded(input);
    for client in [Client::Codex, Client::Sdk] {
        let Ok(parsed) = parse(input, client) else {
            continue;
        };
        check(&parsed.request, can_be_decoded);
        let profile = Profile::default();
        if is_plain(&parsed.request, &profile) {
            let edits = NativeEdits {
                model: "model",
                profile: &profile,
                open: &|_| None,
            };
            let native = edit(&String::from_utf8_lossy(input), &edits);
            check_json(native.unwrap().body.as_bytes(), can_be_decoded);
        }
    }
}
