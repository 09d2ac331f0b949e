//! The wire structs of a streamed answer, tolerant of everything that providers do to them.
//!
//! A field of an unexpected type counts as absent, an unknown field is skipped, and of a key that comes twice the last one
//! counts: one odd field must not cost the text that came beside it. Strings stay as they were written ([`Raw`]), so that text
//! goes from the provider's JSON into the client's without being decoded. All of it is one pass over the bytes, and everything
//! is read in place ([`Fill`]), because moving these structs from level to level would cost as much as reading them.

use polywire_conversation::Text;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// Reads a chunk, or a whole completion.
pub(super) fn read_chunk(json: &str) -> Result<Chunk<'_>, serde_json::Error> {
    let mut chunk = Chunk::default();
    fill(&mut chunk, json)?;
    Ok(chunk)
}

/// What can be read from JSON in place.
pub(super) trait Fill<'de> {
    /// Takes over what the JSON value says.
    fn fill<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error>;
}

fn fill<'de>(place: &mut impl Fill<'de>, json: &'de str) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    place.fill(&mut deserializer)?;
    deserializer.end()
}

/// The place that a value goes to.
struct Place<'p, T>(&'p mut T);

impl<'de, T: Fill<'de>> DeserializeSeed<'de> for Place<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.fill(deserializer)
    }
}

/// A JSON value as it was written; `null` counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Raw<'a>(Option<&'a str>);

impl<'a> Raw<'a> {
    /// Text that may be JSON.
    pub(super) fn of(text: &'a str) -> Self {
        Raw(Some(text))
    }

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
    pub(super) fn parse<T: Fill<'a> + Default>(self) -> T {
        let mut value = T::default();
        match self.0.map(|json| fill(&mut value, json)) {
            Some(Ok(())) => value,
            Some(Err(_)) | None => T::default(),
        }
    }
}

impl<'de> Fill<'de> for Raw<'de> {
    fn fill<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let json = <&'de RawValue>::deserialize(deserializer)?.get();
        *self = Raw((json != "null").then_some(json));
        Ok(())
    }
}

/// The elements of an array; anything else is no elements. Nearly every array in a chunk has one element, so that one needs no
/// allocation.
#[derive(Debug)]
pub(super) struct List<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> List<T> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List {
            first: None,
            rest: Vec::new(),
        }
    }
}

/// Takes every shape but the wanted one for nothing.
macro_rules! tolerate_other_shapes {
    ($($shape:ident),*) => {
        $(tolerate_other_shapes!(@$shape);)*
    };
    (@map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(())
        }
    };
    (@sequence) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok(())
        }
    };
    (@scalar) => {
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
    };
}

impl<'de, T: Fill<'de> + Default> Fill<'de> for List<T> {
    fn fill<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        struct Elements<'l, T>(&'l mut List<T>);
        impl<'de, T: Fill<'de> + Default> Visitor<'de> for Elements<'_, T> {
            type Value = ();

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
                let first = self.0.first.insert(T::default());
                if elements.next_element_seed(Place(first))?.is_none() {
                    self.0.first = None;
                    return Ok(());
                }
                loop {
                    let mut element = T::default();
                    if elements.next_element_seed(Place(&mut element))?.is_none() {
                        return Ok(());
                    }
                    self.0.rest.push(element);
                }
            }

            tolerate_other_shapes!(map, scalar);
        }
        *self = List::default();
        deserializer.deserialize_any(Elements(self))
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

        impl<'de> Fill<'de> for $name<'de> {
            fn fill<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
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

                struct Members<'o, 'a>(&'o mut $name<'a>);
                impl<'de> Visitor<'de> for Members<'_, 'de> {
                    type Value = ();

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                        while let Some(key) = map.next_key()? {
                            match key {
                                $(Key::$field => map.next_value_seed(Place(&mut self.0.$field))?,)*
                                Key::Other => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(())
                    }

                    tolerate_other_shapes!(sequence, scalar);
                }
                deserializer.deserialize_any(Members(self))
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
        "delta" => delta: Delta<'a>,
        /// The whole message: in a completion that is not streamed, and in some streams at the end.
        "message" => message: Raw<'a>,
        "finish_reason" => finish_reason: Raw<'a>,
        "logprobs" => logprobs: Raw<'a>,
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
        "function_call" => function_call: CalledFunction<'a>,
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
        /// A freeform tool that was offered as one, in the place of a function.
        "custom" => custom: Raw<'a>,
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
    /// A piece of a call of a freeform tool.
    CalledCustom {
        "name" => name: Raw<'a>,
        "input" => input: Raw<'a>,
    }
}

object! {
    /// Probabilities of tokens, by what they are tokens of.
    Logprobs {
        "content" => content: Raw<'a>,
    }
}

object! {
    /// A source of the text.
    Source {
        /// The source itself, when what is around it only says its kind.
        "url_citation" => url_citation: Raw<'a>,
        "url" => url: Raw<'a>,
        "title" => title: Raw<'a>,
        "content" => content: Raw<'a>,
        "start_index" => start_index: Raw<'a>,
        "end_index" => end_index: Raw<'a>,
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

impl CalledFunction<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.name.get().is_none() && self.arguments.get().is_none()
    }
}

impl Delta<'_> {
    /// Whether none of the fields says anything.
    pub(super) fn is_empty(&self) -> bool {
        let silent = |raw: &Raw<'_>| raw.text().is_none() && !raw.has_members();
        self.tool_calls.is_empty()
            && self.function_call.is_empty()
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

    fn read<'a, T: Fill<'a> + Default>(json: &'a str) -> T {
        let mut value = T::default();
        fill(&mut value, json).unwrap();
        value
    }

    #[test]
    fn odd_types_cost_nothing_but_themselves() {
        let chunk = read_chunk(
            r#"{"id":7,"choices":[{"index":"x","delta":{"content":"a\n","tool_calls":{},"function_call":"no"},"finish_reason":null}],"usage":"none","new":{"x":[1]}}"#,
        )
        .unwrap();
        let choice = chunk.choices.first().unwrap();
        assert_eq!(choice.delta.content.text(), Some(Text::plain("a\n")));
        assert!(choice.delta.tool_calls.is_empty() && choice.delta.function_call.is_empty());
        assert_eq!(
            (choice.index.integer(), choice.finish_reason.get()),
            (None, None)
        );
        assert!(chunk.id.text().is_none());
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_counts() {
        let delta: Delta<'_> =
            read(r#"{"content":"a","content":"b","tool_calls":[{}],"tool_calls":[]}"#);
        assert_eq!(delta.content.text(), Some(Text::plain("b")));
        assert!(delta.tool_calls.is_empty());
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
            "[]",
        ] {
            assert!(read::<List<Raw<'_>>>(json).is_empty(), "{json}");
        }
        for json in ["null", "1", "true", "\"x\"", "[]", r#"[{"content":"a"}]"#] {
            assert!(read::<Delta<'_>>(json).is_empty(), "{json}");
        }
        assert_eq!(read::<List<Raw<'_>>>("[1,null,3]").iter().count(), 3);
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for json in ["", "{", "{}{}", "{} x", "{\"choices\":[}"] {
            assert!(read_chunk(json).is_err(), "{json}");
        }
    }
}
