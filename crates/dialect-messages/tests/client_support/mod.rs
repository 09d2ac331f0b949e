//! What the tests of this crate's client side share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod grammar;
pub(crate) mod outline;

use std::path::PathBuf;

/// A request of the repository's own fixtures.
pub(crate) fn request_fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/messages-requests")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
