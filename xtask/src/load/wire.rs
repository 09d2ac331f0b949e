//! The least of HTTP/1.1 that both ends of the measurement need: heads, and bodies that are mostly skipped.
//!
//! Written for little cost rather than for generality: the two ends must stay cheap beside what lies between them.

use anyhow::{Context, Result, bail, ensure};
use std::ops::ControlFlow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes read at once; also the longest head.
const BUFFER_BYTES: usize = 32 * 1024;

/// One connection with its read buffer.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// What was read and not yet used: `buffer[start..end]`.
    start: usize,
    end: usize,
}

impl Wire {
    /// Takes over a connection and turns Nagle's algorithm off.
    pub(super) fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
        })
    }

    /// Sends bytes; one call is one write unless the socket is full.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Reads a head with its empty line, or `None` if the peer closed the connection instead of sending one.
    pub(super) async fn read_head(&mut self) -> Result<Option<String>> {
        loop {
            let waiting = &self.buffer[self.start..self.end];
            if let Some(length) = head_length(waiting) {
                let head = String::from_utf8_lossy(&waiting[..length]).into_owned();
                self.start += length;
                return Ok(Some(head));
            }
            if self.fill().await? == 0 {
                ensure!(self.start == self.end, "the peer closed inside a head");
                return Ok(None);
            }
        }
    }

    /// Reads a body, handing its pieces to `observe` until the body ends or `observe` has seen enough.
    pub(super) async fn read_body(
        &mut self,
        body: &mut Body,
        mut observe: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        while !body.is_complete() {
            if self.start == self.end && self.fill().await? == 0 {
                ensure!(body.ends_at_close(), "the peer closed inside a body");
                return Ok(());
            }
            let mut flow = ControlFlow::Continue(());
            self.start += body.read(&self.buffer[self.start..self.end], |piece| {
                if flow.is_continue() {
                    flow = observe(piece);
                }
            })?;
            if flow.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            ensure!(self.start > 0, "a head is longer than {BUFFER_BYTES} bytes");
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let count = self.stream.read(&mut self.buffer[self.end..]).await?;
        self.end += count;
        Ok(count)
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Where a body ends, and how far it was read.
#[derive(Debug)]
pub(super) struct Body(State);

#[derive(Debug)]
enum State {
    /// Bytes left of a body with a `Content-Length`.
    Length(u64),
    UntilClose,
    /// In the line with a chunk's size; the digits so far.
    ChunkSize(u64),
    /// Bytes left of a chunk.
    Chunk(u64),
    /// Before the line feed that ends a chunk.
    ChunkEnd,
    /// In the trailers; whether the line has any byte yet.
    Trailer {
        line_is_empty: bool,
    },
    Complete,
}

impl Body {
    /// The body that follows a head. A request without a length has none; an answer goes on until the peer closes.
    pub(super) fn after(head: &str) -> Result<Self> {
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        for (name, value) in fields {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                return Ok(Self(State::Length(value.parse().context("a bad length")?)));
            }
            if name.eq_ignore_ascii_case("transfer-encoding") {
                ensure!(
                    value.eq_ignore_ascii_case("chunked"),
                    "transfer encoding `{value}`"
                );
                return Ok(Self(State::ChunkSize(0)));
            }
        }
        let is_answer = head.starts_with("HTTP/");
        Ok(Self(if is_answer {
            State::UntilClose
        } else {
            State::Length(0)
        }))
    }

    fn is_complete(&self) -> bool {
        matches!(self.0, State::Complete | State::Length(0))
    }

    fn ends_at_close(&self) -> bool {
        matches!(self.0, State::UntilClose)
    }

    /// Reads what it can of `bytes`, hands out the content and returns how many bytes belonged to the body.
    fn read(&mut self, bytes: &[u8], mut piece: impl FnMut(&[u8])) -> Result<usize> {
        let mut used = 0;
        while used < bytes.len() && !self.is_complete() {
            let rest = &bytes[used..];
            used += match &mut self.0 {
                State::UntilClose => {
                    piece(rest);
                    rest.len()
                }
                State::Length(left) | State::Chunk(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    piece(&rest[..count]);
                    *left -= count as u64;
                    if matches!(self.0, State::Chunk(0)) {
                        self.0 = State::ChunkEnd;
                    }
                    count
                }
                State::ChunkSize(_) | State::ChunkEnd | State::Trailer { .. } => {
                    self.read_frame_byte(rest[0])?;
                    1
                }
                State::Complete => 0,
            };
        }
        Ok(used)
    }

    fn read_frame_byte(&mut self, byte: u8) -> Result<()> {
        match (&mut self.0, byte) {
            (State::ChunkSize(size), b'\n') => {
                self.0 = match *size {
                    0 => State::Trailer {
                        line_is_empty: true,
                    },
                    size => State::Chunk(size),
                };
            }
            (State::ChunkSize(size), _) => {
                if let Some(digit) = (byte as char).to_digit(16) {
                    *size = *size * 16 + u64::from(digit);
                } else if byte != b'\r' {
                    bail!("a bad chunk size");
                }
            }
            (State::ChunkEnd, b'\n') => self.0 = State::ChunkSize(0),
            (State::Trailer { line_is_empty }, b'\n') => {
                if *line_is_empty {
                    self.0 = State::Complete;
                } else {
                    *line_is_empty = true;
                }
            }
            (State::Trailer { line_is_empty }, byte) => *line_is_empty &= byte == b'\r',
            // The carriage return before the line feed that ends a chunk.
            (State::ChunkEnd, _) => {}
            (State::Length(_) | State::UntilClose | State::Chunk(_) | State::Complete, _) => {}
        }
        Ok(())
    }
}

/// The bytes of an HTTP chunk around `content`.
pub(super) fn chunk(content: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:x}\r\n", content.len()).into_bytes();
    framed.extend_from_slice(content);
    framed.extend_from_slice(b"\r\n");
    framed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` cut at every place, and expects the content and what is left over.
    fn check(head: &str, bytes: &str, content: &str, left_over: &str) {
        for cut in 0..=bytes.len() {
            let mut body = Body::after(head).unwrap();
            let mut seen = String::new();
            let mut left = String::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                let used = body
                    .read(part.as_bytes(), |piece| {
                        seen.push_str(std::str::from_utf8(piece).unwrap());
                    })
                    .unwrap();
                left.push_str(&part[used..]);
            }
            assert_eq!((seen.as_str(), left.as_str()), (content, left_over));
        }
    }

    #[test]
    fn bodies_end_where_they_should() {
        check("POST / HTTP/1.1\r\n\r\n", "next", "", "next");
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "helloHTTP",
            "hello",
            "HTTP",
        );
        check("HTTP/1.1 200 OK\r\n\r\n", "all of it", "all of it", "");
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "5\r\nhello\r\n00A\r\n, wide wor\r\n0\r\n\r\nnext",
            "hello, wide wor",
            "next",
        );
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "1\r\nx\r\n0\r\ntrailer: y\r\n\r\nz",
            "x",
            "z",
        );
    }

    #[test]
    fn bad_framing_is_an_error() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut body = Body::after(head).unwrap();
        assert!(body.read(b"zz\r\n", |_| {}).is_err());
        assert!(Body::after("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_carry_their_size() {
        assert_eq!(chunk(b"0123456789abcdef"), b"10\r\n0123456789abcdef\r\n");
    }
}
