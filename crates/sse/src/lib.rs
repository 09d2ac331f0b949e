//! Server-sent events: bytes to frames, and frames to bytes; and lines, for providers that send one JSON value per line.
//!
//! This crate knows the event-stream format of the WHATWG HTML standard (section 9.2) and nothing about what the frames
//! mean. It holds no I/O and never waits. Start with [`Decoder`], then [`FrameBuffer`]
//! and [`LineDecoder`].

mod decode;
mod encode;
mod lines;
mod start;

pub use decode::{Decoder, FrameTooLong};
pub use encode::FrameBuffer;
pub use lines::LineDecoder;

/// One frame of an event stream: what stands between two blank lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field, empty when the frame has none.
    pub event: &'a [u8],
    /// The `data:` lines joined by a line feed. Not checked to be UTF-8.
    pub data: &'a [u8],
}
