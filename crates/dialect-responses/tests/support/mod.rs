//! What the tests of this crate share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod bench;
pub(crate) mod schemas;
pub(crate) mod structure;
pub(crate) mod writing;

use std::path::PathBuf;

/// A file of the repository's own fixtures.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/responses")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A folder of material that lies beside the repository. Without it the test that asks says so and passes.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
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
