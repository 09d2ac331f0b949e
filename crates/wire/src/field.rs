//! Single values of a request, and the faults that name them.

use std::borrow::Cow;
use std::fmt;

use polywire_conversation::{Fault, FaultClass, Json, Text, json};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::members::{One, WireObject};

/// The most characters of anything the client wrote that we repeat in a message: a name, a tag, a piece of a bad value.
pub const QUOTED_CHARS_MAX: usize = 120;

/// Where in the request something stands. Costs nothing until a fault has to name it.
#[derive(Clone, Copy, Debug)]
pub enum At<'p> {
    /// The body itself.
    Body,
    /// A member of an object.
    Key(&'p At<'p>, &'static str),
    /// An element of an array.
    Index(&'p At<'p>, usize),
}

impl<'p> At<'p> {
    /// The member `key` of what stands here.
    #[must_use]
    pub fn key(&'p self, key: &'static str) -> At<'p> {
        At::Key(self, key)
    }

    /// The element `index` of what stands here.
    #[must_use]
    pub fn index(&'p self, index: usize) -> At<'p> {
        At::Index(self, index)
    }

    /// A fault that names this place; the message begins with the place.
    pub fn fault(&self, problem: impl fmt::Display) -> Fault {
        fault_at(&self.to_string(), problem)
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Body => Ok(()),
            At::Key(At::Body, key) => f.write_str(key),
            At::Key(parent, key) => write!(f, "{parent}.{key}"),
            At::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A fault that names a place given as text; an empty one is the body itself.
pub fn fault_at(path: &str, problem: impl fmt::Display) -> Fault {
    if path.is_empty() {
        Fault::new(
            FaultClass::InvalidRequest,
            format!("the request body {problem}"),
        )
    } else {
        Fault::invalid(path, format!("`{path}` {problem}"))
    }
}

/// Something of the client's that a message repeats, cut to a bearable length.
pub fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A member of an object: its value, if it has one other than null, and its place.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a, 'p> {
    raw: Option<&'a RawValue>,
    at: At<'p>,
}

/// Names the member `key` of the object at `at`.
pub fn field<'a, 'p>(
    raw: Option<&'a RawValue>,
    at: &'p At<'p>,
    key: &'static str,
) -> Field<'a, 'p> {
    Field {
        raw,
        at: at.key(key),
    }
}

impl<'a, 'p> Field<'a, 'p> {
    /// Its place.
    pub fn at(&self) -> &At<'p> {
        &self.at
    }

    /// Whether it is there and not null.
    pub fn is_set(&self) -> bool {
        self.raw.is_some()
    }

    /// Reads the value if there is one.
    fn map<T>(
        self,
        read: impl FnOnce(&'a RawValue, &At<'p>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.raw.map(|raw| read(raw, &self.at)).transpose()
    }

    /// The value, which has to be there.
    ///
    /// # Errors
    /// As with all readers of a field: a fault that names the place.
    pub fn required(self) -> Result<&'a RawValue, Fault> {
        self.raw.ok_or_else(|| self.at.fault("is required"))
    }

    /// A string, left as it is written.
    pub fn text(self) -> Result<Option<Text<'a>>, Fault> {
        self.map(text)
    }

    /// A string that has to be there.
    pub fn required_text(self) -> Result<Text<'a>, Fault> {
        text(self.required()?, &self.at)
    }

    /// A string that somebody looks at.
    pub fn name(self) -> Result<Option<Cow<'a, str>>, Fault> {
        self.map(name)
    }

    /// A name that must not be empty.
    pub fn required_name(self) -> Result<Cow<'a, str>, Fault> {
        let name = name(self.required()?, &self.at)?;
        if name.is_empty() {
            return Err(self.at.fault("must not be empty"));
        }
        Ok(name)
    }

    /// `true` or `false`.
    pub fn flag(self) -> Result<Option<bool>, Fault> {
        self.map(|raw, at| match raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong_type(raw, at, "a boolean")),
        })
    }

    /// A whole number that is not negative.
    pub fn count(self) -> Result<Option<u64>, Fault> {
        self.map(|raw, at| {
            raw.get()
                .parse()
                .map_err(|_| wrong_type(raw, at, "a whole number from 0 to 2^64 - 1"))
        })
    }

    /// A number as it is written. One that no double can hold is refused, since the next reader would make infinity of it.
    pub fn number(self) -> Result<Option<Json<'a>>, Fault> {
        self.map(|raw, at| match raw.get().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Json::new(raw.get())),
            Ok(_) | Err(_) => Err(wrong_type(raw, at, "a finite number")),
        })
    }

    /// An object as it is written.
    pub fn object_as_written(self) -> Result<Option<Json<'a>>, Fault> {
        self.map(object_as_written)
    }

    /// An object as it is written, which has to be there.
    pub fn required_object_as_written(self) -> Result<Json<'a>, Fault> {
        object_as_written(self.required()?, &self.at)
    }

    /// An object of known members.
    pub fn object<T: WireObject<'a>>(self) -> Result<Option<T>, Fault> {
        self.map(object)
    }

    /// The elements of an array, unread; none when the field is not set.
    pub fn elements(self) -> Result<Vec<&'a RawValue>, Fault> {
        let Some(raw) = self.raw else {
            return Ok(Vec::new());
        };
        if first_byte(raw) != b'[' {
            return Err(wrong_type(raw, &self.at, "an array"));
        }
        read(raw.get(), &self.at)
    }
}

/// The first byte of a value, which tells its type.
pub fn first_byte(raw: &RawValue) -> u8 {
    raw.get().as_bytes().first().copied().unwrap_or_default()
}

/// The body of a JSON string, left as it is written.
pub fn text<'a>(raw: &'a RawValue, at: &At<'_>) -> Result<Text<'a>, Fault> {
    string_body(raw).map_or_else(
        || Err(wrong_type(raw, at, "a string")),
        |body| Ok(Text::escaped(body)),
    )
}

/// A string that somebody looks at: decoded, but borrowed where it holds no escape.
pub fn name<'a>(raw: &'a RawValue, at: &At<'_>) -> Result<Cow<'a, str>, Fault> {
    match string_body(raw) {
        // Names are short: looking at each byte is faster than a search that has to get going.
        Some(body) if body.bytes().any(|byte| byte == b'\\') => {
            Ok(Cow::Owned(json::unescape(body)))
        }
        Some(body) => Ok(Cow::Borrowed(body)),
        None => Err(wrong_type(raw, at, "a string")),
    }
}

fn string_body(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

fn object_as_written<'a>(raw: &'a RawValue, at: &At<'_>) -> Result<Json<'a>, Fault> {
    if first_byte(raw) != b'{' {
        return Err(wrong_type(raw, at, "an object"));
    }
    Ok(Json::new(raw.get()))
}

/// An object of known members.
pub fn object<'a, T: WireObject<'a>>(raw: &'a RawValue, at: &At<'_>) -> Result<T, Fault> {
    let One(object) = read(raw.get(), at)?;
    Ok(object)
}

/// The fault of a value that is not `expected`.
pub fn wrong_type(raw: &RawValue, at: &At<'_>, expected: &str) -> Fault {
    let found = match first_byte(raw) {
        b'"' => "a string",
        b'{' => "an object",
        b'[' => "an array",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => {
            return at.fault(format_args!(
                "must be {expected}, not {}",
                quoted(raw.get())
            ));
        }
    };
    at.fault(format_args!("must be {expected}, not {found}"))
}

/// Reads JSON text into wire structs.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str, at: &At<'_>) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| explain::<T>(text, at, &error))
}

/// Names the place of a mistake. The text is read again for that, because keeping track of the place while reading would slow
/// down every request that has no mistake.
#[cold]
fn explain<'a, T: Deserialize<'a>>(text: &'a str, at: &At<'_>, error: &serde_json::Error) -> Fault {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let inner = serde_path_to_error::deserialize::<_, T>(&mut deserializer)
        .err()
        .map(|found| found.path().to_string())
        .unwrap_or_default();
    // A place without a name is written `?`, and the whole of what is read `.`.
    let inner = inner.trim_end_matches(['?', '.']);
    let outer = at.to_string();
    let message = error.to_string();
    if let Some(key) = given_twice(&message) {
        return fault_at(&joined(&[&outer, inner, key]), "is given twice");
    }
    let path = joined(&[&outer, inner]);
    if error.is_data() {
        return fault_at(&path, in_our_words(&message));
    }
    let problem = format!("is not valid JSON: {}", quoted(&message));
    Fault {
        param: (!path.is_empty()).then_some(path),
        ..fault_at("", problem)
    }
}

/// The member that a message complains of, which is reported for the object around it.
fn given_twice(message: &str) -> Option<&str> {
    let (key, _) = message.strip_prefix("duplicate field `")?.split_once('`')?;
    Some(key)
}

/// A message about a wrong type in the words of all other messages, without the column that it ends with.
fn in_our_words(message: &str) -> String {
    let problem = message
        .rsplit_once(" at line ")
        .map_or(message, |(problem, _)| problem);
    let types = problem
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = types else {
        return quoted(problem).into_owned();
    };
    let expected = match expected {
        "a sequence" => "an array",
        other => other,
    };
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    let found = match kind {
        "sequence" => "an array",
        "map" => "an object",
        "string" => "a string",
        "boolean" => "a boolean",
        "integer" => value.trim_matches('`'),
        _ => found,
    };
    format!("must be {expected}, not {}", quoted(found))
}

fn joined(pieces: &[&str]) -> String {
    let mut path = String::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        if !path.is_empty() && !piece.starts_with('[') {
            path.push('.');
        }
        path.push_str(piece);
    }
    path
}
