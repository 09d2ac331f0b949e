//! A request on its way to every kind of provider.

use polywire_conversation::{Fault, ModelFacts, Rendered, Request};
use polywire_dialect_chat as chat;
use polywire_dialect_command_code as command_code;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Expects that what a client's parser has accepted renders for every kind of provider to JSON, and to the same JSON each time,
/// because a changed request would cost the provider's prompt cache.
pub(crate) fn check(request: &Request<'_>, can_be_decoded: bool) {
    for images in [true, false] {
        let model = ModelFacts {
            images,
            ..ModelFacts::named("model")
        };
        let context = command_code::Context {
            date: "2026-11-25",
            session_id: "5b2c7e1e-8f4a-4a55-9d3f-2f1f0f6d8a11",
        };
        let renderers: [&dyn Fn() -> Result<Rendered, Fault>; 4] = [
            &|| chat::render(request, &model, &chat::Profile::default()),
            &|| messages::render(request, &model, &messages::Profile::default()),
            &|| responses::render(request, &model, &responses::Profile::default()),
            &|| command_code::render(request, &model, &command_code::Profile::default(), &context),
        ];
        for render in renderers {
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
pub(crate) fn can_be_decoded(input: &[u8]) -> bool {
    let nested = [b"[".repeat(20), input.to_vec(), b"]".repeat(20)].concat();
    serde_json::from_slice::<Value>(&nested).is_ok()
}

/// Text and schemas go on as they were written. So an escaped half of a surrogate pair, which the grammar of JSON allows and
/// decoders refuse, comes out only where one went in.
pub(crate) fn check_json(body: &[u8], can_be_decoded: bool) {
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
