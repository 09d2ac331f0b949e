//! Requests that the real Codex sent, where recordings lie beside the repository.

use std::path::PathBuf;

use serde_json::value::RawValue;

use crate::{Target, beside_manifest, outline, targets, translated};

/// The recorded requests, in order. Empty, with a word about it, where there are none.
fn recordings() -> Vec<(String, String)> {
    let folder = beside_manifest("../../../shared/fixtures/codex-requests");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there is no {}", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let requests: Vec<_> = paths.iter().flat_map(read).collect();
    assert!(requests.len() >= 24, "{} requests", requests.len());
    requests
}

/// The requests of one file: one, several frames of a WebSocket, or none.
fn read(path: &PathBuf) -> Vec<(String, String)> {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    if name == "headers" {
        return Vec::new();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let bodies: Vec<&RawValue> = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text).unwrap()
    } else {
        vec![serde_json::from_str(&text).unwrap()]
    };
    let frames = bodies.len() > 1;
    let named = |(index, body): (usize, &RawValue)| {
        let name = if frames {
            format!("{name}-{index}")
        } else {
            name.clone()
        };
        (name, body.get().to_owned())
    };
    // A request that builds on a stored answer is refused before it gets here.
    let whole = |(_, body): &(String, String)| !body.contains("\"previous_response_id\"");
    bodies
        .into_iter()
        .enumerate()
        .map(named)
        .filter(whole)
        .collect()
}

#[test]
fn recorded_requests_are_valid_for_every_target() {
    let targets = targets();
    for (name, request) in recordings() {
        for target in &targets {
            translated(&name, &request, target);
        }
    }
}

#[test]
fn recorded_requests_in_outline() {
    for (name, request) in recordings() {
        let translated = translated(&name, &request, &Target::unknown());
        insta::assert_snapshot!(format!("recorded_{name}"), outline::with_sizes(&translated));
    }
}
