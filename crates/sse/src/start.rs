//! The start of a stream of bytes.

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Skips a byte order mark at the start of a stream, however it is cut.
#[derive(Debug, Default)]
pub(crate) struct MarkSkipper {
    /// Bytes of the mark seen so far; 3 once the start of the stream is behind us.
    matched: u8,
}

impl MarkSkipper {
    /// Gives what of the chunk is not the mark. What looked like the mark and was none goes to `line`, where it belongs.
    pub(crate) fn skip<'c>(&mut self, mut chunk: &'c [u8], line: &mut Vec<u8>) -> &'c [u8] {
        while self.matched < 3 && !chunk.is_empty() {
            let matched = usize::from(self.matched);
            if chunk[0] != BYTE_ORDER_MARK[matched] {
                line.extend_from_slice(&BYTE_ORDER_MARK[..matched]);
                self.matched = 3;
                break;
            }
            self.matched += 1;
            chunk = &chunk[1..];
        }
        chunk
    }
}
