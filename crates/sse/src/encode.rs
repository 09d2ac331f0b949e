//! Frames to bytes.

/// Frames on their way to a client, framed as server-sent events.
///
/// A frame is written between [`open`](FrameBuffer::open) and [`close`](FrameBuffer::close); what lies between must hold no
/// line break, which JSON text without insignificant white space never does.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// The size of what was taken last: the next piece is most likely of that size, and a buffer that need not grow is not copied.
    taken_bytes: usize,
}

/// The least that is set aside for a piece: one frame of a few words.
const PIECE_BYTES_MIN: usize = 512;

impl FrameBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a frame with an `event:` line and gives the buffer for its data.
    pub fn open(&mut self, event: &str) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(self.taken_bytes.max(PIECE_BYTES_MIN));
        }
        self.bytes.extend_from_slice(b"event: ");
        self.bytes.extend_from_slice(event.as_bytes());
        self.bytes.extend_from_slice(b"\ndata: ");
        &mut self.bytes
    }

    /// Begins a frame without an `event:` line, as Chat Completions has them, and gives the buffer for its data.
    pub fn open_unnamed(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(self.taken_bytes.max(PIECE_BYTES_MIN));
        }
        self.bytes.extend_from_slice(b"data: ");
        &mut self.bytes
    }

    /// The bytes of the open frame, to go on writing it.
    pub fn data(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the open frame.
    pub fn close(&mut self) {
        self.bytes.extend_from_slice(b"\n\n");
    }

    /// Writes a comment, which every reader of server-sent events skips: a sign of life that is no event. `text` must hold no line
    /// break.
    pub fn comment(&mut self, text: &str) {
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\n\n");
    }

    /// Whether nothing is waiting to be sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The number of bytes waiting to be sent.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets what was written so far.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Takes what was written so far, leaving the buffer empty.
    pub fn take(&mut self) -> Vec<u8> {
        self.taken_bytes = self.bytes.len();
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decoder;

    #[test]
    fn comments_are_no_frames() {
        let mut frames = FrameBuffer::new();
        frames.comment("waiting");
        frames.open_unnamed().extend_from_slice(b"1");
        frames.close();
        frames.comment("waiting");
        let bytes = frames.take();
        assert_eq!(bytes, b": waiting\n\ndata: 1\n\n: waiting\n\n");
        let mut read = Vec::new();
        Decoder::new(1024)
            .push(&bytes, |frame| read.push(frame.data.to_vec()))
            .unwrap();
        assert_eq!(read, [b"1"]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut frames = FrameBuffer::new();
        for number in 0..3 {
            frames.open("tick").extend_from_slice(b"{\"n\":");
            frames
                .data()
                .extend_from_slice(number.to_string().as_bytes());
            frames.data().push(b'}');
            frames.close();
        }
        let mut read = Vec::new();
        Decoder::new(1024)
            .push(&frames.take(), |frame| {
                assert_eq!(frame.event, b"tick");
                read.push(String::from_utf8(frame.data.to_vec()).unwrap());
            })
            .unwrap();
        assert_eq!(read, ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"]);
        assert!(frames.is_empty());
    }
}
