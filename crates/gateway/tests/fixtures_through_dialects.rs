//! Recorded and composed answers of providers, each asked for by clients of every dialect, streamed and not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod matrix;
mod support;

use std::path::Path;

use matrix::expected::check;
use matrix::{own, play, shared};

/// The shared fixtures have expected results, which every client must come to.
#[tokio::test]
async fn shared_fixtures_come_out_as_expected() {
    let turns = play(
        shared::fixtures(),
        |_| true,
        |played| {
            for (asked, got) in &played.seen {
                check(&played.fixture, *asked, got);
            }
        },
    );
    println!("{} turns", turns.await);
}

/// The repository's own have none here (the dialects have theirs): the clients must agree with each other.
#[tokio::test]
async fn own_fixtures_come_out_the_same_for_everybody() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let fixtures = own::fixtures(&root);
    assert!(fixtures.len() > 100, "{}", fixtures.len());
    // Many of them are odd on purpose, and whoever speaks the provider's protocol gets that as it is.
    play(fixtures, |asked| !asked.native, own::check_agreement).await;
}

/// A provider that answers a stream with one body, or the other way round: its own clients get the form that they asked for.
#[tokio::test]
async fn clients_get_the_form_they_asked_for() {
    const PLAIN: [&str; 5] = [
        "messages/streams/text.sse",
        "messages/streams/whole_length.json",
        "messages/streams/whole_message_as_event.sse",
        "responses-streams/text.sse",
        "responses-streams/whole_answer.json",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut fixtures = own::fixtures(&root);
    fixtures.retain(|fixture| PLAIN.contains(&&*fixture.name));
    assert_eq!(fixtures.len(), PLAIN.len());
    play(fixtures, |_| true, own::check_agreement).await;
}
