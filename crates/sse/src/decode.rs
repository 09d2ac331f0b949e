//! Bytes to frames.

use crate::Frame;
use crate::start::MarkSkipper;

/// Turns the chunks of an event stream into frames, wherever the chunks are cut.
///
/// Lines end at LF, CRLF or CR. A byte order mark at the start is skipped, comments are dropped, several `data:` lines are
/// joined by a line feed, and [`finish`](Decoder::finish) hands out a last frame that lacks its blank line (some providers
/// leave it away). One liberty beyond the standard: a line `error: …` becomes a frame of that name, because older llama.cpp
/// builds and gpustack report failures so (seen 2025).
///
/// A frame whose `data:` line lies whole in one chunk is handed out without a copy.
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of a line whose end has not arrived yet.
    line: Vec<u8>,
    /// The data lines of the open frame, already joined.
    data: Vec<u8>,
    /// Whether the open frame has any data line (an empty one counts).
    data_seen: bool,
    event: Vec<u8>,
    /// The last chunk ended in CR: a LF at the start of the next one belongs to it.
    after_cr: bool,
    start: MarkSkipper,
    frame_bytes_max: usize,
}

/// A frame grew past the limit. The decoder is of no use after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong {
    /// The limit that was passed, in bytes.
    pub frame_bytes_max: usize,
}

impl std::fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an event is longer than {} bytes", self.frame_bytes_max)
    }
}

impl std::error::Error for FrameTooLong {}

impl Decoder {
    /// A decoder that refuses frames whose lines hold more than `frame_bytes_max` bytes.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            data_seen: false,
            event: Vec::new(),
            after_cr: false,
            start: MarkSkipper::default(),
            frame_bytes_max,
        }
    }

    /// Reads one chunk and calls `emit` for each frame that it completes.
    ///
    /// # Errors
    /// [`FrameTooLong`] when the open frame passes the limit; frames before it were handed out.
    pub fn push<'c>(
        &mut self,
        chunk: &'c [u8],
        mut emit: impl FnMut(Frame<'_>),
    ) -> Result<(), FrameTooLong> {
        let mut rest = self.start.skip(chunk, &mut self.line);
        // The one data line of the open frame, as long as it is the only one and lies in this chunk.
        let mut held: Option<&'c [u8]> = None;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.line.extend_from_slice(rest);
                break;
            };
            let line = &rest[..end];
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if self.line.is_empty() {
                self.line_read(line, &mut held, &mut emit);
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.split_line_read(&line, &mut held, &mut emit);
                self.line = line;
                self.line.clear();
            }
            self.check_length(held.map_or(0, <[u8]>::len))?;
        }
        if let Some(data) = held {
            self.append_data(data);
        }
        self.check_length(0)
    }

    /// Hands out what an ended stream left behind: a last frame without its blank line.
    pub fn finish(&mut self, mut emit: impl FnMut(Frame<'_>)) {
        let line = std::mem::take(&mut self.line);
        let mut held = None;
        if !line.is_empty() {
            self.split_line_read(&line, &mut held, &mut emit);
        }
        self.dispatch(held, &mut emit);
    }

    /// Bytes that wait for the rest of their frame.
    pub fn buffered_bytes(&self) -> usize {
        self.line.len() + self.data.len() + self.event.len()
    }

    fn check_length(&self, held_bytes: usize) -> Result<(), FrameTooLong> {
        if self.buffered_bytes() + held_bytes > self.frame_bytes_max {
            return Err(FrameTooLong {
                frame_bytes_max: self.frame_bytes_max,
            });
        }
        Ok(())
    }

    /// Reads a line that lies in the chunk, so that its value can be kept as a borrow.
    fn line_read<'c>(
        &mut self,
        line: &'c [u8],
        held: &mut Option<&'c [u8]>,
        emit: &mut impl FnMut(Frame<'_>),
    ) {
        if line.is_empty() {
            self.dispatch(held.take(), emit);
            return;
        }
        let (name, value) = split_field(line);
        match name {
            b"data" => {}
            b"error" => self.set_event(name),
            b"event" => return self.set_event(value),
            // `id` and `retry` steer reconnection, which no provider supports; a comment has an empty name.
            _ => return,
        }
        if self.data_seen || held.is_some() {
            if let Some(first) = held.take() {
                self.append_data(first);
            }
            self.append_data(value);
        } else {
            *held = Some(value);
        }
    }

    /// Reads a line that was put together from several chunks.
    fn split_line_read(
        &mut self,
        line: &[u8],
        held: &mut Option<&[u8]>,
        emit: &mut impl FnMut(Frame<'_>),
    ) {
        if let Some(first) = held.take() {
            self.append_data(first);
        }
        let mut own = None;
        self.line_read(line, &mut own, emit);
        if let Some(data) = own {
            self.append_data(data);
        }
    }

    fn set_event(&mut self, name: &[u8]) {
        self.event.clear();
        self.event.extend_from_slice(name);
    }

    fn append_data(&mut self, value: &[u8]) {
        if self.data_seen {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.data_seen = true;
    }

    fn dispatch(&mut self, held: Option<&[u8]>, emit: &mut impl FnMut(Frame<'_>)) {
        if held.is_some() || self.data_seen {
            emit(Frame {
                event: &self.event,
                data: held.unwrap_or(&self.data),
            });
        }
        self.data.clear();
        self.data_seen = false;
        self.event.clear();
    }
}

fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = (String, String);

    fn decode(chunks: &[&[u8]]) -> Vec<Owned> {
        let mut frames = Vec::new();
        let mut keep = |frame: Frame<'_>| {
            frames.push((
                String::from_utf8_lossy(frame.event).into_owned(),
                String::from_utf8_lossy(frame.data).into_owned(),
            ));
        };
        let mut decoder = Decoder::new(1 << 20);
        for chunk in chunks {
            decoder.push(chunk, &mut keep).unwrap();
        }
        decoder.finish(&mut keep);
        frames
    }

    fn check(input: &str, expected: &[(&str, &str)]) {
        let expected: Vec<Owned> = expected
            .iter()
            .map(|(event, data)| ((*event).to_owned(), (*data).to_owned()))
            .collect();
        let bytes = input.as_bytes();
        assert_eq!(decode(&[bytes]), expected, "whole: {input:?}");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(decode(&[head, tail]), expected, "cut at {cut}: {input:?}");
        }
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decode(&singles), expected, "byte by byte: {input:?}");
    }

    #[test]
    fn frames() {
        check("data: a\n\n", &[("", "a")]);
        check("data:a\n\ndata:  b\n\n", &[("", "a"), ("", " b")]);
        check("event: x\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]);
        check("data: a\ndata: b\ndata\n\n", &[("", "a\nb\n")]);
        check("data\n\n", &[("", "")]);
        check("event: only\n\n", &[]);
        check(": comment\n\n: keep-alive\ndata: a\n\n", &[("", "a")]);
        check("id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", &[("", "a")]);
    }

    #[test]
    fn line_ends() {
        check("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]);
        check("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]);
        check("data: a\n\r\n\rdata: b\r\n\n", &[("", "a"), ("", "b")]);
        check("data: a\u{2028}b\u{85}c\n\n", &[("", "a\u{2028}b\u{85}c")]);
    }

    #[test]
    fn start_and_end_of_stream() {
        check("\u{feff}data: a\n\n", &[("", "a")]);
        check(
            "data: a\n\ndata: \u{feff}b",
            &[("", "a"), ("", "\u{feff}b")],
        );
        check("data: no blank line\n", &[("", "no blank line")]);
        check("data: no line end", &[("", "no line end")]);
        check("", &[]);
        assert_eq!(decode(&[b"\xEF\xBBdata: x\n\n"]), []);
    }

    #[test]
    fn error_line_is_a_frame() {
        check("error: {\"code\":500}\n\n", &[("error", "{\"code\":500}")]);
    }

    #[test]
    fn length_limit_counts_every_form_of_a_frame() {
        for input in [
            "data: 0123456789\n\n",
            "data: 01234\ndata: 56789\n\n",
            "event: 0123456789\n\n",
            "data: 0123456789",
        ] {
            let mut decoder = Decoder::new(8);
            assert_eq!(
                decoder.push(input.as_bytes(), |_| {}),
                Err(FrameTooLong { frame_bytes_max: 8 }),
                "{input:?}"
            );
        }
        let mut decoder = Decoder::new(8);
        for _ in 0..100 {
            decoder.push(b"data: 01234567\n\n", |_| {}).unwrap();
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "data: {\"a\":1}", "data:", "event: e", ": c", "\n", "\r", "\r\n", "\n\n", "é", "\u{feff}", "error: x", "x",
            ]), 0..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = pieces.concat();
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(decode(&chunks), decode(&[bytes]));
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let whole = decode(&[&bytes]);
            let singles: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(decode(&singles), whole);
        }
    }
}
