//! A JSON object as it was written: every member, in its order, with its digits.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

/// One step of indentation, as Codex writes it.
const INDENT: &str = "  ";

/// An object whose members nobody has looked at. What is not set anew is written as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// The value of a member; `None` when it is missing, null or of another type.
    pub(crate) fn get<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        // A member that is null says nothing, and neither does one of another type: what cannot do without it says so.
        serde_json::from_str::<Option<T>>(value.get())
            .ok()
            .flatten()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Gives a member a value, in its place if it has one, else at the end.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        self.put(name, serde_json::value::to_raw_value(value)?);
        Ok(())
    }

    /// Gives a member an object, which stands `depth` deep in the file.
    pub(crate) fn set_object(
        &mut self,
        name: &str,
        object: &Members,
        depth: usize,
    ) -> Result<(), serde_json::Error> {
        self.put(name, RawValue::from_string(object.render(depth)?)?);
        Ok(())
    }

    fn put(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The text of the object, indented as Codex does it, for an object that stands `depth` deep. The members' own values are as they
    /// are: indenting those anew would move them with every writing.
    pub(crate) fn render(&self, depth: usize) -> Result<String, serde_json::Error> {
        let mut text = String::from("{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            text.push_str(if index == 0 { "\n" } else { ",\n" });
            text.push_str(&INDENT.repeat(depth + 1));
            text.push_str(&serde_json::to_string(name)?);
            text.push_str(": ");
            text.push_str(value.get());
        }
        if !self.0.is_empty() {
            text.push('\n');
            text.push_str(&INDENT.repeat(depth));
        }
        text.push('}');
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            // Codex refuses such a file too. Of two readers one would take the first and one the last.
            if members.has(&name) {
                return Err(A::Error::custom(format_args!(
                    "the member `{name}` is there twice"
                )));
            }
            members.0.push((name, value));
        }
        Ok(members)
    }
}
