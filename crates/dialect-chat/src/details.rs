//! The entries of a `reasoning_details` array, put together from their pieces.
//!
//! Streams bring an entry in pieces: text bit by bit, the signature in the last one. Providers want the whole entry back, in
//! its place and with every member that it had, so members are kept as they were written and only texts are joined.

use std::borrow::Cow;
use std::fmt;

use polywire_conversation::Text;
use polywire_wire::{Key, Object};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// From how many bytes on a value that begins with all text so far is surely that text over again. Shorter beginnings may
/// repeat by chance ("-", then "--").
const REPEATED_BYTES_MIN: usize = 16;

/// The entries of one answer, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Details {
    entries: Vec<Entry>,
    bytes: usize,
}

/// One entry.
#[derive(Debug, Default)]
struct Entry {
    /// Every member but the text: its name, and its value as JSON. Null values are kept until another one comes.
    members: Vec<(String, String)>,
    /// The member that holds text, and where it stands among the others.
    text_key: Option<(&'static str, usize)>,
    /// The text, as the body of a JSON string.
    text: String,
    pace: Pace,
    /// How many bytes of the text were taken out.
    taken: usize,
    /// Whether there is something that was not taken out.
    fresh: bool,
}

/// How a provider sends the text of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    #[default]
    Unknown,
    /// Each piece is what is new.
    Pieces,
    /// Each piece is all so far.
    Cumulative,
}

impl Details {
    /// Takes a piece of an entry as it came in a stream, and gives the new text in it, if any, as the body of a JSON string. A
    /// value that begins with all that was collected adds only its rest: one vendor's samples send the text so far each time.
    pub(crate) fn stream(&mut self, json: &str) -> Option<Text<'static>> {
        self.add(json, true)
    }

    /// Takes an entry, or a piece of one, that was kept.
    pub(crate) fn join(&mut self, json: &str) {
        self.add(json, false);
    }

    /// How many bytes were taken in.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many entries there are.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes out what came since the last time, entry by entry, each as JSON.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let fresh = self.entries.iter_mut().filter(|entry| entry.fresh);
        fresh.map(Entry::take).collect()
    }

    /// Gives the only signed entry without words the visible ones. A signature is over a text, and some providers send that one
    /// beside the entry only.
    pub(crate) fn lend_text(&mut self, visible: &[&Text<'_>]) {
        let is_bare = |entry: &&mut Entry| {
            entry.says("type", "\"reasoning.text\"") && entry.text_key.is_none()
        };
        let has_text = self.entries.iter().any(|entry| entry.text_key.is_some());
        let mut bare = self.entries.iter_mut().filter(is_bare);
        let (Some(entry), None, false) = (bare.next(), bare.next(), has_text) else {
            return;
        };
        let mut body = Vec::new();
        for text in visible {
            text.write_escaped(&mut body);
        }
        if !body.is_empty() {
            entry.text = String::from_utf8_lossy(&body).into_owned();
            let behind_type = entry.members.len().min(1);
            entry.text_key = Some(("text", behind_type));
        }
    }

    fn add(&mut self, json: &str, streamed: bool) -> Option<Text<'static>> {
        let Ok(Members(members)) = serde_json::from_str(json) else {
            return None;
        };
        self.bytes = self.bytes.saturating_add(json.len());
        let piece = Entry::of(members);
        let mut entries = self.entries.iter_mut().rev();
        if let Some(entry) = entries.find(|entry| entry.takes(&piece)) {
            return entry.grow(piece, streamed);
        }
        let text = piece.text.clone();
        self.entries.push(piece);
        (!text.is_empty()).then(|| Text::escaped(text))
    }
}

impl Entry {
    fn of(members: Vec<(String, String)>) -> Self {
        let mut entry = Entry {
            fresh: true,
            ..Entry::default()
        };
        for (key, value) in members {
            let text_key = ["text", "summary"].into_iter().find(|&name| name == key);
            let body = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'));
            match (text_key, body) {
                (Some(text_key), Some(body)) if entry.text_key.is_none() => {
                    body.clone_into(&mut entry.text);
                    entry.text_key = Some((text_key, entry.members.len()));
                }
                _ => entry.members.push((key, value)),
            }
        }
        entry
    }

    fn member(&self, key: &str) -> Option<&str> {
        let found = self.members.iter().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| *value != "null")
    }

    fn says(&self, key: &str, value: &str) -> bool {
        self.member(key) == Some(value)
    }

    /// Whether a piece goes on with this entry: the same index and type, no other id, and nothing that is signed or encrypted
    /// already. Encrypted data comes whole.
    fn takes(&self, piece: &Entry) -> bool {
        let same = |key| self.member(key) == piece.member(key);
        let differs = |key| {
            let (ours, theirs) = (self.member(key), piece.member(key));
            ours.is_some() && theirs.is_some() && ours != theirs
        };
        same("index")
            && same("type")
            && !differs("id")
            && !differs("format")
            && piece.member("data").is_none()
            && self.member("data").is_none()
            && self
                .member("signature")
                .is_none_or(|_| piece.text.is_empty())
            && !differs("signature")
    }

    fn grow(&mut self, piece: Entry, streamed: bool) -> Option<Text<'static>> {
        for (key, value) in piece.members {
            match self.members.iter_mut().find(|(name, _)| *name == key) {
                Some((_, ours)) if *ours == value || value == "null" => {}
                Some((_, ours)) => {
                    *ours = value;
                    self.fresh = true;
                }
                None => {
                    self.members.push((key, value));
                    self.fresh = true;
                }
            }
        }
        self.text_key = self.text_key.or(piece.text_key);
        let new = if streamed {
            self.new_text(&piece.text)
        } else {
            &piece.text
        };
        if new.is_empty() {
            return None;
        }
        let new = new.to_owned();
        self.text.push_str(&new);
        self.fresh = true;
        Some(Text::escaped(new))
    }

    /// What of a piece of text was not there yet.
    fn new_text<'p>(&mut self, piece: &'p str) -> &'p str {
        let rest = piece.strip_prefix(self.text.as_str()).filter(|rest| {
            !self.text.is_empty() && !piece.is_empty() && !cuts_escape(&self.text, rest)
        });
        let is_long = self.text.len() >= REPEATED_BYTES_MIN;
        match (rest, self.pace) {
            (Some(rest), Pace::Unknown | Pace::Cumulative) if is_long || !rest.is_empty() => {
                self.pace = Pace::Cumulative;
                rest
            }
            (Some(rest), Pace::Cumulative) => rest,
            (Some(rest), Pace::Pieces) if is_long => rest,
            (Some(_) | None, _) => {
                if !piece.is_empty() && !self.text.is_empty() {
                    self.pace = Pace::Pieces;
                }
                piece
            }
        }
    }

    /// The entry with the text that was not taken out yet.
    fn take(&mut self) -> String {
        let json = self.write(&self.text[self.taken..]);
        self.taken = self.text.len();
        self.fresh = false;
        json
    }

    fn write(&self, text: &str) -> String {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        let write_text = |object: &mut Object<'_>, at: usize| {
            if let Some((key, place)) = self.text_key
                && place == at
            {
                object.text(key, &Text::escaped(text));
            }
        };
        for (at, (key, value)) in self.members.iter().enumerate() {
            write_text(&mut object, at);
            object.raw(key, value);
        }
        write_text(&mut object, self.members.len());
        object.close();
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Whether the end of a text is in the middle of an escape that `rest` goes on with. Then the two only look alike.
fn cuts_escape(text: &str, rest: &str) -> bool {
    let backslashes = text.bytes().rev().take_while(|&byte| byte == b'\\').count();
    backslashes % 2 == 1 && !rest.is_empty()
}

/// The members of an object in their order, values as they were written.
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, String)> = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    let value = value.get().to_owned();
                    match members.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, ours)) => *ours = value,
                        None => members.push((Cow::into_owned(key), value)),
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Streams pieces; gives the texts that were new, and the entries.
    fn streamed(pieces: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut details = Details::default();
        let texts = pieces
            .iter()
            .map(|piece| {
                details
                    .stream(piece)
                    .map_or_else(String::new, |text| text.to_plain().into_owned())
            })
            .collect();
        let entries = details.take();
        assert!(details.take().is_empty());
        (texts, entries)
    }

    #[test]
    fn pieces_become_entries() {
        let (texts, entries) = streamed(&[
            r#"{"type":"reasoning.text","text":"I ","format":"f","index":0}"#,
            r#"{"type":"reasoning.text","text":"see\ud83d","format":"f","index":0,"signature":null}"#,
            r#"{"type":"reasoning.text","text":"\ude00","format":"f","index":0}"#,
            r#"{"type":"reasoning.encrypted","data":"ZQ==","id":"rs_1","index":0}"#,
            r#"{"type":"reasoning.text","signature":"c2ln","index":0}"#,
            r#"{"type":"reasoning.text","text":"Next","index":0}"#,
            r#"{"type":"reasoning.summary","summary":"Sum","index":1}"#,
            r#"{"type":"reasoning.summary","summary":"mary","index":1}"#,
            "[]",
        ]);
        assert_eq!(
            texts,
            [
                "I ",
                "see\u{fffd}",
                "\u{fffd}",
                "",
                "",
                "Next",
                "Sum",
                "mary",
                ""
            ]
        );
        assert_eq!(
            entries,
            [
                r#"{"type":"reasoning.text","text":"I see\ud83d\ude00","format":"f","index":0,"signature":"c2ln"}"#,
                r#"{"type":"reasoning.encrypted","data":"ZQ==","id":"rs_1","index":0}"#,
                r#"{"type":"reasoning.text","text":"Next","index":0}"#,
                r#"{"type":"reasoning.summary","summary":"Summary","index":1}"#,
            ]
        );
    }

    #[test]
    fn a_text_that_comes_again_from_its_start_adds_its_rest() {
        let piece =
            |text: &str| format!(r#"{{"type":"reasoning.text","text":"{text}","index":0}}"#);
        for (texts, expected) in [
            (
                &["Look", "Look up", "Look up", "Look up now"][..],
                &["Look", " up", "", " now"][..],
            ),
            (&["ha", "ha", "ha!"], &["ha", "ha", "ha!"]),
            (&["a", "b", "ab"], &["a", "b", "ab"]),
            (
                &["This is long ", "enough.", "This is long enough."],
                &["This is long ", "enough.", ""],
            ),
        ] {
            let pieces: Vec<String> = texts.iter().map(|text| piece(text)).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            assert_eq!(streamed(&pieces).0, expected, "{texts:?}");
        }
    }

    #[test]
    fn what_was_taken_is_joined_again() {
        let mut details = Details::default();
        details.stream(r#"{"type":"reasoning.text","text":"One","index":0}"#);
        let first = details.take();
        details.stream(r#"{"type":"reasoning.text","text":" two","index":0,"signature":"s"}"#);
        let second = details.take();
        let mut joined = Details::default();
        for json in first.iter().chain(&second) {
            joined.join(json);
        }
        assert_eq!(
            joined.take(),
            [r#"{"type":"reasoning.text","text":"One two","index":0,"signature":"s"}"#]
        );
    }

    #[test]
    fn a_bare_signature_gets_the_visible_words() {
        let mut details = Details::default();
        details.join(r#"{"type":"reasoning.text","signature":"s","index":0}"#);
        details.lend_text(&[&Text::plain("Seen \"it\".")]);
        assert_eq!(
            details.take(),
            [r#"{"type":"reasoning.text","text":"Seen \"it\".","signature":"s","index":0}"#]
        );
    }
}
