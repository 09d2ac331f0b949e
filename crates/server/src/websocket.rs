//! Responses over a WebSocket: several turns on one connection, one after the other.
//!
//! Each text message of the client is a `response.create`; the answer's events come back as one text message each, the same JSON
//! as over HTTP (observed with codex-cli 0.169.0; Open Responses 2026-04-24). A message with `generate: false` only warms the
//! connection and is answered here. A request may go on from an earlier response of the same connection, stored or not.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use http_body_util::BodyExt;
use polywire_conversation::Fault;
use polywire_gateway::limits::{
    FRAME_BYTES_MAX, OVERLOAD_RETRY_AFTER, REQUEST_BYTES_MAX, SOCKET_IDLE_TIMEOUT,
    SOCKET_PING_INTERVAL,
};
use polywire_gateway::turn::{self, Accepted, Answer};
use polywire_gateway::{Client, ClientDialect, ConnectionMemory};
use polywire_sse::Decoder;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error_page::overloaded;
use crate::routes::{App, fresh_turn_id};

/// What one connection keeps.
struct Connection {
    app: Arc<App>,
    client: Client,
    memory: ConnectionMemory,
    /// The gateway stops when the turn at work has ended.
    stop: CancellationToken,
    socket: WebSocket,
    /// A request that came while a turn was at work.
    waiting: Option<Utf8Bytes>,
}

/// Why a connection ends.
enum End {
    /// The client closed it, or it broke.
    Gone,
    /// We close it, and say why.
    Closed(u16, &'static str),
}

/// The largest message of a client.
pub(crate) const MESSAGE_BYTES_MAX: usize = REQUEST_BYTES_MAX;

/// Serves a connection to its end.
pub(crate) async fn serve(
    app: Arc<App>,
    client: Client,
    stop: CancellationToken,
    socket: WebSocket,
) {
    tracing::info!(?client, "a client opened a WebSocket");
    let mut connection = Connection {
        app,
        client,
        memory: ConnectionMemory::default(),
        stop,
        socket,
        waiting: None,
    };
    let end = connection.run().await;
    if let End::Closed(code, reason) = end {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // The client may be gone already, which is what closing is for.
        if let Err(error) = connection.socket.send(Message::Close(Some(frame))).await {
            tracing::trace!("the client of a WebSocket left before it was closed: {error}");
        }
    }
}

impl Connection {
    async fn run(&mut self) -> End {
        loop {
            if self.stop.is_cancelled() {
                return stopping();
            }
            let request = match self.waiting.take() {
                Some(request) => request,
                None => match self.next_request().await {
                    Ok(request) => request,
                    Err(end) => return end,
                },
            };
            if let Err(end) = self.request(request).await {
                return end;
            }
        }
    }

    /// The next message that asks for something. The connection is kept alive meanwhile, for as long as the client answers.
    async fn next_request(&mut self) -> Result<Utf8Bytes, End> {
        let mut heard = Instant::now();
        loop {
            let received = tokio::select! {
                received = tokio::time::timeout(SOCKET_PING_INTERVAL, self.socket.recv()) => received,
                () = self.stop.cancelled() => return Err(stopping()),
            };
            match received {
                Ok(message) => {
                    heard = Instant::now();
                    if let Some(request) = read(message)? {
                        return Ok(request);
                    }
                }
                Err(_) if heard.elapsed() >= SOCKET_IDLE_TIMEOUT => {
                    return Err(End::Closed(
                        close_code::AWAY,
                        "nothing was asked for too long",
                    ));
                }
                Err(_) => self.send(Message::Ping(Bytes::new())).await?,
            }
        }
    }

    async fn request(&mut self, text: Utf8Bytes) -> Result<(), End> {
        let warms = match kind(&text) {
            Ok(warms) => warms,
            Err(fault) => return self.refuse(&fault).await,
        };
        let Ok(permit) = Arc::clone(&self.app.gateway.turns).try_acquire_owned() else {
            return self.refuse(&overloaded(OVERLOAD_RETRY_AFTER)).await;
        };
        // Shutdown waits for the turn, and not for a connection on which nothing is asked.
        let _at_work = self.app.gateway.tasks.token();
        let accepted = Accepted {
            turn_id: fresh_turn_id(),
            dialect: ClientDialect::Responses,
            client: self.client,
            body: Bytes::from(text),
            cwd: None,
            memory: Some(self.memory.clone()),
            compact: false,
        };
        if warms {
            return match turn::prewarm(&self.app.gateway, accepted).await {
                Ok(frames) => self.frames(&frames, &mut decoder()).await,
                Err(fault) => self.refuse(&fault).await,
            };
        }
        let gateway = Arc::clone(&self.app.gateway);
        let answer = {
            let answering = turn::run(&gateway, accepted);
            tokio::pin!(answering);
            loop {
                tokio::select! {
                    answer = &mut answering => break answer,
                    message = self.socket.recv() => {
                        // A client that leaves drops the turn, and with it the provider's work.
                        if let Some(request) = read(message)? {
                            self.waits(request)?;
                        }
                    }
                }
            }
        };
        let answered = self.answer(answer).await;
        drop(permit);
        answered
    }

    async fn answer(&mut self, answer: Answer) -> Result<(), End> {
        match answer {
            Answer::Stream { body, .. } => {
                let mut body = body;
                let mut decoder = decoder();
                loop {
                    tokio::select! {
                        frame = body.frame() => match frame {
                            Some(Ok(frame)) => {
                                if let Ok(piece) = frame.into_data() {
                                    self.frames(&piece, &mut decoder).await?;
                                }
                            }
                            Some(Err(never)) => match never {},
                            None => return Ok(()),
                        },
                        message = self.socket.recv() => {
                            if let Some(request) = read(message)? {
                                self.waits(request)?;
                            }
                        }
                    }
                }
            }
            Answer::FailedStream { body, .. } => self.frames(&body, &mut decoder()).await,
            // Every request here asks for a stream; a whole answer would be ours to explain.
            Answer::Whole { body, .. } => {
                let text = String::from_utf8_lossy(&body).into_owned();
                self.send(Message::Text(text.into())).await
            }
            Answer::Failed { fault, .. } => self.error(&fault).await,
        }
    }

    /// A request that came early. There is room for one: a client that sends more does not wait for its answers.
    fn waits(&mut self, request: Utf8Bytes) -> Result<(), End> {
        if self.waiting.replace(request).is_some() {
            return Err(End::Closed(
                close_code::POLICY,
                "more requests came than can wait for the answer before",
            ));
        }
        Ok(())
    }

    /// Sends frames of an event stream as messages.
    async fn frames(&mut self, bytes: &[u8], decoder: &mut Decoder) -> Result<(), End> {
        let mut messages: Vec<String> = Vec::new();
        let read = decoder.push(bytes, |frame| {
            messages.push(String::from_utf8_lossy(frame.data).into_owned());
        });
        if let Err(error) = read {
            tracing::error!("an event of ours could not be read: {error}");
            return Err(End::Closed(close_code::ERROR, "the gateway failed"));
        }
        for message in messages {
            self.send(Message::Text(message.into())).await?;
        }
        Ok(())
    }

    /// Tells of the failure of what has not become a turn, and so was not counted.
    async fn refuse(&mut self, fault: &Fault) -> Result<(), End> {
        let status = ClientDialect::Responses.http_status(fault);
        self.app.gateway.metrics.refused(status);
        self.error(fault).await
    }

    async fn error(&mut self, fault: &Fault) -> Result<(), End> {
        let dialect = ClientDialect::Responses;
        let body: Value =
            serde_json::from_slice(&dialect.render_error(fault, "")).unwrap_or_default();
        let mut message = json!({
            "type": "error",
            "status": dialect.http_status(fault),
            "error": body["error"],
        });
        if let Some(wait) = polywire_plan::client_retry_after(fault) {
            let seconds = wait.as_secs_f64().ceil();
            message["headers"] = json!({"retry-after": format!("{seconds:.0}")});
        }
        self.send(Message::Text(message.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.socket.send(message).await.map_err(|_| End::Gone)
    }
}

fn stopping() -> End {
    End::Closed(close_code::AWAY, "the gateway is stopping")
}

fn decoder() -> Decoder {
    Decoder::new(FRAME_BYTES_MAX * 2)
}

/// The request in a message, if it is one.
fn read(message: Option<Result<Message, axum::Error>>) -> Result<Option<Utf8Bytes>, End> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(End::Closed(
            close_code::UNSUPPORTED,
            "messages are JSON text",
        )),
        Some(Ok(Message::Close(_))) | None => Err(End::Gone),
        Some(Err(error)) => {
            let text = error.to_string();
            tracing::debug!("a WebSocket broke: {text}");
            if text.contains("too long")
                || text.contains("too large")
                || text.contains("Space limit")
            {
                return Err(End::Closed(close_code::SIZE, "the message is too long"));
            }
            Err(End::Gone)
        }
    }
}

/// Whether a message only warms the connection.
///
/// # Errors
/// A fault when it is no `response.create`.
fn kind(text: &str) -> Result<bool, Fault> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: Option<String>,
        generate: Option<bool>,
    }
    let head: Head = serde_json::from_str(text).map_err(|error| {
        Fault::invalid("type", format!("the message is not understood: {error}"))
    })?;
    match head.kind.as_deref() {
        Some("response.create") => Ok(head.generate == Some(false)),
        Some(other) => Err(Fault::invalid(
            "type",
            format!("`{other}` is not a message that is known here; there is `response.create`"),
        )),
        None => Err(Fault::invalid(
            "type",
            "`type` is required: `response.create`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        assert_eq!(
            kind(r#"{"type":"response.create","input":[]}"#).ok(),
            Some(false)
        );
        assert_eq!(
            kind(r#"{"type":"response.create","generate":false}"#).ok(),
            Some(true)
        );
        for wrong in ["{}", "[]", "x", r#"{"type":"response.cancel"}"#] {
            assert!(kind(wrong).is_err(), "{wrong}");
        }
    }
}
