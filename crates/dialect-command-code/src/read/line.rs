//! One line of the stream: its members, unread, in every spelling that was seen.

use std::borrow::Cow;

use polywire_conversation::Text;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A value as it is written; nothing for null.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Raw<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl<'a> Raw<'a> {
    /// The JSON text.
    pub(super) fn get(self) -> Option<&'a str> {
        self.0.map(RawValue::get)
    }

    /// A string, left as it is written.
    pub(super) fn text(self) -> Option<Text<'a>> {
        let body = self.get()?.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text::escaped(body))
    }

    /// A string that somebody looks at; empty for anything else.
    pub(super) fn word(self) -> Cow<'a, str> {
        match self.text() {
            Some(Text::Escaped(Cow::Borrowed(body))) if !body.contains('\\') => Cow::Borrowed(body),
            Some(text) => Cow::Owned(text.to_plain().into_owned()),
            None => Cow::Borrowed(""),
        }
    }

    /// A whole number that is not negative. Some implementations write every number with a fraction.
    pub(super) fn count(self) -> Option<u64> {
        let digits = self.get()?;
        digits.strip_suffix(".0").unwrap_or(digits).parse().ok()
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self.get()? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// What it says when read as `T`; `T`'s emptiness when it cannot be.
    pub(super) fn parse<T: Deserialize<'a> + Default>(self) -> T {
        self.get()
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    }

    pub(super) fn or(self, other: Self) -> Self {
        if self.0.is_some() { self } else { other }
    }
}

/// A line. Unknown members are skipped without a look: `start-step` may hold the whole request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Line<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    pub(super) delta: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) tool_call_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) tool_name: Raw<'a>,
    #[serde(borrow)]
    pub(super) name: Raw<'a>,
    #[serde(borrow)]
    pub(super) input: Raw<'a>,
    #[serde(borrow)]
    pub(super) args: Raw<'a>,
    #[serde(borrow)]
    pub(super) arguments: Raw<'a>,
    #[serde(borrow)]
    pub(super) provider_executed: Raw<'a>,
    #[serde(borrow)]
    pub(super) output: Raw<'a>,
    #[serde(borrow)]
    pub(super) result: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_error: Raw<'a>,
    #[serde(borrow)]
    pub(super) finish_reason: Raw<'a>,
    #[serde(borrow)]
    pub(super) raw_finish_reason: Raw<'a>,
    #[serde(borrow)]
    pub(super) usage: Raw<'a>,
    #[serde(borrow)]
    pub(super) total_usage: Raw<'a>,
    #[serde(borrow)]
    pub(super) error: Raw<'a>,
}

/// An error as an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ErrorObject<'a> {
    #[serde(borrow)]
    pub(super) message: Raw<'a>,
    #[serde(borrow)]
    pub(super) status_code: Raw<'a>,
    #[serde(borrow)]
    pub(super) status: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_retryable: Raw<'a>,
}

/// What of a line of the stream is JSON: without the framing that some servers put around it. `None` for lines that hold no event.
pub(super) fn unframed(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix("data:").map_or(line, str::trim_start);
    let is_framing = line.is_empty()
        || line == "[DONE]"
        || line.starts_with(':')
        || ["event:", "id:", "retry:"]
            .iter()
            .any(|field| line.starts_with(field));
    (!is_framing).then_some(line)
}
