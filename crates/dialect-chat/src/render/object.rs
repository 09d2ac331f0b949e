//! Writes JSON objects member by member, straight into the body.

use polywire_conversation::{Json, Text, json};

/// An open JSON object.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object at the end of `out`.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key and gives the place for the value.
    pub(super) fn member(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        json::escape(key, self.out);
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text(&mut self, key: &str, text: &Text<'_>) {
        text.write_string(self.member(key));
    }

    pub(super) fn string(&mut self, key: &str, plain: &str) {
        write_string(plain, self.member(key));
    }

    pub(super) fn json(&mut self, key: &str, json: &Json<'_>) {
        json.write(self.member(key));
    }

    /// A value that is JSON as it stands, such as a number or `true`.
    pub(super) fn raw(&mut self, key: &str, raw: &str) {
        self.member(key).extend_from_slice(raw.as_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, flag: bool) {
        self.raw(key, if flag { "true" } else { "false" });
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}

/// Appends a JSON string, quotes included.
pub(super) fn write_string(plain: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    json::escape(plain, out);
    out.push(b'"');
}

/// Appends the elements of a JSON array, brackets and commas included.
pub(super) fn write_array<T>(
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
