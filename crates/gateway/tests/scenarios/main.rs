//! Every scenario with every preset: what goes to the provider has what the scenario needs, or a loss says why not; and the answer
//! comes to the client. `docs/scenarios.md` is made of what is found here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../codex_requests/schema.rs"]
mod schema;

mod answers;
mod bench;
mod outgoing;
mod page;
mod play;

use polywire_catalog::{Kind, presets};
use tokio::task::JoinSet;

/// A path from the crate's folder.
fn beside_manifest(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a cell of the table says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Yes,
    /// It is done, but the provider does not know: the model is told, or the gateway sees to it. With the words of the loss.
    InWords(String),
    /// It cannot be done, because of this.
    Cannot(String),
}

#[tokio::test]
async fn every_scenario_with_every_preset() {
    let mut rows = JoinSet::new();
    // Programs on this machine are played for real, by the tests of the engines.
    let asked = presets()
        .iter()
        .filter(|preset| preset.kind != Kind::Demo && !preset.kind.is_engine());
    for (place, preset) in asked.enumerate() {
        rows.spawn(async move {
            let bench = bench::Bench::new(preset);
            (
                place,
                preset.id.clone(),
                preset.kind,
                Box::pin(play::row(&bench)).await,
            )
        });
    }
    let mut played = Vec::new();
    let mut failed = 0;
    while let Some(row) = rows.join_next().await {
        match row {
            Ok(row) => played.push(row),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(
        failed, 0,
        "presets with which a scenario went wrong, see above"
    );
    assert!(played.len() >= 40, "{}", played.len());
    played.sort_by_key(|(place, ..)| *place);
    page::check(&played);
}
