//! The top level of a request body.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use polywire_conversation::Json;
use polywire_wire::{Key, Many, Value, WireObject, quoted, set, wire_object};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::messages::WireMessage;
use super::notes::Notes;
use crate::limits::UNKNOWN_FIELDS_NAMED_MAX;

wire_object! {
    /// The members of a request that are read one by one.
    WireSettings {
        model: "model",
        max_tokens: "max_tokens",
        system: "system",
        stream: "stream",
        tool_choice: "tool_choice",
        thinking: "thinking",
        output_config: "output_config",
        output_format: "output_format",
        stop_sequences: "stop_sequences",
        temperature: "temperature",
        top_p: "top_p",
        top_k: "top_k",
        metadata: "metadata",
        service_tier: "service_tier",
        thread: "thread",
    }
}

/// A request. Messages and tools, which make up nearly all of it, are taken apart in the pass that finds them.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) messages: Option<Many<WireMessage<'a>>>,
    pub(super) tools: Option<Vec<&'a RawValue>>,
    pub(super) settings: WireSettings<'a>,
    /// Fields that only a provider of this protocol can take, and fields that nobody knows.
    extra: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Body<'a> {
    /// The fields that only a provider of this protocol can take, as they were written; notes those whose absence changes
    /// something.
    pub(super) fn take_extra(&mut self, notes: &mut Notes) -> Vec<(Cow<'a, str>, Json<'a>)> {
        let extra = std::mem::take(&mut self.extra);
        let mut unnamed = 0usize;
        let mut named = 0usize;
        for (key, raw) in &extra {
            match effect(key) {
                Effect::None => {}
                Effect::Known(why) if raw.get() != "[]" => notes.note(key.clone().into_owned(), why),
                Effect::Known(_) => {}
                Effect::Tools if raw.get() != "[]" => notes.degraded(
                    key.clone().into_owned(),
                    "only a provider of the same protocol gets it; elsewhere the model is not offered these tools",
                ),
                Effect::Tools => {}
                Effect::Unknown if named < UNKNOWN_FIELDS_NAMED_MAX => {
                    named += 1;
                    notes.note(
                        quoted(key).into_owned(),
                        "a field of this name is not known; only a provider of the same protocol gets it",
                    );
                }
                Effect::Unknown => unnamed += 1,
            }
        }
        if unnamed > 0 {
            notes.note(
                format!("{unnamed} more fields"),
                "fields of these names are not known; only a provider of the same protocol gets them",
            );
        }
        extra
            .into_iter()
            .map(|(key, raw)| (key, Json::new(raw.get())))
            .collect()
    }
}

/// What is missing from a turn when a field does not reach the provider.
enum Effect {
    /// Nothing: it steers the cost, or says what headers say as well.
    None,
    /// Something that is named.
    Known(&'static str),
    /// Tools.
    Tools,
    /// Nobody knows.
    Unknown,
}

fn effect(key: &str) -> Effect {
    match key {
        "cache_control" | "betas" | "anthropic_beta" | "anthropic_version" | "diagnostics"
        | "user_profile_id" => Effect::None,
        "context_management" => Effect::Known(
            "only a provider of the same protocol gets it; elsewhere the conversation is sent as it is",
        ),
        "container" => Effect::Known("only the provider that made the container can use it"),
        "speed" => Effect::Known("only a provider of the same protocol gets it"),
        "inference_geo" => Effect::Known(
            "only a provider of the same protocol gets it; elsewhere the place of work is not chosen",
        ),
        "fallbacks" | "fallback_model" => Effect::Known(
            "only a provider of the same protocol gets it; elsewhere no other model takes over",
        ),
        "mcp_servers" => Effect::Tools,
        _ => Effect::Unknown,
    }
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body<'de>, A::Error> {
        let mut body = Body::default();
        // Extra fields are passed on as they are, and so they too may stand there only once.
        let mut extra_keys: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(Key(key)) = map.next_key()? {
            if key == "messages" {
                set(&mut body.messages, &key, map.next_value()?)?;
            } else if key == "tools" {
                set(&mut body.tools, &key, map.next_value()?)?;
            } else {
                let Value(value) = map.next_value()?;
                if let Some(place) = body.settings.member(&key) {
                    set(place, &key, value)?;
                } else if let Some(value) = value {
                    if !extra_keys.insert(key.clone()) {
                        return Err(A::Error::custom(format_args!(
                            "duplicate field `{}`",
                            quoted(&key)
                        )));
                    }
                    body.extra.push((key, value));
                }
            }
        }
        Ok(body)
    }
}
