//! The event-stream decoder: where the chunks are cut changes nothing, and the limit holds.

use crate::cuts;
use polywire_sse::{Decoder, FrameTooLong};

/// Larger than any input, so that only the second check meets a limit.
const UNLIMITED: usize = 64 << 20;

/// Decodes a stream whole, byte by byte and cut as the header says, and expects the same frames; then decodes it under a small
/// limit and expects that no more than that is ever held.
pub fn sse_decoder(input: &[u8]) {
    let (header, stream) = cuts::split(input);
    let (limit, sizes) = (usize::from(header[0]), &header[1..]);
    let whole = decode(&[stream]);
    assert_eq!(decode(&cuts::chunks(stream, &[0])), whole, "byte by byte");
    assert_eq!(decode(&cuts::chunks(stream, sizes)), whole, "cut");
    keeps_limit(&cuts::chunks(stream, sizes), limit);
}

type OwnedFrame = (Vec<u8>, Vec<u8>);

fn decode(chunks: &[&[u8]]) -> Vec<OwnedFrame> {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(UNLIMITED);
    for chunk in chunks {
        let read = decoder.push(chunk, |frame| {
            frames.push((frame.event.to_vec(), frame.data.to_vec()));
        });
        assert_eq!(read, Ok(()));
    }
    decoder.finish(|frame| frames.push((frame.event.to_vec(), frame.data.to_vec())));
    frames
}

fn keeps_limit(chunks: &[&[u8]], limit: usize) {
    let mut decoder = Decoder::new(limit);
    for chunk in chunks {
        // The limit counts what is kept of a frame: a frame that lies whole in one chunk may be as long as that chunk.
        let longest = limit + chunk.len();
        let read = decoder.push(chunk, |frame| {
            assert!(
                frame.data.len() <= longest,
                "a frame of {}",
                frame.data.len()
            );
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
