//! Bytes to lines.

use crate::start::MarkSkipper;
use crate::{Frame, FrameTooLong};

/// Turns the chunks of a stream that has one value per line (NDJSON) into frames, wherever the chunks are cut.
///
/// Each line that holds anything but blanks becomes a frame without a name whose data is the line, blanks and all. Lines end at
/// LF, CRLF or CR, which JSON never holds unescaped; a byte order mark at the start is skipped; and
/// [`finish`](LineDecoder::finish) hands out a last line that lacks its end.
///
/// A line that lies whole in one chunk is handed out without a copy.
#[derive(Debug)]
pub struct LineDecoder {
    /// The beginning of a line whose end has not arrived yet.
    line: Vec<u8>,
    start: MarkSkipper,
    line_bytes_max: usize,
}

impl LineDecoder {
    /// A decoder that refuses lines of more than `line_bytes_max` bytes.
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            start: MarkSkipper::default(),
            line_bytes_max,
        }
    }

    /// Reads one chunk and calls `emit` for each line that it completes.
    ///
    /// # Errors
    /// [`FrameTooLong`] when a line passes the limit; lines before it were handed out. The decoder is of no use after it.
    pub fn push(
        &mut self,
        chunk: &[u8],
        mut emit: impl FnMut(Frame<'_>),
    ) -> Result<(), FrameTooLong> {
        let mut rest = self.start.skip(chunk, &mut self.line);
        while !rest.is_empty() {
            // The LF of a CRLF ends an empty line, which is no line to us; so a CR is an end by itself.
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.check_length(rest.len())?;
                self.line.extend_from_slice(rest);
                break;
            };
            let line = &rest[..end];
            rest = &rest[end + 1..];
            self.check_length(line.len())?;
            if self.line.is_empty() {
                dispatch(line, &mut emit);
            } else {
                self.line.extend_from_slice(line);
                dispatch(&self.line, &mut emit);
                self.line.clear();
            }
        }
        self.check_length(0)
    }

    /// Hands out what an ended stream left behind: a last line without its end.
    pub fn finish(&mut self, mut emit: impl FnMut(Frame<'_>)) {
        let line = std::mem::take(&mut self.line);
        dispatch(&line, &mut emit);
    }

    /// Bytes that wait for the rest of their line.
    pub fn buffered_bytes(&self) -> usize {
        self.line.len()
    }

    fn check_length(&self, further_bytes: usize) -> Result<(), FrameTooLong> {
        if self.line.len().saturating_add(further_bytes) > self.line_bytes_max {
            return Err(FrameTooLong {
                frame_bytes_max: self.line_bytes_max,
            });
        }
        Ok(())
    }
}

fn dispatch(line: &[u8], emit: &mut impl FnMut(Frame<'_>)) {
    if !line.trim_ascii().is_empty() {
        emit(Frame {
            event: b"",
            data: line,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut keep = |frame: Frame<'_>| {
            assert!(frame.event.is_empty());
            lines.push(frame.data.to_vec());
        };
        let mut decoder = LineDecoder::new(1 << 20);
        for chunk in chunks {
            decoder.push(chunk, &mut keep).unwrap();
        }
        decoder.finish(&mut keep);
        decoder.finish(&mut keep);
        assert_eq!(decoder.buffered_bytes(), 0);
        lines
    }

    fn check(input: &str, expected: &[&str]) {
        let expected: Vec<Vec<u8>> = expected
            .iter()
            .map(|line| line.as_bytes().to_vec())
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
    fn lines() {
        check("", &[]);
        check("{\"a\":1}\n{\"b\":2}\n", &["{\"a\":1}", "{\"b\":2}"]);
        check("a\r\nb\rc\n\rd", &["a", "b", "c", "d"]);
        check("\n \n\t\r\n  a \n\n", &["  a "]);
        check("\u{feff}a\n\u{feff}b", &["a", "\u{feff}b"]);
        check("a\u{2028}b\u{85}c\n", &["a\u{2028}b\u{85}c"]);
        check(
            "data: {}\n\n: c\nevent: x\n",
            &["data: {}", ": c", "event: x"],
        );
        assert_eq!(decode(&[b"\xEF\xBBx\n"]), [b"\xEF\xBBx"]);
    }

    #[test]
    fn long_lines_are_refused_before_they_fill_the_memory() {
        for input in ["0123456789\n", "0123456789", "a\n0123456789"] {
            let refused = Err(FrameTooLong { frame_bytes_max: 8 });
            let mut decoder = LineDecoder::new(8);
            assert_eq!(decoder.push(input.as_bytes(), |_| {}), refused, "{input:?}");
            let mut decoder = LineDecoder::new(8);
            let pushed = input.bytes().map(|byte| decoder.push(&[byte], |_| {}));
            assert_eq!(pushed.collect::<Result<Vec<()>, _>>().map(|_| ()), refused);
        }
        let mut decoder = LineDecoder::new(8);
        for _ in 0..100 {
            decoder.push(b"01234567\n", |_| {}).unwrap();
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{\"a\":1}", "\n", "\r", "\r\n", " ", "é", "\u{feff}", "x",
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
