//! A client's request through the Responses parser and the chat renderer.

use polywire_conversation::ModelFacts;
use polywire_dialect_chat::{Profile, render};
use polywire_dialect_responses::{Client, parse};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Parses a body for each kind of client. Expects that what is accepted renders to JSON, and to the same JSON each time,
/// because a changed request would cost the provider's prompt cache.
pub fn responses_request(input: &[u8]) {
    let can_be_decoded = can_be_decoded(input);
    for client in [Client::Codex, Client::Sdk] {
        let Ok(parsed) = parse(input, client) else {
            continue;
        };
        for accepts_images in [true, false] {
            let render = || {
                let model = ModelFacts {
                    images: accepts_images,
                    ..ModelFacts::named("model")
                };
                render(&parsed.request, &model, &Profile::default())
            };
            let Ok(rendered) = render() else {
                continue;
            };
            check_json(&rendered.body, can_be_decoded);
            assert_eq!(render().map(|again| again.body).ok(), Some(rendered.body));
        }
    }
}

/// Whether a decoder takes the request. It is nested a little deeper here, because a provider's request nests what it carries
/// deeper, and decoders have a limit.
fn can_be_decoded(input: &[u8]) -> bool {
    let nested = [b"[".repeat(20), input.to_vec(), b"]".repeat(20)].concat();
    serde_json::from_slice::<Value>(&nested).is_ok()
}

/// Text and schemas go on as they were written. So an escaped half of a surrogate pair, which the grammar of JSON allows and
/// decoders refuse, comes out only where one went in.
fn check_json(body: &[u8], can_be_decoded: bool) {
    let shown = || String::from_utf8_lossy(body);
    match serde_json::from_slice(body) {
        Ok(Value::Object(_)) => {}
        Err(error) if can_be_decoded => panic!("{error}: {}", shown()),
        Err(_) => match serde_json::from_slice(body) {
            Ok(IgnoredAny) => {}
            Err(error) => panic!("{error}: {}", shown()),
        },
        Ok(_) => panic!("not an object: {}", shown()),
    }
}
