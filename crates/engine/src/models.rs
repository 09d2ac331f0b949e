//! The models of an engine: what Codex knows of them, made fit for clients that bring their own tools.

use polywire_conversation::Fault;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;
use tokio_util::task::TaskTracker;

use crate::fault::unusable;
use crate::home::{catalog_path, unlimited, write_if_changed};
use crate::limits::CATALOG_TIMEOUT;
use crate::process::{self, Pipes};
use crate::settings::EngineSettings;

/// Asks Codex for its models, which may ask the network, and writes the engine's own list from it.
///
/// # Errors
/// A [`Fault`] with Codex's own words when it has no list.
pub(crate) async fn prepare(settings: &EngineSettings, tasks: &TaskTracker) -> Result<(), Fault> {
    let mut command = process::command(settings);
    command.args(["debug", "models"]);
    let (mut process, Pipes { stdin, mut stdout }) = process::start(command, tasks)?;
    drop(stdin);
    let mut listed = Vec::new();
    let listing = async {
        let read = stdout.read_to_end(&mut listed).await;
        read.and(process.wait().await)
    };
    let in_time = tokio::time::timeout(CATALOG_TIMEOUT, listing).await;
    let errors = process.errors();
    process.kill().await;
    if in_time.is_err() {
        return Err(unusable(format!(
            "Codex did not list its models within {} s",
            CATALOG_TIMEOUT.as_secs()
        )));
    }
    let list = serde_json::from_slice(&listed).ok().and_then(fit);
    let Some(list) = list else {
        return Err(unusable(format!(
            "Codex could not list its models: {errors}"
        )));
    };
    let path = catalog_path(settings);
    write_if_changed(&path, list.to_string().as_bytes()).map_err(|error| {
        unusable(format!(
            "`{}` could not be written: {error}",
            path.display()
        ))
    })
}

/// The list with every model made fit. Source of the fields: the catalog of Codex 0.169.
fn fit(mut list: Value) -> Option<Value> {
    let models = list.get_mut("models")?.as_array_mut()?;
    if models.is_empty() {
        return None;
    }
    for model in models {
        model.as_object_mut().map(fit_model)?;
    }
    Some(list)
}

fn fit_model(model: &mut Map<String, Value>) {
    let changes = [
        // Tools are called as they are, and not from a script that Codex runs.
        ("tool_mode", json!("direct")),
        ("use_responses_lite", json!(false)),
        // Tools of Codex that no setting takes away.
        ("apply_patch_tool_type", Value::Null),
        ("experimental_supported_tools", json!([])),
        ("multi_agent_version", json!("disabled")),
        ("supports_search_tool", json!(false)),
        // Results of tools stay whole, and so does the history: a conversation that is too long is an error that the client
        // hears of.
        (
            "truncation_policy",
            json!({ "mode": "tokens", "limit": 1_000_000_000 }),
        ),
        ("context_window", json!(unlimited())),
        ("max_context_window", json!(unlimited())),
        ("auto_compact_token_limit", Value::Null),
        // The texts of a coding agent, in whose place a turn has the client's. Codex reads the whole list anew for each thread,
        // and they are 19 parts of 20 of it: without them a turn costs it 2 ms less.
        ("base_instructions", json!("")),
        ("model_messages", Value::Null),
    ];
    for (key, value) in changes {
        model.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_lose_what_would_get_between_client_and_model() {
        let list = json!({ "models": [{ "slug": "a", "tool_mode": "code_mode_only", "context_window": 5, "base_instructions": "You are" }] });
        let fitted = fit(list).unwrap();
        let model = &fitted["models"][0];
        assert_eq!(model["slug"], "a");
        assert_eq!(model["tool_mode"], "direct");
        assert_eq!(model["context_window"], unlimited());
        assert_eq!(model["base_instructions"], "");
        for none in [
            json!({}),
            json!({ "models": [] }),
            json!({ "models": [1] }),
            json!([]),
        ] {
            assert_eq!(fit(none), None);
        }
    }
}
