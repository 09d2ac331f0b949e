//! The wire structs of a streamed answer, tolerant of everything that providers do to them.
//!
//! A field of an unexpected type counts as absent, an unknown field is skipped, and of a key that comes twice the last one
//! counts: one odd field must not cost the text that came beside it. Strings stay as they were written ([`Raw`]), so that text
//! goes from the provider's JSON into the client's without being decoded. All of it is one pass over the bytes.

use std::marker::PhantomData;

use polywire_conversation::Text;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value as it was written; `null` counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Raw<'a>(Option<&'a str>);

impl<'a> Raw<'a> {
    /// The JSON text.
    pub(super) fn get(self) -> Option<&'a str> {
        self.0
    }

    /// A string that is not empty, escaped as it was.
    pub(super) fn text(self) -> Option<Text<'a>> {
        let body = self.0?.strip_prefix('"')?.strip_suffix('"')?;
        (!body.is_empty()).then(|| Text::escaped(body))
    }

    /// A string that is not empty, decoded.
    pub(super) fn string(self) -> Option<String> {
        self.text().map(|text| text.to_plain().into_owned())
    }

    pub(super) fn integer(self) -> Option<i64> {
        self.0?.parse().ok()
    }

    pub(super) fn count(self) -> Option<u64> {
        self.0?.parse().ok()
    }

    /// Whether there is an object or array with anything in it.
    pub(super) fn has_members(self) -> bool {
        self.0
            .is_some_and(|json| json.starts_with(['{', '[']) && json.len() > 2)
    }

    /// Reads the value as `T`; what does not fit is empty.
    pub(super) fn parse<T: Deserialize<'a> + Default>(self) -> T {
        self.0
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'de RawValue>::deserialize(deserializer)?.get();
        Ok(Raw((json != "null").then_some(json)))
    }
}

/// The elements of an array; anything else is no elements.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

/// Visits the one shape that is wanted and takes everything else for its default.
macro_rules! tolerate_other_shapes {
    ($($shape:ident),*) => {
        $(tolerate_other_shapes!(@$shape);)*
    };
    (@map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (@sequence) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (@scalar) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = elements.next_element()? {
                    list.push(element);
                }
                Ok(List(list))
            }

            tolerate_other_shapes!(map, scalar);
        }
        deserializer.deserialize_any(Elements(PhantomData))
    }
}

/// Declares a struct that is read from a JSON object, field names as on the wire.
macro_rules! object {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub(super) struct $name<'a> {
            $($(#[$doc])* pub(super) $field: $type,)*
        }

        impl<'de> Deserialize<'de> for $name<'de> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types, reason = "named after the fields they stand for")]
                enum Key { $($field,)* Other }

                impl<'de> Deserialize<'de> for Key {
                    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        struct Name;
                        impl Visitor<'_> for Name {
                            type Value = Key;

                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("a key")
                            }

                            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                                Ok(match name {
                                    $($key => Key::$field,)*
                                    _ => Key::Other,
                                })
                            }
                        }
                        deserializer.deserialize_identifier(Name)
                    }
                }

                struct Members;
                impl<'de> Visitor<'de> for Members {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name<'de>, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key()? {
                            match key {
                                $(Key::$field => object.$field = map.next_value()?,)*
                                Key::Other => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(object)
                    }

                    tolerate_other_shapes!(sequence, scalar);
                }
                deserializer.deserialize_any(Members)
            }
        }
    };
}

object! {
    /// One chunk of a stream, or a whole completion.
    Chunk {
        "id" => id: Raw<'a>,
        "model" => model: Raw<'a>,
        "choices" => choices: List<Choice<'a>>,
        "usage" => usage: Raw<'a>,
        /// Groq puts the usage here.
        "x_groq" => x_groq: Raw<'a>,
        "error" => error: Raw<'a>,
        /// `FastAPI` servers report failures so.
        "detail" => detail: Raw<'a>,
        /// `MiniMax` reports failures so.
        "base_resp" => base_resp: Raw<'a>,
        /// Errors without an `error` member have these beside each other.
        "object" => object: Raw<'a>,
        "type" => kind: Raw<'a>,
        "code" => code: Raw<'a>,
        "message" => message: Raw<'a>,
        /// Sources of an answer with search (Perplexity).
        "citations" => citations: Raw<'a>,
    }
}

object! {
    /// One of the alternatives of an answer.
    Choice {
        "index" => index: Raw<'a>,
        "delta" => delta: Option<Delta<'a>>,
        /// The whole message: in a completion that is not streamed, and in some streams at the end.
        "message" => message: Option<Delta<'a>>,
        "finish_reason" => finish_reason: Raw<'a>,
        /// Moonshot puts the usage here.
        "usage" => usage: Raw<'a>,
    }
}

object! {
    /// What a chunk adds to the message.
    Delta {
        /// A string, or an array of parts (Mistral).
        "content" => content: Raw<'a>,
        "reasoning_content" => reasoning_content: Raw<'a>,
        "reasoning" => reasoning: Raw<'a>,
        "reasoning_text" => reasoning_text: Raw<'a>,
        "thinking" => thinking: Raw<'a>,
        "reasoning_details" => reasoning_details: Raw<'a>,
        "reasoning_opaque" => reasoning_opaque: Raw<'a>,
        "refusal" => refusal: Raw<'a>,
        "tool_calls" => tool_calls: List<ToolCall<'a>>,
        /// The form before there were tool calls; older gateways still send it.
        "function_call" => function_call: Option<CalledFunction<'a>>,
        "annotations" => annotations: Raw<'a>,
        /// Holds Gemini's signature over the text.
        "extra_content" => extra_content: Raw<'a>,
        "images" => images: Raw<'a>,
        "audio" => audio: Raw<'a>,
    }
}

object! {
    /// A piece of a tool call.
    ToolCall {
        "index" => index: Raw<'a>,
        "id" => id: Raw<'a>,
        "function" => function: CalledFunction<'a>,
        /// Holds Gemini's signature over the call.
        "extra_content" => extra_content: Raw<'a>,
    }
}

object! {
    /// A piece of what is called, and with what.
    CalledFunction {
        "name" => name: Raw<'a>,
        /// A string, or the object itself.
        "arguments" => arguments: Raw<'a>,
    }
}

object! {
    /// A part of a content array, or an object in the place of reasoning text.
    ContentPart {
        "type" => kind: Raw<'a>,
        "text" => text: Raw<'a>,
        "content" => content: Raw<'a>,
        "refusal" => refusal: Raw<'a>,
        /// An array of text parts.
        "thinking" => thinking: Raw<'a>,
        "signature" => signature: Raw<'a>,
    }
}

object! {
    /// An entry of `reasoning_details`.
    ReasoningDetail {
        "text" => text: Raw<'a>,
        "summary" => summary: Raw<'a>,
        "data" => data: Raw<'a>,
        "signature" => signature: Raw<'a>,
    }
}

object! {
    /// `extra_content`.
    ExtraContent {
        "google" => google: GoogleExtra<'a>,
    }
}

object! {
    /// What Gemini adds.
    GoogleExtra {
        "thought_signature" => thought_signature: Raw<'a>,
    }
}

object! {
    /// `x_groq`.
    GroqExtra {
        "usage" => usage: Raw<'a>,
    }
}

object! {
    /// `base_resp`.
    BaseResp {
        "status_code" => status_code: Raw<'a>,
    }
}

object! {
    /// Token counts, under every name that they go by.
    WireUsage {
        "prompt_tokens" => prompt: Raw<'a>,
        "completion_tokens" => completion: Raw<'a>,
        "total_tokens" => total: Raw<'a>,
        "prompt_tokens_details" => prompt_details: UsageDetails<'a>,
        "completion_tokens_details" => completion_details: UsageDetails<'a>,
        "prompt_cache_hit_tokens" => cache_hit: Raw<'a>,
        "cached_tokens" => cached: Raw<'a>,
        "cache_read_input_tokens" => cache_read: Raw<'a>,
        "cache_creation_input_tokens" => cache_creation: Raw<'a>,
        "reasoning_tokens" => reasoning: Raw<'a>,
    }
}

object! {
    /// Parts of a token count.
    UsageDetails {
        "cached_tokens" => cached: Raw<'a>,
        "cache_write_tokens" => cache_write: Raw<'a>,
        "reasoning_tokens" => reasoning: Raw<'a>,
    }
}

object! {
    /// The arguments of `multi_tool_use.parallel`, a call that wraps others.
    WrappedCalls {
        "tool_uses" => tool_uses: List<WrappedCall<'a>>,
    }
}

object! {
    /// One of them.
    WrappedCall {
        "recipient_name" => name: Raw<'a>,
        "parameters" => parameters: Raw<'a>,
    }
}

impl Delta<'_> {
    /// Whether none of the fields says anything.
    pub(super) fn is_empty(&self) -> bool {
        let silent = |raw: &Raw<'_>| raw.text().is_none() && !raw.has_members();
        self.tool_calls.0.is_empty()
            && self.function_call.is_none()
            && [
                self.content,
                self.reasoning_content,
                self.reasoning,
                self.reasoning_text,
                self.thinking,
                self.reasoning_details,
                self.reasoning_opaque,
                self.refusal,
                self.extra_content,
            ]
            .iter()
            .all(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_types_cost_nothing_but_themselves() {
        let chunk: Chunk<'_> = serde_json::from_str(
            r#"{"id":7,"choices":[{"index":"x","delta":{"content":"a\n","tool_calls":{},"function_call":"no"},"finish_reason":null}],"usage":"none","new":{"x":[1]}}"#,
        )
        .unwrap();
        let choice = &chunk.choices.0[0];
        let delta = choice.delta.as_ref().unwrap();
        assert_eq!(delta.content.text(), Some(Text::plain("a\n")));
        assert!(delta.tool_calls.0.is_empty());
        assert_eq!(
            (choice.index.integer(), choice.finish_reason.get()),
            (None, None)
        );
        assert!(chunk.id.text().is_none());
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_counts() {
        let delta: Delta<'_> = serde_json::from_str(r#"{"content":"a","content":"b"}"#).unwrap();
        assert_eq!(delta.content.text(), Some(Text::plain("b")));
    }

    #[test]
    fn lists_and_objects_of_other_shapes_are_empty() {
        for json in [
            "null",
            "1",
            "-1",
            "1.5",
            "true",
            "\"x\"",
            "{}",
            r#"{"a":1}"#,
        ] {
            assert!(
                serde_json::from_str::<List<Raw<'_>>>(json)
                    .unwrap()
                    .0
                    .is_empty(),
                "{json}"
            );
        }
        for json in ["null", "1", "true", "\"x\"", "[]", r#"[{"content":"a"}]"#] {
            assert!(
                serde_json::from_str::<Delta<'_>>(json).unwrap().is_empty(),
                "{json}"
            );
        }
    }
}
