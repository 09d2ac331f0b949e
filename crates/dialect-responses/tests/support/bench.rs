//! The reader under test.

use std::path::{Path, PathBuf};

use polywire_dialect_responses::ResponsesReader;
use polywire_stream_suite::{Bench, ledger};

pub(crate) const BENCH: Bench = Bench {
    reader: || Box::new(ResponsesReader::new(ledger(), "seed")),
};

/// The streams that belong to this repository.
pub(crate) fn own_streams() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/responses-streams")
}
