//! References, written out in place.
//!
//! Every `$ref` into the schema itself is replaced by what it points to; what cannot be, or would grow without end, becomes a schema
//! that is open, so that no value that was valid is refused. `$id` inside of a schema is not regarded: references are read from the
//! root, as the generators of tool schemas mean them.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::SCHEMA_NESTING_MAX;
use crate::keywords::{Holds, Members, holds};
use crate::merge;
use crate::notes::{Notes, Place, short};

/// How often a definition is written out inside itself before the recursion is cut. Two levels show a model what a tree looks like;
/// each further one multiplies the size by the number of branches.
pub(crate) const RECURSION_MAX: usize = 2;

/// The most bytes that all references of one schema may add, roughly as they are written. A dozen definitions that refer to each other
/// twice make a megabyte of a hundred lines; nobody means that.
const INLINED_BYTES_MAX: usize = 512 << 10;

/// A schema without references.
pub(crate) struct Inlined {
    pub(crate) schema: Value,
    /// Whether a reference was left open, and the schema so became wider.
    pub(crate) was_cut: bool,
}

/// Writes out every reference.
pub(crate) fn inline(root: &Value, notes: &mut Notes) -> Inlined {
    let mut inliner = Inliner {
        root,
        notes,
        open: vec![String::new()],
        sizes: HashMap::new(),
        bytes_left: INLINED_BYTES_MAX,
        was_cut: false,
    };
    let schema = inliner.schema(root, &Place::Root, 1);
    Inlined {
        schema,
        was_cut: inliner.was_cut,
    }
}

/// How deep arrays and objects nest. Recursive, as is the parser that has limited the depth before.
pub(crate) fn height(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(elements) => 1 + elements.iter().map(height).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(height).max().unwrap_or(0),
    }
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 3,
        Value::Array(elements) => 2 + elements.iter().map(bytes).sum::<usize>(),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| key.len() + 4 + bytes(value);
            2 + members.iter().map(member).sum::<usize>()
        }
    }
}

/// The size of what a reference points to, without what its own references add.
#[derive(Clone, Copy)]
struct Size {
    bytes: usize,
    height: usize,
}

struct Inliner<'v, 'n> {
    root: &'v Value,
    notes: &'n mut Notes,
    /// The pointers that are being written out, outermost first. The root is the empty one.
    open: Vec<String>,
    /// Each pointer is measured once, however many references there are to it.
    sizes: HashMap<String, Size>,
    bytes_left: usize,
    was_cut: bool,
}

impl<'v> Inliner<'v, '_> {
    /// `depth` is the number of arrays and objects around and including this schema.
    fn schema(&mut self, value: &Value, place: &Place<'_>, depth: usize) -> Value {
        let Value::Object(members) = value else {
            return value.clone();
        };
        match members.get("$ref") {
            Some(Value::String(reference)) => self.reference(reference, members, place, depth),
            Some(_) | None => Value::Object(self.members(members, place, depth)),
        }
    }

    fn members(&mut self, members: &Members, place: &Place<'_>, depth: usize) -> Members {
        let mut written = Map::new();
        for (key, value) in members {
            // What is only referred to has no place of its own afterwards.
            if matches!(key.as_str(), "$ref" | "$defs" | "definitions") {
                continue;
            }
            let place = place.key(key);
            written.insert(key.clone(), self.member(key, value, &place, depth + 1));
        }
        written
    }

    fn member(&mut self, key: &str, value: &Value, place: &Place<'_>, depth: usize) -> Value {
        match (holds(key), value) {
            (
                Some(Holds::Schema | Holds::SchemaOrFlag | Holds::SchemaOrSchemas),
                Value::Object(_),
            ) => self.schema(value, place, depth),
            (Some(Holds::Schemas | Holds::SchemaOrSchemas), Value::Array(elements)) => {
                let elements = elements.iter().enumerate();
                elements
                    .map(|(index, element)| self.schema(element, &place.index(index), depth + 1))
                    .collect()
            }
            (Some(Holds::Named), Value::Object(named)) => {
                let named = named.iter();
                named
                    .map(|(name, value)| {
                        (
                            name.clone(),
                            self.schema(value, &place.key(name), depth + 1),
                        )
                    })
                    .collect()
            }
            (_, value) => value.clone(),
        }
    }

    /// A reference, and what stands beside it: both hold.
    fn reference(
        &mut self,
        reference: &str,
        members: &Members,
        place: &Place<'_>,
        depth: usize,
    ) -> Value {
        let beside = self.members(members, place, depth);
        match self.target(reference, place, depth) {
            Value::Object(target) => Value::Object(merge::both(target, beside)),
            Value::Bool(false) => Value::Bool(false),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Value::Object(beside),
        }
    }

    fn target(&mut self, reference: &str, place: &Place<'_>, depth: usize) -> Value {
        let root = self.root;
        let found = pointer_of(reference).and_then(|pointer| {
            let target = root.pointer(&pointer)?;
            Some((pointer.into_owned(), target))
        });
        let Some((pointer, target)) = found else {
            let reference = short(reference);
            return self.cut(
                None,
                place,
                format_args!("`{reference}` is not in the schema"),
            );
        };
        let size = self.size(&pointer, target);
        let times = self.open.iter().filter(|open| **open == pointer).count();
        if times >= RECURSION_MAX {
            return self.cut(Some(target), place, "the schema goes on inside itself");
        }
        if size.bytes > self.bytes_left || depth + size.height > SCHEMA_NESTING_MAX {
            return self.cut(Some(target), place, "the references add too much");
        }
        self.bytes_left -= size.bytes;
        self.open.push(pointer);
        let written = self.schema(target, place, depth);
        self.open.pop();
        written
    }

    fn size(&mut self, pointer: &str, target: &'v Value) -> Size {
        if let Some(&size) = self.sizes.get(pointer) {
            return size;
        }
        let size = Size {
            bytes: bytes(target),
            height: height(target),
        };
        self.sizes.insert(pointer.to_owned(), size);
        size
    }

    /// What stands for a reference that is not followed: any value of the type that the target has.
    fn cut(
        &mut self,
        target: Option<&Value>,
        place: &Place<'_>,
        why: impl std::fmt::Display,
    ) -> Value {
        self.was_cut = true;
        self.notes
            .add(place, format_args!("a reference is left open: {why}"));
        let mut open = Map::new();
        if let Some(named @ Value::String(_)) = target.and_then(|target| target.get("type")) {
            open.insert("type".to_owned(), named.clone());
        }
        Value::Object(open)
    }
}

/// The JSON pointer of a reference into the schema itself.
fn pointer_of(reference: &str) -> Option<Cow<'_, str>> {
    let fragment = reference.strip_prefix('#')?;
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return None;
    }
    if !fragment.contains('%') {
        return Some(Cow::Borrowed(fragment));
    }
    let mut decoded = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [byte, behind @ ..] = rest {
        let code = behind
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                decoded.push(code);
                rest = &behind[2..];
            }
            (byte, _) => {
                decoded.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}
