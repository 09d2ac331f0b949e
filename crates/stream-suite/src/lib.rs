//! The tests that every reader of provider streams must pass: the order of events, whatever the cuts; and the recordings of
//! real providers, each against its expected reading.
//!
//! [`Bench`] is a dialect under test. Serves tests only: what goes wrong panics, which is what a test wants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::missing_panics_doc,
    reason = "this crate serves tests only: what goes wrong fails the test that asked"
)]

mod collect;
mod expected;

pub use collect::{Bench, Collector, Seen, ledger, lines, shared_fixtures, usage_line};
pub use expected::{ReadCall, Reading, check_reading, reading};
