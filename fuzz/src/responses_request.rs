//! A client's request through the Responses parser and the chat renderer.

use polywire_dialect_chat::{Profile, render};
use polywire_dialect_responses::{Client, parse};
use serde_json::Value;

/// Parses a body for each kind of client. Expects that what is accepted renders to JSON, and to the same JSON each time,
/// because a changed request would cost the provider's prompt cache.
pub fn responses_request(input: &[u8]) {
    for client in [Client::Codex, Client::Sdk] {
        let Ok(parsed) = parse(input, client) else {
            continue;
        };
        for accepts_images in [true, false] {
            let render = || {
                render(
                    &parsed.request,
                    "model",
                    &Profile::default(),
                    accepts_images,
                )
            };
            let Ok(rendered) = render() else {
                continue;
            };
            let read: Result<Value, _> = serde_json::from_slice(&rendered.body);
            assert!(
                read.is_ok_and(|body| body.is_object()),
                "not a JSON object: {}",
                String::from_utf8_lossy(&rendered.body)
            );
            assert_eq!(render().map(|again| again.body).ok(), Some(rendered.body));
        }
    }
}
