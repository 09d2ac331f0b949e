//! Changes members of JSON text and leaves every other byte alone.

use std::borrow::Cow;
use std::fmt;

use polywire_wire::Key;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A member of an object, or an element of an array.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// The name of the member; empty for an element.
    pub(super) key: Cow<'a, str>,
    /// The value as it was written.
    pub(super) value: &'a str,
    /// What stands between the value before and this one: white space, a comma, the name.
    gap: &'a str,
}

/// What becomes of a piece.
#[derive(Debug)]
pub(super) enum Edit {
    Keep,
    Replace(String),
    Remove,
}

/// An object or an array, taken apart so that it can be put together again.
#[derive(Debug)]
pub(super) struct Container<'a> {
    head: &'a str,
    pub(super) pieces: Vec<Piece<'a>>,
    tail: &'a str,
}

/// Takes an object apart; nothing when the text is none.
pub(super) fn object(json: &str) -> Option<Container<'_>> {
    let Members(members) = serde_json::from_str(json).ok()?;
    take_apart(json, '{', members)
}

/// Takes an array apart; nothing when the text is none.
pub(super) fn array(json: &str) -> Option<Container<'_>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let elements = elements
        .into_iter()
        .map(|value| (Cow::Borrowed(""), value))
        .collect();
    take_apart(json, '[', elements)
}

fn take_apart<'a>(
    json: &'a str,
    opening: char,
    values: Vec<(Cow<'a, str>, &'a RawValue)>,
) -> Option<Container<'a>> {
    let inner = json.find(opening)? + 1;
    let mut behind = inner;
    let mut pieces = Vec::with_capacity(values.len());
    for (key, value) in values {
        let start = offset_of(value.get(), json)?;
        let gap = json.get(behind..start)?;
        behind = start + value.get().len();
        pieces.push(Piece {
            key,
            value: value.get(),
            gap,
        });
    }
    Some(Container {
        head: json.get(..inner)?,
        pieces,
        tail: json.get(behind..)?,
    })
}

/// Where `part`, which borrows from `whole`, stands in it.
pub(super) fn offset_of(part: &str, whole: &str) -> Option<usize> {
    let offset = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (whole.get(offset..offset + part.len()) == Some(part)).then_some(offset)
}

impl Container<'_> {
    /// Puts it together again. `more` are members that are added at the end, each with its value.
    pub(super) fn rewrite(
        &self,
        mut edit: impl FnMut(usize, &Piece<'_>) -> Edit,
        more: &[(&str, String)],
    ) -> String {
        let bytes: usize = self.pieces.iter().map(|piece| piece.value.len() + 24).sum();
        let mut out = String::with_capacity(bytes + self.head.len() + self.tail.len());
        out.push_str(self.head);
        let mut empty = true;
        for (index, piece) in self.pieces.iter().enumerate() {
            let edit = edit(index, piece);
            if matches!(edit, Edit::Remove) {
                continue;
            }
            // The comma belongs to what came before, and nothing may be left of that.
            let gap = match (empty, piece.gap.trim_start().strip_prefix(',')) {
                (true, Some(behind_comma)) => behind_comma,
                (true, None) | (false, _) => piece.gap,
            };
            empty = false;
            out.push_str(gap);
            match &edit {
                Edit::Replace(value) => out.push_str(value),
                Edit::Keep | Edit::Remove => out.push_str(piece.value),
            }
        }
        for (key, value) in more {
            if !std::mem::take(&mut empty) {
                out.push(',');
            }
            out.push_str(&json_string(key));
            out.push(':');
            out.push_str(value);
        }
        out.push_str(self.tail);
        out
    }

    /// Whether there is a member of this name.
    pub(super) fn has(&self, key: &str) -> bool {
        self.pieces.iter().any(|piece| piece.key == key)
    }
}

/// The object with another `type`; nothing when the text is none.
pub(crate) fn with_tag(json: &str, tag: &str) -> Option<String> {
    let members = object(json)?;
    Some(members.rewrite(
        |_, member| match &*member.key {
            "type" => Edit::Replace(json_string(tag)),
            _ => Edit::Keep,
        },
        &[],
    ))
}

/// Text as a JSON string, quotes included.
pub(super) fn json_string(plain: &str) -> String {
    let mut out = Vec::with_capacity(plain.len() + 2);
    polywire_wire::write_string(plain, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The members of an object in order, a name that comes twice included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some(Key(key)) = map.next_key()? {
            members.push((key, map.next_value()?));
        }
        Ok(Members(members))
    }
}
