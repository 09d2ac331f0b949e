//! Writes JSON objects member by member, straight into the body.

use polywire_conversation::{Json, Text, json};

/// An open JSON object.
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object at the end of `out`.
    pub fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key and gives the place for the value.
    pub fn member(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        json::escape(key, self.out);
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A member that is text.
    pub fn text(&mut self, key: &str, text: &Text<'_>) {
        text.write_string(self.member(key));
    }

    /// A member that is plain text.
    pub fn string(&mut self, key: &str, plain: &str) {
        write_string(plain, self.member(key));
    }

    /// A member that is JSON as it was written.
    pub fn json(&mut self, key: &str, json: &Json<'_>) {
        json.write(self.member(key));
    }

    /// A value that is JSON as it stands, such as a number or `true`.
    pub fn raw(&mut self, key: &str, raw: &str) {
        self.member(key).extend_from_slice(raw.as_bytes());
    }

    /// A member that is `true` or `false`.
    pub fn flag(&mut self, key: &str, flag: bool) {
        self.raw(key, if flag { "true" } else { "false" });
    }

    /// Closes the object.
    pub fn close(self) {
        self.out.push(b'}');
    }
}

/// Appends a JSON string, quotes included.
pub fn write_string(plain: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    json::escape(plain, out);
    out.push(b'"');
}

/// Appends the elements of a JSON array, brackets and commas included.
pub fn write_array<T>(
    elements: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}
