//! The line decoder: where the chunks are cut changes nothing, and the limit holds.

use crate::cuts;
use polywire_sse::{FrameTooLong, LineDecoder};

/// Larger than any input, so that only the second check meets a limit.
const UNLIMITED: usize = 64 << 20;

/// A byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes a stream whole, byte by byte and cut as the header says, and expects the same lines, those that anybody finds by
/// splitting the text; then decodes it under a small limit and expects that no more than that is ever held.
pub fn line_decoder(input: &[u8]) {
    let (header, stream) = cuts::split(input);
    let (limit, sizes) = (usize::from(header[0]), &header[1..]);
    let whole = decode(&[stream]);
    assert_eq!(whole, split(stream));
    assert_eq!(decode(&cuts::chunks(stream, &[0])), whole, "byte by byte");
    assert_eq!(decode(&cuts::chunks(stream, sizes)), whole, "cut");
    keeps_limit(&cuts::chunks(stream, sizes), limit);
}

fn decode(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut decoder = LineDecoder::new(UNLIMITED);
    for chunk in chunks {
        let read = decoder.push(chunk, |frame| {
            assert!(frame.event.is_empty(), "a line has no name");
            lines.push(frame.data.to_vec());
        });
        assert_eq!(read, Ok(()));
    }
    decoder.finish(|frame| lines.push(frame.data.to_vec()));
    assert_eq!(decoder.buffered_bytes(), 0);
    lines
}

/// The lines in the simplest way. A stream that ends inside its byte order mark has none.
fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    if MARK.starts_with(stream) {
        return Vec::new();
    }
    let stream = stream.strip_prefix(MARK).unwrap_or(stream);
    stream
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| !line.trim_ascii().is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn keeps_limit(chunks: &[&[u8]], limit: usize) {
    let mut decoder = LineDecoder::new(limit);
    for chunk in chunks {
        let read = decoder.push(chunk, |frame| {
            assert!(frame.data.len() <= limit, "a line of {}", frame.data.len());
        });
        match read {
            Ok(()) => assert!(decoder.buffered_bytes() <= limit),
            Err(FrameTooLong { frame_bytes_max }) => {
                assert_eq!(frame_bytes_max, limit);
                return;
            }
        }
    }
}
