//! What Codex is told of a thread and of its turn.

use std::path::Path;

use polywire_conversation::Fault;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::ask::{Ask, Tool};
use crate::fault::unusable;
use crate::settings::EngineSettings;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DynamicTool<'a> {
    #[serde(rename = "type")]
    tag: &'static str,
    name: &'a str,
    description: &'a str,
    input_schema: &'a RawValue,
}

/// How a thread is to be. Its history comes separately.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThreadParameters<'a> {
    model: &'a str,
    cwd: &'a Path,
    sandbox: &'static str,
    approval_policy: &'static str,
    ephemeral: bool,
    base_instructions: &'a str,
    dynamic_tools: Vec<DynamicTool<'a>>,
    experimental_raw_events: bool,
    config: Map<String, Value>,
    /// No environment at all: then the model can touch nothing on this machine. Absent means Codex's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    environments: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

/// The parameters of `thread/start`.
///
/// # Errors
/// A [`Fault`] of ours when the schema of a tool cannot be written.
pub(super) fn thread_parameters<'a>(
    settings: &'a EngineSettings,
    ask: &'a Ask,
    cwd: Option<&'a Path>,
) -> Result<ThreadParameters<'a>, Fault> {
    let tools = ask
        .functions()
        .map(dynamic_tool)
        .collect::<Result<_, _>>()?;
    let mut config = Map::new();
    if let Some(search) = ask.web_search() {
        config.insert("web_search".to_owned(), json!(search));
    }
    if let Some(verbosity) = ask.verbosity() {
        config.insert("model_verbosity".to_owned(), json!(verbosity));
    }
    let works = settings.agent || cwd.is_some();
    if works {
        config.insert("features.shell_tool".to_owned(), json!(true));
        config.insert("include_environment_context".to_owned(), json!(true));
    }
    let cwd = cwd.unwrap_or(&settings.default_cwd);
    // Codex trusts a directory that it may write to, and reads the settings that lie in it (seen with 0.169).
    config.insert(
        "projects".to_owned(),
        json!({ cwd.display().to_string(): { "trust_level": "untrusted" } }),
    );
    Ok(ThreadParameters {
        model: &ask.model,
        cwd,
        sandbox: if settings.agent {
            "workspace-write"
        } else {
            "read-only"
        },
        approval_policy: "never",
        ephemeral: settings.ephemeral,
        base_instructions: ask.instructions(),
        dynamic_tools: tools,
        experimental_raw_events: true,
        config,
        environments: (!works).then_some([]),
        service_tier: ask.service_tier.as_deref(),
    })
}

/// A schema for tools that take nothing.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

fn dynamic_tool(tool: &Tool) -> Result<DynamicTool<'_>, Fault> {
    let schema = match tool.parameters.as_deref() {
        Some(schema) => schema,
        None => serde_json::from_str(NO_PARAMETERS)
            .map_err(|error| unusable(format!("the schema of no parameters: {error}")))?,
    };
    Ok(DynamicTool {
        tag: "function",
        name: &tool.name,
        description: tool.description.as_deref().unwrap_or_default(),
        input_schema: schema,
    })
}

/// The parameters of `turn/start`.
pub(super) fn turn_parameters(settings: &EngineSettings, ask: &Ask, thread_id: &str) -> Value {
    // The whole conversation is in the thread already.
    let mut parameters = json!({ "threadId": thread_id, "input": [] });
    let effort = ask.effort().or(settings.fast.then_some("low"));
    if let Some(effort) = effort {
        parameters["effort"] = json!(effort);
    }
    if let Some(summary) = ask.summary() {
        parameters["summary"] = json!(summary);
    }
    if let Some(schema) = ask.schema() {
        parameters["outputSchema"] = serde_json::from_str(schema.get()).unwrap_or_default();
    }
    parameters
}
