//! Fields that neither side of the translation knows: those of the profile, and those of a client that speaks this protocol.

use polywire_conversation::{Dialect, Loss, Request};
use polywire_wire::Object;

use super::Losses;
use crate::profile::{Profile, ReasoningForm};

/// Fields of the body that the renderer decides about; a key that comes twice would be read one way here and another way there.
const OWN_FIELDS: [&str; 15] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "logprobs",
    "top_logprobs",
    "response_format",
];

/// The same, for a provider whose thinking is steered by the request.
const OWN_REASONING_FIELDS: [&str; 6] = [
    "reasoning",
    "reasoning_effort",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "chat_template_kwargs",
];

/// The same, for a provider that is sent them.
fn own_by_profile(profile: &Profile) -> [(&'static str, bool); 8] {
    [
        ("top_k", profile.top_k),
        ("frequency_penalty", profile.penalties),
        ("presence_penalty", profile.penalties),
        ("seed", profile.seed),
        ("service_tier", profile.service_tier),
        ("verbosity", profile.verbosity),
        ("user", profile.user),
        ("metadata", profile.metadata),
    ]
}

/// Whether the renderer decides about a field of the body for this provider.
fn is_own(key: &str, profile: &Profile) -> bool {
    let steers_thinking = profile.reasoning_request != ReasoningForm::None;
    OWN_FIELDS.contains(&key)
        || (steers_thinking && OWN_REASONING_FIELDS.contains(&key))
        || profile.cache_key_field.as_deref() == Some(key)
        || own_by_profile(profile).contains(&(key, true))
}

/// Whether the renderer decides about a field of the body for any provider. A client's own field of that name would go around
/// what the profile says.
fn is_own_anywhere(key: &str, profile: &Profile) -> bool {
    let by_profile = own_by_profile(profile);
    is_own(key, profile)
        || key == "prompt_cache_key"
        || OWN_REASONING_FIELDS.contains(&key)
        || by_profile.iter().any(|(field, _)| *field == key)
}

/// Writes the further fields: the profile's first, which win.
pub(super) fn write(
    request: &Request<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    for (key, value) in &profile.extra_body {
        if is_own(key, profile) {
            losses.add(Loss::note(
                format!("extra_body.{key}"),
                "left out: the field is decided from the request",
            ));
        } else {
            body.raw(key, &value.to_string());
        }
    }
    let mut written: Vec<&str> = Vec::new();
    for (key, value) in &request.extra {
        let key = &**key;
        let why = if request.dialect != Dialect::Chat {
            losses.add(Loss::degraded(
                key.to_owned(),
                "left out: the provider speaks another protocol and has no such field",
            ));
            continue;
        } else if is_own_anywhere(key, profile) {
            "left out: the gateway decides about the field"
        } else if profile.extra_body.contains_key(key) {
            "left out: the provider's profile sets the field"
        } else if written.contains(&key) {
            "left out: it came before"
        } else {
            body.json(key, value);
            written.push(key);
            continue;
        };
        losses.add(Loss::note(key.to_owned(), why));
    }
}
