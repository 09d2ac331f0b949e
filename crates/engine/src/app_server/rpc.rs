//! The app-server's protocol: JSON-RPC without its version, one message a line. Source: Codex 0.169, `app-server
//! generate-json-schema --experimental`, and what it was seen to send.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A message of the server: an answer when it has an id alone, a request when it has an id and a method, else a notification.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming {
    pub(super) id: Option<Value>,
    pub(super) method: Option<String>,
    pub(super) params: Option<Box<RawValue>>,
    pub(super) result: Option<Box<RawValue>>,
    pub(super) error: Option<RpcError>,
}

/// The error of a call.
#[derive(Debug, Deserialize)]
pub(super) struct RpcError {
    #[serde(default)]
    pub(super) message: String,
}

/// A call, or a notification when it has no id.
#[derive(Serialize)]
pub(super) struct Outgoing<'a, P> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    pub(super) method: &'a str,
    pub(super) params: P,
}

/// The answer to a request of the server.
#[derive(Serialize)]
pub(super) struct Reply<'a, R> {
    pub(super) id: &'a Value,
    pub(super) result: R,
}

/// What every message about a thread says of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfThread {
    pub(super) thread_id: Option<String>,
    /// In `thread/started` only.
    pub(super) thread: Option<Named>,
}

/// Something with an id.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
}

/// The answer to `thread/start`.
#[derive(Deserialize)]
pub(super) struct ThreadStarted {
    pub(super) thread: Named,
}

/// The answer to `turn/start`.
#[derive(Deserialize)]
pub(super) struct TurnStarted {
    pub(super) turn: Named,
}
