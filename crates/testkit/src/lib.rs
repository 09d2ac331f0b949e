//! What the tests of the whole program need: providers that misbehave on purpose, and drivers for real programs.
//!
//! [`ScriptedUpstream`] is a provider that answers from a script of [`Reply`]s, byte by byte if asked, and remembers what it
//! received, [`ScriptedProxy`] a proxy on the way to one. [`Call`] is an HTTP client that shows what the wire carried, [`Upgrade`] one that asks for a [`Socket`]. [`TempHome`] keeps the programs under test away from
//! the user's files, [`Gateway`] starts the real `polywire`, [`CodexCli`] the real Codex, [`Terminal`] a program with a screen,
//! [`Script`] a client library in its own language, [`ClaudeCode`] and [`OpenCode`] two more coding agents.
//! `SecretService` is a keyring as Linux desktops have one.
//!
//! Tests wait for states: every wait here ends as soon as the state is there, and fails the test after [`DEADLINE`].
//! Nothing here is built into the product, so that failing means panicking, which is what a test wants.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this crate serves tests only: what goes wrong fails the test that asked"
)]

mod agents;
mod chat;
mod client;
mod codex;
mod codex_back_end;
mod gateway;
mod home;
mod http1;
mod issuer;
mod messages;
mod process;
mod proxy;
mod reply;
mod responses;
mod script;
#[cfg(target_os = "linux")]
mod secret_service;
mod terminal;
mod tools;
mod upstream;
mod wait;
mod websocket;

pub use agents::{ClaudeCode, OpenCode};
pub use chat::{ChatStream, Tokens, answer};
pub use client::{Answer, Call, Exchange, Sent, SseEvent};
pub use codex::{CODEX_VERSION, CodexCli, CodexRun};
pub use codex_back_end::{access_token, auth_json, codex_back_end};
pub use gateway::{Gateway, House, mcp_demo};
pub use home::{TempHome, Tree};
pub use http1::Headers;
pub use issuer::{ACCOUNT, Issuer, jwt};
pub use messages::MessagesStream;
pub use process::{Ended, Running};
pub use proxy::{Proxied, ProxyScript, ScriptedProxy};
pub use reply::{Framing, Gate, Reply, Step};
pub use responses::ResponsesStream;
pub use script::{Language, Observations, Script, Speaks};
#[cfg(target_os = "linux")]
pub use secret_service::{Locked, SecretService};
pub use terminal::Terminal;
pub use upstream::{Received, ScriptedUpstream};
pub use wait::{DEADLINE, within};
pub use websocket::{Heard, Refused, Socket, Upgrade};

/// A picture of four red pixels, as a PNG file.
pub const RED_PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0xfd, 0xd4, 0x9a,
    0x73, 0x00, 0x00, 0x00, 0x10, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x38, 0x21, 0x27, 0x07,
    0x44, 0x0c, 0x10, 0x0a, 0x00, 0x1f, 0x26, 0x04, 0x11, 0x4a, 0x8e, 0x8d, 0x20, 0x00, 0x00, 0x00,
    0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// [`RED_PNG`] in base64, as data URLs and MCP results carry it.
pub const RED_PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mM4IScHRAwQCgAfJgQRSo6NIAAAAABJRU5ErkJggg==";
