//! Objects as they stand on the wire: their known members, unread.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::depth::{NESTING_MAX, is_too_deep};

/// An object of the protocol. A member that is null counts as not given.
///
/// A member that is given twice is refused: of two readers in a row one takes the first and one the last, and what was checked
/// would not be what is run. Inside values that pass as they are written (schemas, metadata) nothing is looked at.
pub trait WireObject<'a>: Default {
    /// The place for the member `key`, if the protocol has one of this name.
    fn member(&mut self, key: &str) -> Option<&mut Option<&'a RawValue>>;
}

/// Declares an object by its members: the name in the code, and the name on the wire.
#[macro_export]
macro_rules! wire_object {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: Option<&'a ::serde_json::value::RawValue>,)*
        }

        impl<'a> $crate::WireObject<'a> for $name<'a> {
            fn member(
                &mut self,
                key: &str,
            ) -> Option<&mut Option<&'a ::serde_json::value::RawValue>> {
                match key {
                    $($key => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

/// One object.
#[derive(Debug)]
pub struct One<T>(pub T);

impl<'de, T: WireObject<'de>> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = T::default();
        Fill(&mut object).deserialize(deserializer)?;
        Ok(One(object))
    }
}

/// An array of objects.
#[derive(Debug)]
pub struct Many<T>(pub Vec<T>);

impl<'de, T: WireObject<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ManyVisitor(std::marker::PhantomData))
    }
}

struct ManyVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: WireObject<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Many<T>, A::Error> {
        read_elements(elements).map(Many)
    }
}

/// Reads the elements of an array, each where it will stay.
pub fn read_elements<'de, T: WireObject<'de>, A: SeqAccess<'de>>(
    mut elements: A,
) -> Result<Vec<T>, A::Error> {
    let mut objects = Vec::new();
    loop {
        let object = objects.push_mut(T::default());
        if elements.next_element_seed(Fill(object))?.is_none() {
            objects.pop();
            return Ok(objects);
        }
    }
}

/// Reads an object into its place. Written by hand because what is derived also takes arrays, member by member, and moves
/// objects of this size about for long.
struct Fill<'o, T>(&'o mut T);

impl<'de, T: WireObject<'de>> DeserializeSeed<'de> for Fill<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: WireObject<'de>> Visitor<'de> for Fill<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let Value(value) = map.next_value()?;
            if let Some(place) = self.0.member(&key) {
                set(place, &key, value)?;
            }
        }
        Ok(())
    }
}

/// A value as it is written, which may nest only so deep, whether anybody looks at it later or not.
#[derive(Debug)]
pub struct Value<'a>(pub Option<&'a RawValue>);

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<&'de RawValue>::deserialize(deserializer)?;
        match value.map(RawValue::get) {
            Some(json) if json.starts_with(['{', '[']) && is_too_deep(json) => Err(
                D::Error::custom(format_args!("nests deeper than {NESTING_MAX} levels")),
            ),
            Some(_) | None => Ok(Value(value)),
        }
    }
}

/// Puts a member in its place, once.
pub fn set<T, E: Error>(place: &mut Option<T>, key: &str, value: Option<T>) -> Result<(), E> {
    if place.is_some() {
        return Err(E::custom(format_args!("duplicate field `{key}`")));
    }
    *place = value;
    Ok(())
}

/// The name of a member, borrowed where it holds no escape.
#[derive(Debug)]
pub struct Key<'a>(pub Cow<'a, str>);

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
