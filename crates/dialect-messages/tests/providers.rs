//! Every recorded or composed answer of the shared provider fixtures, against its expected reading.

mod support;

#[test]
fn shared_recordings_are_read_as_expected() {
    support::BENCH.check_recordings("messages", 30);
}
