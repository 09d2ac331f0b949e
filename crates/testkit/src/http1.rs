//! As much of HTTP/1.1 (RFC 9112) as a test needs: heads, bodies by length and by chunks.
//!
//! Written by hand rather than taken from a library, because tests must be able to send and to see what no library would.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Header fields in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of a field; names compare without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// The first line of a message and its header fields.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) start_line: String,
    pub(crate) headers: Headers,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyEnd {
    Length(usize),
    Chunked,
    Close,
}

impl Head {
    /// The end of this message's body; `otherwise` when no field says.
    pub(crate) fn body_end(&self, otherwise: BodyEnd) -> BodyEnd {
        let chunked = self
            .headers
            .get("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
        let length = self.headers.get("content-length").map(str::parse);
        match (chunked, length) {
            (true, _) => BodyEnd::Chunked,
            (false, Some(Ok(length))) => BodyEnd::Length(length),
            (false, Some(Err(_)) | None) => otherwise,
        }
    }
}

/// A stream that is read by lines and lengths.
#[derive(Debug)]
pub(crate) struct Buffered<S> {
    pub(crate) stream: S,
    pub(crate) bytes: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Buffered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
        }
    }

    /// The head of the next message; `None` when the peer closed instead of beginning one.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        let mut lines = Vec::new();
        loop {
            match self.line().await? {
                None if lines.is_empty() => return Ok(None),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(line) if line.is_empty() => break,
                Some(line) => lines.push(line),
            }
        }
        let mut lines = lines.into_iter();
        let start_line = lines.next().unwrap_or_default();
        let headers = lines
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_owned(), value.trim().to_owned()))
            })
            .collect();
        Ok(Some(Head {
            start_line,
            headers: Headers(headers),
        }))
    }

    /// A whole body.
    pub(crate) async fn body(&mut self, end: BodyEnd) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut reader = BodyReader::new(end);
        while let Some(piece) = reader.next(self).await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.bytes.len() < length {
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.bytes.drain(..length).collect())
    }

    /// What is there, up to a limit; waits when nothing is, and is empty only at the end of the stream.
    async fn at_most(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        if self.bytes.is_empty() {
            self.fill().await?;
        }
        let length = self.bytes.len().min(limit);
        Ok(self.bytes.drain(..length).collect())
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.bytes).await
    }
}

/// Hands out a body piece by piece, as it arrives.
#[derive(Debug)]
pub(crate) struct BodyReader {
    end: BodyEnd,
    done: bool,
}

impl BodyReader {
    pub(crate) fn new(end: BodyEnd) -> Self {
        Self { end, done: false }
    }

    /// The next piece; `None` at the proper end of the body. An early end is an error.
    pub(crate) async fn next<S: AsyncRead + Unpin>(
        &mut self,
        from: &mut Buffered<S>,
    ) -> io::Result<Option<Vec<u8>>> {
        if self.done {
            return Ok(None);
        }
        let piece = match self.end {
            BodyEnd::Length(0) => Vec::new(),
            BodyEnd::Length(left) => {
                let piece = from.at_most(left).await?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.end = BodyEnd::Length(left - piece.len());
                piece
            }
            BodyEnd::Chunked => chunk(from).await?,
            BodyEnd::Close => from.at_most(usize::MAX).await?,
        };
        self.done |= piece.is_empty();
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// One chunk; empty for the last one, whose trailer is read away.
async fn chunk<S: AsyncRead + Unpin>(from: &mut Buffered<S>) -> io::Result<Vec<u8>> {
    let line = from.line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let size = line.split(';').next().unwrap_or_default().trim();
    let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
    if size == 0 {
        while from.line().await?.is_some_and(|line| !line.is_empty()) {}
        return Ok(Vec::new());
    }
    let piece = from.exactly(size).await?;
    from.line().await?;
    Ok(piece)
}
