//! Token counts as clients want them.

use polywire_conversation::Usage;
use polywire_wire::Object;

/// The usage with every detail that a client looks for, as integers: those that the provider left out are zero, and so are those of
/// sound and of predictions, which there are none of. Nothing without both totals: an invented zero would be counted.
pub(super) fn render(usage: Option<&Usage>) -> Option<Vec<u8>> {
    let usage = usage?;
    let (input, output) = (usage.input?, usage.output?);
    let mut bytes = Vec::with_capacity(320);
    let mut object = Object::open(&mut bytes);
    count(&mut object, "prompt_tokens", input);
    count(&mut object, "completion_tokens", output);
    count(&mut object, "total_tokens", usage.total());
    let mut details = Object::open(object.member("prompt_tokens_details"));
    count(&mut details, "cached_tokens", usage.cached.unwrap_or(0));
    count(
        &mut details,
        "cache_write_tokens",
        usage.cache_write.unwrap_or(0),
    );
    count(&mut details, "audio_tokens", 0);
    details.close();
    let mut details = Object::open(object.member("completion_tokens_details"));
    count(
        &mut details,
        "reasoning_tokens",
        usage.reasoning.unwrap_or(0),
    );
    for key in [
        "audio_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    ] {
        count(&mut details, key, 0);
    }
    details.close();
    object.close();
    Some(bytes)
}

fn count(object: &mut Object<'_>, key: &str, number: u64) {
    object.raw(key, &number.to_string());
}
