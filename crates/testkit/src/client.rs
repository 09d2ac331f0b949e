//! An HTTP client that hides nothing: one connection per request, no retries, no redirects.

use std::io;
use std::net::SocketAddr;

use polywire_sse::Decoder;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::http1::{BodyEnd, BodyReader, Buffered, Headers};
use crate::wait::within;

/// Longer than any event that a test makes.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    /// Sent with `Content-Length`.
    Whole(Vec<u8>),
    /// Sent in chunks, each in a write of its own.
    Chunks(Vec<Vec<u8>>),
}

impl Call {
    /// A request without a body.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path, Body::None)
    }

    /// A JSON request.
    pub fn post(path: &str, body: &Value) -> Self {
        Self::post_bytes(path, body.to_string())
    }

    /// A request that says it is JSON, whatever its bytes are.
    pub fn post_bytes(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path, Body::Whole(body.into())).header("content-type", "application/json")
    }

    fn new(method: &str, path: &str, body: Body) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            headers: Vec::new(),
            body,
        }
    }

    /// The same request with another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    /// The same request with this header field, in place of any other of its name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same request with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The same request with the header fields by which Codex is known.
    #[must_use]
    pub fn as_codex(self) -> Self {
        self.header("originator", "codex_exec")
            .header(
                "user-agent",
                "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)",
            )
            .header("accept", "text/event-stream")
    }

    /// The same request with its body in chunks of `size` bytes, each in a write of its own.
    #[must_use]
    pub fn in_chunks(mut self, size: usize) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = Body::Chunks(bytes.chunks(size).map(<[u8]>::to_vec).collect());
        }
        self
    }

    /// Sends the request without waiting for an answer.
    pub async fn dispatch(&self, to: SocketAddr) -> Sent {
        within("a connection", self.try_dispatch(to))
            .await
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path))
    }

    /// Sends the request and waits for the head of the answer.
    pub async fn open(&self, to: SocketAddr) -> Exchange {
        self.dispatch(to).await.head().await
    }

    /// Sends the request and waits for the whole answer.
    pub async fn send(&self, to: SocketAddr) -> Answer {
        self.open(to).await.rest().await
    }

    async fn try_dispatch(&self, to: SocketAddr) -> io::Result<Sent> {
        let mut stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        // A server may refuse by the head alone and close. Writing then fails, but its answer is there to be read.
        self.write(&mut stream, to).await.ok();
        Ok(Sent {
            connection: Buffered::new(stream),
        })
    }

    async fn write(&self, stream: &mut TcpStream, to: SocketAddr) -> io::Result<()> {
        stream.write_all(self.head(to).as_bytes()).await?;
        match &self.body {
            Body::None => Ok(()),
            Body::Whole(bytes) => stream.write_all(bytes).await,
            Body::Chunks(chunks) => {
                for chunk in chunks {
                    let mut bytes = format!("{:x}\r\n", chunk.len()).into_bytes();
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                    stream.write_all(&bytes).await?;
                }
                stream.write_all(b"0\r\n\r\n").await
            }
        }
    }

    fn head(&self, to: SocketAddr) -> String {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.path)];
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            lines.push(format!("host: {to}"));
        }
        lines.extend(
            self.headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        match &self.body {
            Body::None => {}
            Body::Whole(bytes) => lines.push(format!("content-length: {}", bytes.len())),
            Body::Chunks(_) => lines.push("transfer-encoding: chunked".into()),
        }
        lines.join("\r\n") + "\r\n\r\n"
    }
}

/// A request on its way. Dropping it closes the connection.
#[derive(Debug)]
pub struct Sent {
    connection: Buffered<TcpStream>,
}

impl Sent {
    /// Waits for the head of the answer; interim answers are passed over.
    pub async fn head(mut self) -> Exchange {
        let (status, headers, end) = within("the head of an answer", self.read_head())
            .await
            .unwrap_or_else(|error| panic!("no answer: {error}"));
        Exchange {
            status,
            headers,
            connection: self.connection,
            body: BodyReader::new(end),
            frames: Frames::default(),
        }
    }

    async fn read_head(&mut self) -> io::Result<(u16, Headers, BodyEnd)> {
        loop {
            let head = self.connection.head().await?;
            let head = head.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = head.start_line.split(' ').nth(1).map(str::parse);
            let Some(Ok(status)) = status else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let end = match status {
                100 | 102 | 103 => continue,
                204 | 304 => BodyEnd::Length(0),
                _ => head.body_end(BodyEnd::Close),
            };
            return Ok((status, head.headers, end));
        }
    }
}

/// An answer whose head is here and whose body is arriving. Dropping it closes the connection.
#[derive(Debug)]
pub struct Exchange {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    connection: Buffered<TcpStream>,
    body: BodyReader,
    frames: Frames,
}

impl Exchange {
    /// The next event of an event stream; `None` at the end, proper or not.
    pub async fn next_event(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.frames.next() {
                return Some(event);
            }
            match within("the next event", self.body.next(&mut self.connection)).await {
                Ok(Some(piece)) => self.frames.push(&piece),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Events up to the first of this type, which is the last of them.
    pub async fn events_until(&mut self, kind: &str) -> Vec<SseEvent> {
        let mut events = Vec::new();
        let found = within(kind, async {
            while let Some(event) = self.next_event().await {
                let found = event.kind() == kind;
                events.push(event);
                if found {
                    return true;
                }
            }
            false
        });
        assert!(
            found.await,
            "the stream ended without `{kind}`: {events:#?}"
        );
        events
    }

    /// Waits for the whole body.
    pub async fn rest(mut self) -> Answer {
        let mut body = Vec::new();
        // The whole body is bounded, not each piece: a stream of heartbeats must not go on for ever.
        let whole = within("the rest of a body", async {
            loop {
                match self.body.next(&mut self.connection).await {
                    Ok(Some(piece)) => body.extend_from_slice(&piece),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            }
        })
        .await;
        Answer {
            status: self.status,
            headers: self.headers,
            body,
            whole,
        }
    }
}

#[derive(Debug)]
struct Frames {
    decoder: Decoder,
    ready: std::collections::VecDeque<SseEvent>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(EVENT_BYTES_MAX),
            ready: std::collections::VecDeque::new(),
        }
    }
}

impl Frames {
    fn push(&mut self, bytes: &[u8]) {
        let ready = &mut self.ready;
        self.decoder
            .push(bytes, |frame| {
                ready.push_back(SseEvent {
                    name: String::from_utf8_lossy(frame.event).into_owned(),
                    data: String::from_utf8_lossy(frame.data).into_owned(),
                });
            })
            .expect("events of a size that a test expects");
    }

    fn next(&mut self) -> Option<SseEvent> {
        self.ready.pop_front()
    }
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event:` field.
    pub name: String,
    /// The joined `data:` lines.
    pub data: String,
}

impl SseEvent {
    /// The data as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    /// The `type` member of the data, empty when there is none.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// Whether the body came to its proper end.
    pub whole: bool,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// The body as events.
    pub fn events(&self) -> Vec<SseEvent> {
        let mut frames = Frames::default();
        frames.push(&self.body);
        frames.ready.into()
    }
}
