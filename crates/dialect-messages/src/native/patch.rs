//! Changes to a JSON text that leave all other bytes alone.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use polywire_conversation::json;
use polywire_wire::Key;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Replacements in a text.
#[derive(Debug)]
pub(super) struct Patch<'b> {
    text: &'b str,
    edits: Vec<(Range<usize>, String)>,
}

impl<'b> Patch<'b> {
    pub(super) fn new(text: &'b str) -> Self {
        Self {
            text,
            edits: Vec::new(),
        }
    }

    /// Where a piece of the text stands in it. A piece of another text stands nowhere.
    fn range_of(&self, piece: &str) -> Range<usize> {
        let start = (piece.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let end = start.wrapping_add(piece.len());
        if start <= end && end <= self.text.len() {
            start..end
        } else {
            0..0
        }
    }

    /// Puts other JSON in the place of a value.
    pub(super) fn replace(&mut self, value: &RawValue, with: String) {
        let range = self.range_of(value.get());
        self.edits.push((range, with));
    }

    /// Puts a string in the place of a value.
    pub(super) fn replace_with_string(&mut self, value: &RawValue, plain: &str) {
        self.replace(value, string(plain));
    }

    /// Takes elements out of an array, each with one comma. `removed` says which, element by element; not all of them.
    pub(super) fn remove(&mut self, elements: &[&RawValue], removed: &[bool]) {
        let mut kept_before = false;
        for (at, element) in elements.iter().enumerate() {
            if !removed.get(at).copied().unwrap_or(false) {
                kept_before = true;
                continue;
            }
            let own = self.range_of(element.get());
            let range = if kept_before {
                self.range_of(elements[at - 1].get()).end..own.end
            } else {
                let next = elements.get(at + 1);
                own.start..next.map_or(own.end, |next| self.range_of(next.get()).start)
            };
            self.edits.push((range, String::new()));
        }
    }

    /// The text with all changes.
    pub(super) fn apply(mut self) -> Cow<'b, str> {
        if self.edits.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.edits.sort_by_key(|(range, _)| range.start);
        let grown: usize = self.edits.iter().map(|(_, with)| with.len()).sum();
        let mut out = String::with_capacity(self.text.len() + grown);
        let mut copied = 0;
        for (range, with) in self.edits {
            // What stands inside of something that was changed already is gone with it.
            if range.start < copied {
                continue;
            }
            out.push_str(&self.text[copied..range.start]);
            out.push_str(&with);
            copied = range.end;
        }
        out.push_str(&self.text[copied..]);
        Cow::Owned(out)
    }

    /// The text before a value, and behind it.
    pub(super) fn around(&self, value: &RawValue) -> (&'b str, &'b str) {
        let range = self.range_of(value.get());
        (&self.text[..range.start], &self.text[range.end..])
    }
}

/// A JSON string.
pub(super) fn string(plain: &str) -> String {
    let mut out = vec![b'"'];
    json::escape(plain, &mut out);
    out.push(b'"');
    String::from_utf8_lossy(&out).into_owned()
}

/// The members of an object, every one of them: readers differ in which of two members of one name they take.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object; `None` for anything else.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The values of all members of this name.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &'a RawValue> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| *value)
    }

    /// The value of the one member of this name; `None` when there is none or more than one.
    pub(super) fn only(&self, key: &str) -> Option<&'a RawValue> {
        let mut all = self.all(key);
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_go_with_one_comma() {
        let text = "[ 1 , 22 ,\n333, 4]";
        let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap();
        for (removed, expected) in [
            ([false; 4], text),
            ([true, false, false, false], "[ 22 ,\n333, 4]"),
            ([false, true, true, false], "[ 1, 4]"),
            ([true, true, false, true], "[ 333]"),
            ([true, true, true, false], "[ 4]"),
            ([false, false, false, true], "[ 1 , 22 ,\n333]"),
        ] {
            let mut patch = Patch::new(text);
            patch.remove(&elements, &removed);
            assert_eq!(patch.apply(), expected, "{removed:?}");
        }
    }
}
