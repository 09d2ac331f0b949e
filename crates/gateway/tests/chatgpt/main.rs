//! Kind `chatgpt`: the service behind Codex, reached by the login of Codex, for clients of every dialect.
//!
//! The service here is a scripted one that refuses what the real one is known to refuse.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod asked;
mod bench;
mod failures;
mod lists;
mod login;
