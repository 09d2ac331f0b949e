//! The top level of a request body.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::messages::WireMessage;
use crate::limits::UNKNOWN_FIELDS_MAX;
use polywire_wire::{Key, Many, Value, WireObject, quoted, set, wire_object};

wire_object! {
    /// The members of a request that are read one by one.
    WireSettings {
        model: "model",
        stream: "stream",
        stream_options: "stream_options",
        tools: "tools",
        tool_choice: "tool_choice",
        parallel_tool_calls: "parallel_tool_calls",
        functions: "functions",
        function_call: "function_call",
        max_tokens: "max_tokens",
        max_completion_tokens: "max_completion_tokens",
        stop: "stop",
        temperature: "temperature",
        top_p: "top_p",
        top_k: "top_k",
        frequency_penalty: "frequency_penalty",
        presence_penalty: "presence_penalty",
        seed: "seed",
        logprobs: "logprobs",
        top_logprobs: "top_logprobs",
        n: "n",
        reasoning_effort: "reasoning_effort",
        reasoning: "reasoning",
        include_reasoning: "include_reasoning",
        thinking: "thinking",
        enable_thinking: "enable_thinking",
        thinking_budget: "thinking_budget",
        response_format: "response_format",
        verbosity: "verbosity",
        service_tier: "service_tier",
        prompt_cache_key: "prompt_cache_key",
        user: "user",
        safety_identifier: "safety_identifier",
        metadata: "metadata",
        store: "store",
        modalities: "modalities",
        audio: "audio",
        web_search_options: "web_search_options",
    }
}

/// A request. The messages, which make up most of it, are taken apart in the pass that finds them.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) messages: Option<Vec<WireMessage<'a>>>,
    pub(super) settings: WireSettings<'a>,
    /// Fields that only some provider knows, in order.
    pub(super) unknown: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Body<'a> {
    fn keep_unknown<E: Error>(
        &mut self,
        key: Cow<'a, str>,
        value: Option<&'a RawValue>,
    ) -> Result<(), E> {
        let Some(value) = value else {
            return Ok(());
        };
        if self.unknown.iter().any(|(known, _)| *known == key) {
            return Err(E::custom(format_args!(
                "duplicate field `{}`",
                quoted(&key)
            )));
        }
        if self.unknown.len() == UNKNOWN_FIELDS_MAX {
            return Err(E::custom(format_args!(
                "has more than {UNKNOWN_FIELDS_MAX} fields that are not known"
            )));
        }
        self.unknown.push((key, value));
        Ok(())
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
            if key == "messages" {
                let messages: Option<Many<WireMessage<'de>>> = map.next_value()?;
                set(&mut body.messages, &key, messages.map(|Many(list)| list))?;
                continue;
            }
            let Value(value) = map.next_value()?;
            match body.settings.member(&key) {
                Some(place) => set(place, &key, value)?,
                None => body.keep_unknown(key, value)?,
            }
        }
        Ok(body)
    }
}
