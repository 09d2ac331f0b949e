//! `docs/translation.md` is made by asking the code, and this test sees that it is up to date.
//!
//! Every row is a probe: a request with one thing in it, written in the client's protocol, parsed and rendered for each kind of
//! provider as a turn does it; an event handed to the writer of each client; a piece of a provider's stream handed to its reader.
//! What stands in a cell is what came out. A thing that leaves no trace and no loss fails the test, unless its probe says what
//! polywire itself does with it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod leaves;
mod requests;
mod streams;
mod targets;
mod written;

use std::fs;
use std::path::Path;

const INTRODUCTION: &str = include_str!("introduction.md");

#[test]
fn the_page_is_up_to_date() {
    let mut silent = Vec::new();
    let mut page = String::from(INTRODUCTION);
    page.push_str(&requests::chapter(&mut silent));
    page.push_str(&requests::presets_chapter());
    page.push_str(&written::chapter(&mut silent));
    page.push_str(&streams::chapter(&mut silent));
    assert!(
        silent.is_empty(),
        "these vanish without a trace and without a loss:\n{}",
        silent.join("\n")
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/translation.md");
    if fs::read_to_string(&path).unwrap_or_default() == page {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch of the snapshots decides about this page, too"
    )]
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always");
    assert!(
        update,
        "docs/translation.md is not what the code does; run `INSTA_UPDATE=always cargo test -p polywire-gateway --test translation_page`"
    );
    fs::write(&path, page).unwrap();
}
