//! The small tools with which events are put together.

use polywire_conversation::Text;
use polywire_sse::FrameBuffer;

/// Where events go, and the number that the next one gets.
pub(crate) struct Frames<'w> {
    pub(crate) out: &'w mut FrameBuffer,
    pub(crate) sequence: u64,
}

impl Frames<'_> {
    /// Writes one event. `members` are the pieces of what follows `type`, beginning with a comma.
    pub(crate) fn event(&mut self, name: &str, members: &[&[u8]]) {
        let bytes = self.out.open(name);
        put(bytes, &[b"{\"type\":\"", name.as_bytes(), b"\""]);
        put(bytes, members);
        self.close();
    }

    fn close(&mut self) {
        let sequence = Decimal::new(self.sequence);
        self.sequence += 1;
        let bytes = self.out.data();
        put(bytes, &[b",\"sequence_number\":", sequence.digits(), b"}"]);
        self.out.close();
    }
}

/// One text that grows delta by delta: of a message, a summary or a call.
///
/// Everything that the deltas have in common is put together once, so that a delta costs a few copies.
#[derive(Debug)]
pub(super) struct Channel {
    /// The name of its delta events.
    event: &'static str,
    /// A delta event up to the text in it.
    head: Vec<u8>,
    /// What follows the text, up to the sequence number.
    tail: &'static [u8],
    /// All text so far, escaped.
    text: Vec<u8>,
}

impl Channel {
    /// A text whose delta events are called `event` and have `members` in them, beginning with a comma.
    pub(super) fn new(event: &'static str, members: &[&[u8]], tail: &'static [u8]) -> Self {
        let mut head = Vec::with_capacity(192);
        put(&mut head, &[b"{\"type\":\"", event.as_bytes(), b"\""]);
        put(&mut head, members);
        put(&mut head, &[b",\"delta\":\""]);
        Self {
            event,
            head,
            tail,
            text: Vec::new(),
        }
    }

    /// Writes a piece of the text.
    pub(super) fn push(&mut self, piece: &Text<'_>, frames: &mut Frames<'_>) {
        self.push_with(piece, &[self.tail], frames);
    }

    /// Writes a piece of the text with something else behind it than usual.
    pub(super) fn push_with(&mut self, piece: &Text<'_>, tail: &[&[u8]], frames: &mut Frames<'_>) {
        let start = self.text.len();
        piece.write_escaped(&mut self.text);
        let bytes = frames.out.open(self.event);
        put(bytes, &[&self.head, &self.text[start..]]);
        put(bytes, tail);
        frames.close();
    }

    /// All text so far, escaped.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Appends pieces one after the other.
pub(super) fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// The body of the JSON string that spells `plain`.
pub(super) fn escaped(plain: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(plain.len());
    Text::from(plain).write_escaped(&mut body);
    body
}

/// A number in decimal, without the heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    bytes: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(super) fn new(mut number: u64) -> Self {
        let mut bytes = [b'0'; 20];
        let mut start = bytes.len() - 1;
        while number > 0 {
            bytes[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number > 0 {
                start -= 1;
            }
        }
        Self { bytes, start }
    }

    pub(super) fn digits(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            let digits = Decimal::new(number).digits().to_vec();
            assert_eq!(String::from_utf8(digits).unwrap(), number.to_string());
        }
    }
}
