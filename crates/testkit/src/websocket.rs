//! A WebSocket client that hides nothing: no retries, and every close code is told.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::wait::within;

/// Whether an event ends an answer. An `error` inside a stream has no status, and `response.failed` follows it.
fn is_terminal(event: &Value) -> bool {
    match event["type"].as_str() {
        Some("response.completed" | "response.incomplete" | "response.failed") => true,
        Some("error") => event["status"].is_u64(),
        Some(_) | None => false,
    }
}

/// A request for a WebSocket.
#[derive(Clone, Debug)]
pub struct Upgrade {
    path: String,
    headers: Vec<(String, String)>,
}

/// A server's refusal to open a WebSocket.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The body, as far as it came with the head.
    pub body: String,
}

impl Upgrade {
    /// A WebSocket at this path.
    pub fn at(path: &str) -> Self {
        Self {
            path: path.into(),
            headers: Vec::new(),
        }
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
            .header("openai-beta", "responses_websockets=2026-02-06")
    }

    /// Opens the WebSocket, which must succeed.
    pub async fn open(&self, to: SocketAddr) -> Socket {
        match self.try_open(to).await {
            Ok(socket) => socket,
            Err(refused) => panic!("no WebSocket at {}: {refused:?}", self.path),
        }
    }

    /// Opens the WebSocket, or gives the server's refusal.
    pub async fn try_open(&self, to: SocketAddr) -> Result<Socket, Refused> {
        let stream = within("a connection", TcpStream::connect(to))
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.path));
        stream.set_nodelay(true).expect("an option of a socket");
        let handshake = tokio_tungstenite::client_async(self.request(to), stream);
        match within("a handshake", handshake).await {
            Ok((stream, _)) => Ok(Socket { stream }),
            Err(Error::Http(response)) => Err(Refused {
                status: response.status().as_u16(),
                body: response
                    .body()
                    .as_ref()
                    .map(|body| String::from_utf8_lossy(body).into_owned())
                    .unwrap_or_default(),
            }),
            Err(error) => panic!("{}: {error}", self.path),
        }
    }

    fn request(&self, to: SocketAddr) -> Request<()> {
        let key = tokio_tungstenite::tungstenite::handshake::client::generate_key();
        let mut request = Request::builder()
            .uri(format!("ws://{to}{}", self.path))
            .header("host", to.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", key)
            .body(())
            .expect("a request");
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a field name");
            let value: HeaderValue = value.parse().expect("a field value");
            request.headers_mut().insert(name, value);
        }
        request
    }
}

/// What came on a WebSocket.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A text message, which is JSON.
    Json(Value),
    /// The server closed the connection with this code and reason.
    Closed(u16, String),
    /// The connection ended without a word.
    Broken,
}

/// An open WebSocket. Dropping it ends the connection without a close frame, as Codex does.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Sends a JSON message.
    pub async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends a text message, JSON or not.
    pub async fn send_text(&mut self, text: &str) {
        self.deliver(Message::text(text)).await;
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.deliver(Message::binary(bytes.to_vec())).await;
    }

    /// Sends a close frame.
    pub async fn close(&mut self) {
        self.deliver(Message::Close(None)).await;
    }

    async fn deliver(&mut self, message: Message) {
        within("a message to be sent", self.stream.send(message))
            .await
            .expect("an open WebSocket");
    }

    /// Sends nothing but the head of a text message of this many bytes.
    pub async fn announce(&mut self, bytes: u64) {
        // FIN and text; masked, with a length of eight bytes; the mask.
        let mut head = vec![0x81, 0xff];
        head.extend_from_slice(&bytes.to_be_bytes());
        head.extend_from_slice(&[0; 4]);
        let stream = self.stream.get_mut();
        stream.write_all(&head).await.expect("an open connection");
    }

    /// The next message; pings are answered and passed over.
    pub async fn next(&mut self) -> Heard {
        loop {
            match within("a message", self.stream.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let json = serde_json::from_str(&text);
                    return Heard::Json(
                        json.unwrap_or_else(|error| panic!("not JSON ({error}): {text}")),
                    );
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(
                    Ok(Message::Binary(_) | Message::Close(None) | Message::Frame(_)) | Err(_),
                )
                | None => return Heard::Broken,
            }
        }
    }

    /// The next message, which must be JSON.
    pub async fn event(&mut self) -> Value {
        match self.next().await {
            Heard::Json(event) => event,
            other => panic!("{other:?} in the place of an event"),
        }
    }

    /// The events of one answer, the last of which ends it.
    pub async fn answer(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let ends = is_terminal(&event);
            events.push(event);
            if ends {
                return events;
            }
        }
    }

    /// Asks, and gives the events of the answer.
    pub async fn ask(&mut self, request: &Value) -> Vec<Value> {
        self.send(request).await;
        self.answer().await
    }

    /// Waits for the server to close the connection; gives code and reason. Whatever comes before is passed over.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Heard::Json(_) => {}
                Heard::Closed(code, reason) => return (code, reason),
                Heard::Broken => panic!("the connection ended without a close frame"),
            }
        }
    }
}
