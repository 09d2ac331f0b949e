//! The top level of a request body.

use std::borrow::Cow;
use std::fmt;

use polywire_conversation::{Loss, Text};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::field::{Object, quoted};
use super::items::WireItem;
use crate::limits::UNKNOWN_FIELDS_NAMED_MAX;

/// The members of a request, unread but for the input, which makes up nearly all of a body and is read in the same pass.
///
/// A member that is given twice is refused: of two readers in a row one takes the first and one the last, and what was checked
/// would not be what is run. Inside values that pass as they are written (schemas, metadata) nothing is looked at.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) input: Option<Input<'a>>,
    pub(super) model: Option<&'a RawValue>,
    pub(super) stream: Option<&'a RawValue>,
    pub(super) instructions: Option<&'a RawValue>,
    pub(super) tools: Option<&'a RawValue>,
    pub(super) tool_choice: Option<&'a RawValue>,
    pub(super) parallel_tool_calls: Option<&'a RawValue>,
    pub(super) max_output_tokens: Option<&'a RawValue>,
    pub(super) max_tool_calls: Option<&'a RawValue>,
    pub(super) temperature: Option<&'a RawValue>,
    pub(super) top_p: Option<&'a RawValue>,
    pub(super) top_logprobs: Option<&'a RawValue>,
    pub(super) presence_penalty: Option<&'a RawValue>,
    pub(super) frequency_penalty: Option<&'a RawValue>,
    pub(super) reasoning: Option<&'a RawValue>,
    pub(super) text: Option<&'a RawValue>,
    pub(super) prompt_cache_key: Option<&'a RawValue>,
    pub(super) service_tier: Option<&'a RawValue>,
    pub(super) safety_identifier: Option<&'a RawValue>,
    pub(super) user: Option<&'a RawValue>,
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) store: Option<&'a RawValue>,
    pub(super) truncation: Option<&'a RawValue>,
    pub(super) previous_response_id: Option<&'a RawValue>,
    pub(super) conversation: Option<&'a RawValue>,
    pub(super) background: Option<&'a RawValue>,
    pub(super) prompt: Option<&'a RawValue>,
    pub(super) context_management: Option<&'a RawValue>,
    pub(super) moderation: Option<&'a RawValue>,
    /// Fields that nobody knows.
    unknown: Unknown,
}

/// Names of unknown fields: the first few, and how many there are in all.
#[derive(Debug, Default)]
struct Unknown {
    named: Vec<String>,
    count: usize,
}

/// Fields without effect here. They describe the client, steer the storage or cache of one provider, or choose parts of an
/// answer that are sent in any case.
const WITHOUT_EFFECT: [&str; 7] = [
    "client_metadata",
    "include",
    "prompt_cache_options",
    "prompt_cache_retention",
    "stream_options",
    // Of the WebSocket form of a request.
    "type",
    "generate",
];

impl<'a> Body<'a> {
    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match key {
            "model" => &mut self.model,
            "stream" => &mut self.stream,
            "instructions" => &mut self.instructions,
            "tools" => &mut self.tools,
            "tool_choice" => &mut self.tool_choice,
            "parallel_tool_calls" => &mut self.parallel_tool_calls,
            "max_output_tokens" => &mut self.max_output_tokens,
            "max_tool_calls" => &mut self.max_tool_calls,
            "temperature" => &mut self.temperature,
            "top_p" => &mut self.top_p,
            "top_logprobs" => &mut self.top_logprobs,
            "presence_penalty" => &mut self.presence_penalty,
            "frequency_penalty" => &mut self.frequency_penalty,
            "reasoning" => &mut self.reasoning,
            "text" => &mut self.text,
            "prompt_cache_key" => &mut self.prompt_cache_key,
            "service_tier" => &mut self.service_tier,
            "safety_identifier" => &mut self.safety_identifier,
            "user" => &mut self.user,
            "metadata" => &mut self.metadata,
            "store" => &mut self.store,
            "truncation" => &mut self.truncation,
            "previous_response_id" => &mut self.previous_response_id,
            "conversation" => &mut self.conversation,
            "background" => &mut self.background,
            "prompt" => &mut self.prompt,
            "context_management" => &mut self.context_management,
            "moderation" => &mut self.moderation,
            _ => return None,
        })
    }

    /// One note per unknown field, and one for the rest.
    pub(super) fn unknown_fields(&self) -> impl Iterator<Item = Loss> + '_ {
        let Unknown { named, count } = &self.unknown;
        let rest = count - named.len();
        named
            .iter()
            .map(|name| Loss::note(name.clone(), "left out: a field of this name is not known"))
            .chain((rest > 0).then(|| {
                Loss::note(
                    format!("{rest} more fields"),
                    "left out: fields of these names are not known",
                )
            }))
    }
}

impl Unknown {
    fn note(&mut self, key: &str) {
        self.count += 1;
        if self.named.len() < UNKNOWN_FIELDS_NAMED_MAX {
            self.named.push(quoted(key).into_owned());
        }
    }
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BodyVisitor)
    }
}

struct BodyVisitor;

/// The name of a member, borrowed where it holds no escape. Written by hand because the reader that names the place of a
/// mistake cannot look into a derived one.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body<'de>, A::Error> {
        let mut body = Body::default();
        // What is not kept can be given twice for all we care, null included: a null says no more than no field at all.
        while let Some(Key(key)) = map.next_key()? {
            if key == "input" {
                set(&mut body.input, "input", map.next_value()?)?;
            } else if let Some(slot) = body.slot(&key) {
                set(slot, &key, map.next_value()?)?;
            } else {
                map.next_value::<IgnoredAny>()?;
                if !WITHOUT_EFFECT.contains(&&*key) {
                    body.unknown.note(&key);
                }
            }
        }
        Ok(body)
    }
}

fn set<T, E: Error>(slot: &mut Option<T>, key: &str, value: Option<T>) -> Result<(), E> {
    if slot.is_some() {
        return Err(E::custom(format_args!("duplicate field `{key}`")));
    }
    *slot = value;
    Ok(())
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Input<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(Object(item)) = elements.next_element()? {
            items.push(item);
        }
        Ok(Input::Items(items))
    }
}
