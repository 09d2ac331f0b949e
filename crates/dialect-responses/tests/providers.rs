//! Every recorded or composed answer of the shared provider fixtures, against its expected reading.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

#[test]
fn shared_recordings_are_read_as_expected() {
    support::bench::BENCH.check_recordings("responses", 13);
}
