//! What a scripted upstream answers.

use serde_json::Value;
use tokio::sync::watch;

use crate::wait::within;

/// A door in a script: the upstream waits before it until the test opens it.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    #[expect(
        clippy::new_without_default,
        reason = "a gate by default would hide that it is closed"
    )]
    pub fn new() -> Self {
        Self(watch::channel(false).0)
    }

    /// Lets the upstream go on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn opened(&self) {
        let mut state = self.0.subscribe();
        // Waiting fails only when the sender is gone, and `self` holds it.
        within("a gate to open", state.wait_for(|open| *open))
            .await
            .expect("the gate holds its own sender");
    }
}

/// One thing that an upstream does while it answers.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes of the body in one write.
    Bytes(Vec<u8>),
    /// Sends these bytes of the body one by one, each in a write of its own.
    Trickle(Vec<u8>),
    /// Waits until the test opens the gate.
    Wait(Gate),
    /// Sends nothing more until the client leaves.
    Stall,
    /// Ends the connection with a reset.
    Reset,
    /// Ends the connection properly for TCP, in the middle of the body for HTTP.
    Close,
}

/// How the body's end is told to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`; each write is a chunk.
    Chunked,
    /// `Content-Length` with the number of bytes that the steps send.
    Length,
    /// `Content-Length` with this number, true or not.
    Claimed(usize),
    /// Neither field: the end of the connection is the end of the body.
    UntilClose,
}

/// One answer of a scripted upstream.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    /// Done before the head is sent.
    pub(crate) before: Vec<Step>,
    pub(crate) steps: Vec<Step>,
}

impl Reply {
    /// An answer of one piece.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            framing: Framing::Length,
            before: Vec::new(),
            steps: vec![Step::Bytes(body.into())],
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A page for people, as edges and captive portals send.
    pub fn html(status: u16, body: &str) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    /// An error in the shape that most providers use.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({
            "error": {"message": message, "type": code, "param": null, "code": code}
        });
        Self::json(status, &error)
    }

    /// An event stream of these steps.
    pub fn stream(steps: Vec<Step>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".into(), "text/event-stream".into())],
            framing: Framing::Chunked,
            before: Vec::new(),
            steps,
        }
    }

    /// No answer at all: the request is read, then nothing happens until the client leaves.
    pub fn silence() -> Self {
        Self::stream(Vec::new()).before(Step::Stall)
    }

    /// The same answer with one more header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same answer under another content type.
    #[must_use]
    pub fn content_type(mut self, value: &str) -> Self {
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        self.header("content-type", value)
    }

    /// The same answer with another framing of its body.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// The same answer with this step before its head.
    #[must_use]
    pub fn before(mut self, step: Step) -> Self {
        self.before.push(step);
        self
    }

    /// The same answer with its body sent one byte at a time.
    #[must_use]
    pub fn trickled(mut self) -> Self {
        for step in &mut self.steps {
            if let Step::Bytes(bytes) = step {
                *step = Step::Trickle(std::mem::take(bytes));
            }
        }
        self
    }

    /// The head as it goes over the wire.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} Scripted", self.status)];
        lines.extend(
            self.headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        lines.push(match self.framing {
            Framing::Chunked => "transfer-encoding: chunked".into(),
            Framing::Length => format!("content-length: {}", self.length()),
            Framing::Claimed(length) => format!("content-length: {length}"),
            Framing::UntilClose => "connection: close".into(),
        });
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    fn length(&self) -> usize {
        self.steps
            .iter()
            .map(|step| match step {
                Step::Bytes(bytes) | Step::Trickle(bytes) => bytes.len(),
                Step::Wait(_) | Step::Stall | Step::Reset | Step::Close => 0,
            })
            .sum()
    }
}
