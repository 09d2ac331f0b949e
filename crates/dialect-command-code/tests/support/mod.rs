//! The reader under test.

#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

use std::path::{Path, PathBuf};

use polywire_conversation::StreamEnd;
use polywire_dialect_command_code::CommandCodeReader;
use polywire_stream_suite::{Bench, Seen, ledger};

pub(crate) const BENCH: Bench = Bench {
    reader: || Box::new(CommandCodeReader::new(ledger(), "seed")),
};

pub(crate) fn read(chunks: &[&[u8]]) -> Vec<Seen> {
    BENCH.read_lines_until(chunks, StreamEnd::Closed)
}

/// The streams that belong to this repository, by name.
pub(crate) fn own_streams() -> Vec<(String, Vec<u8>)> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/command-code/streams"))
}

/// The files of a folder, by name.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = files.into_iter().map(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(file).unwrap())
    });
    named.collect()
}

/// A folder of fixtures that lie beside the repository on some machines. `None`, and a line that says so, on others.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/command-code");
    let found = Some(place.join(folder)).filter(|place| place.is_dir());
    if found.is_none() {
        println!("skipped: no fixtures beside the repository (../shared/fixtures/command-code)");
    }
    found
}
