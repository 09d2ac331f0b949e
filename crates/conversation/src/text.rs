//! Text and JSON that travel through a turn, mostly untouched.

use std::borrow::Cow;

use crate::json;

/// A piece of text, in the form in which it arrived.
///
/// Most text of a turn goes from one JSON body into another. Decoding it and encoding it again would cost more than all other
/// work on the request and could change it (surrogates without a partner, which JSON can spell and a `str` cannot hold). So the
/// body of a JSON string is kept as it is, and decoded only where somebody must look inside.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Ordinary text.
    Plain(Cow<'a, str>),
    /// The body of a JSON string: what stands between the quotes, escapes and all.
    Escaped(Cow<'a, str>),
}

impl<'a> Text<'a> {
    /// No text.
    pub const EMPTY: Text<'static> = Text::Plain(Cow::Borrowed(""));

    /// Ordinary text.
    pub fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Text::Plain(text.into())
    }

    /// The body of a JSON string. The caller vouches that it is one.
    pub fn escaped(body: impl Into<Cow<'a, str>>) -> Self {
        Text::Escaped(body.into())
    }

    /// Whether there is no text at all. White space is text.
    pub fn is_empty(&self) -> bool {
        self.as_written().is_empty()
    }

    /// The characters as they are stored, escaped or not. For sizes and for looking for plain ASCII words.
    pub fn as_written(&self) -> &str {
        match self {
            Text::Plain(text) | Text::Escaped(text) => text,
        }
    }

    /// The text itself. Surrogates without a partner become U+FFFD.
    pub fn to_plain(&self) -> Cow<'_, str> {
        match self {
            Text::Plain(text) => Cow::Borrowed(text),
            Text::Escaped(body) if memchr::memchr(b'\\', body.as_bytes()).is_none() => {
                Cow::Borrowed(body)
            }
            Text::Escaped(body) => Cow::Owned(json::unescape(body)),
        }
    }

    /// Appends the body of a JSON string that spells this text.
    pub fn write_escaped(&self, out: &mut Vec<u8>) {
        match self {
            Text::Plain(text) => json::escape(text, out),
            Text::Escaped(body) => out.extend_from_slice(body.as_bytes()),
        }
    }

    /// Appends a JSON string, quotes included.
    pub fn write_string(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.write_escaped(out);
        out.push(b'"');
    }

    /// The same text without borrows.
    pub fn into_owned(self) -> Text<'static> {
        match self {
            Text::Plain(text) => Text::Plain(Cow::Owned(text.into_owned())),
            Text::Escaped(body) => Text::Escaped(Cow::Owned(body.into_owned())),
        }
    }

    /// The same text, borrowed from this one.
    pub fn borrow(&self) -> Text<'_> {
        match self {
            Text::Plain(text) => Text::Plain(Cow::Borrowed(text)),
            Text::Escaped(body) => Text::Escaped(Cow::Borrowed(body)),
        }
    }
}

impl Default for Text<'_> {
    fn default() -> Self {
        Text::EMPTY
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text::plain(text)
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text::plain(text)
    }
}

/// Two texts are equal when they say the same, however they are stored.
impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_plain() == other.to_plain()
    }
}

impl Eq for Text<'_> {}

/// A JSON value as it was written: key order, digits and spelling survive.
///
/// Whoever makes one vouches that it is one valid JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    /// Takes text that is known to be one JSON value.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        Self(text.into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    /// The same value, with half characters in its strings replaced: a strict client refuses the whole frame for one.
    #[must_use]
    pub fn mended(self) -> Self {
        match json::PairMender::mend_whole(Text::Escaped(self.0)) {
            Text::Plain(text) | Text::Escaped(text) => Json(text),
        }
    }

    /// The same value without borrows.
    pub fn into_owned(self) -> Json<'static> {
        Json(Cow::Owned(self.0.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let plain = Text::plain("say \"hi\"\n");
        let escaped = Text::escaped("say \\\"hi\\\"\\n");
        assert_eq!(plain, escaped);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        plain.write_string(&mut one);
        escaped.write_string(&mut two);
        assert_eq!(one, two);
        assert_eq!(one, b"\"say \\\"hi\\\"\\n\"");
    }

    #[test]
    fn lone_surrogates_pass_untouched() {
        let text = Text::escaped("\\ud800");
        let mut out = Vec::new();
        text.write_string(&mut out);
        assert_eq!(out, b"\"\\ud800\"");
        assert_eq!(text.to_plain(), "\u{fffd}");
    }
}
