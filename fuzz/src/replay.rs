//! Plays the kept inputs of every target, without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus-kept")
        .join(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn replay(name: &str) {
    let (_, target) = crate::TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let inputs = inputs(name);
    assert!(!inputs.is_empty(), "nothing is kept for `{name}`");
    for path in inputs {
        // Printed by the test harness only if the input fails.
        println!("{}", path.display());
        target(&fs::read(&path).unwrap());
    }
}

#[test]
fn sse_decoder() {
    replay("sse_decoder");
}

#[test]
fn chat_reader() {
    replay("chat_reader");
}

#[test]
fn responses_request() {
    replay("responses_request");
}

#[test]
fn line_decoder() {
    replay("line_decoder");
}

#[test]
fn messages_reader() {
    replay("messages_reader");
}

#[test]
fn responses_reader() {
    replay("responses_reader");
}

#[test]
fn command_code_reader() {
    replay("command_code_reader");
}

#[test]
fn chat_request() {
    replay("chat_request");
}

#[test]
fn messages_request() {
    replay("messages_request");
}

#[test]
fn envelope() {
    replay("envelope");
}

#[test]
fn schema() {
    replay("schema");
}

#[test]
fn every_kept_folder_has_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus-kept");
    let mut kept: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut targets: Vec<&str> = crate::TARGETS.iter().map(|(name, _)| *name).collect();
    kept.sort();
    targets.sort_unstable();
    assert_eq!(kept, targets);
}

#[test]
fn toml_edits() {
    replay("toml_edits");
}
