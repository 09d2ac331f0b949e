//! The top level of a request body.

use std::borrow::Cow;
use std::fmt;

use polywire_conversation::{Json, Loss, Text};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::items::WireItem;
use crate::limits::UNKNOWN_FIELDS_MAX;
use polywire_wire::{Key, Value, WireObject, read_elements, set, wire_object};

wire_object! {
    /// The members of a request that are read one by one.
    WireSettings {
        model: "model",
        stream: "stream",
        instructions: "instructions",
        tool_choice: "tool_choice",
        parallel_tool_calls: "parallel_tool_calls",
        max_output_tokens: "max_output_tokens",
        max_tool_calls: "max_tool_calls",
        temperature: "temperature",
        top_p: "top_p",
        top_logprobs: "top_logprobs",
        presence_penalty: "presence_penalty",
        frequency_penalty: "frequency_penalty",
        reasoning: "reasoning",
        text: "text",
        prompt_cache_key: "prompt_cache_key",
        service_tier: "service_tier",
        safety_identifier: "safety_identifier",
        user: "user",
        metadata: "metadata",
        include: "include",
        store: "store",
        truncation: "truncation",
        previous_response_id: "previous_response_id",
        conversation: "conversation",
        background: "background",
        prompt: "prompt",
        context_management: "context_management",
        moderation: "moderation",
    }
}

/// Fields without effect here. They describe the client, or choose parts of an answer that are sent in any case.
const WITHOUT_EFFECT: [&str; 4] = [
    "client_metadata",
    "stream_options",
    // Of the WebSocket form of a request.
    "type",
    "generate",
];

/// A request. Input and tools, which make up nearly all of it, are taken apart in the pass that finds them.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) input: Option<Input<'a>>,
    pub(super) tools: Option<Vec<&'a RawValue>>,
    pub(super) settings: WireSettings<'a>,
    /// The first few fields that only a provider of this protocol may know.
    unknown: Vec<(Cow<'a, str>, Json<'a>)>,
    /// How many more there are.
    unknown_more: usize,
}

impl<'a> Body<'a> {
    /// The fields that are not read here, as they were written.
    pub(super) fn take_unknown(&mut self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        std::mem::take(&mut self.unknown)
    }

    /// A note on the fields that are too many to be kept.
    pub(super) fn too_many(&self) -> Option<Loss> {
        (self.unknown_more > 0).then(|| {
            Loss::note(
                format!("{} more fields", self.unknown_more),
                "left out: fields of these names are not known",
            )
        })
    }

    fn keep_unknown(&mut self, key: Cow<'a, str>, value: Option<&'a RawValue>) {
        let Some(value) = value.filter(|_| !WITHOUT_EFFECT.contains(&&*key)) else {
            return;
        };
        if self.unknown.len() < UNKNOWN_FIELDS_MAX {
            self.unknown.push((key, Json::new(value.get())));
        } else {
            self.unknown_more += 1;
        }
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
        while let Some(Key(key)) = map.next_key()? {
            if key == "input" {
                set(&mut body.input, &key, map.next_value()?)?;
            } else if key == "tools" {
                set(&mut body.tools, &key, map.next_value()?)?;
            } else {
                let Value(value) = map.next_value()?;
                match body.settings.member(&key) {
                    Some(place) => set(place, &key, value)?,
                    None => body.keep_unknown(key, value),
                }
            }
        }
        Ok(body)
    }
}

/// The two forms of `input`.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// What the user says, and nothing else.
    Text(Text<'a>),
    /// A conversation.
    Items(Vec<WireItem<'a>>),
}

impl<'de> Deserialize<'de> for Input<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor)
    }
}

struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = Input<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of items")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Input<'de>, E> {
        Ok(Input::Text(Text::plain(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Input<'de>, E> {
        Ok(Input::Text(Text::plain(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Input<'de>, A::Error> {
        read_elements(elements).map(Input::Items)
    }
}
