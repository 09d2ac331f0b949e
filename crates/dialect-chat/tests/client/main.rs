//! The side towards clients: requests in, streams and completions out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_collect,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod grammar;
mod outline;
mod refused;
mod requests;
mod round_trip;
mod schemas;
mod script;
mod streams;

use std::path::PathBuf;

/// A request of the repository's own fixtures.
fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/chat-requests")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file of material that lies beside the repository. Without it the test that asks says so and passes.
fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    println!(
        "not run: there is no {} beside the repository",
        path.display()
    );
    None
}
