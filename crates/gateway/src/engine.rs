//! Requests to a Codex on this machine: in the form of the Responses protocol, with a working directory beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use polywire_conversation::{Fault, Json, Loss, Request, Severity};
use polywire_dialect_responses as responses;
use polywire_engine::{Engine, EngineSettings};
use tokio_util::task::TaskTracker;

use crate::provider::{Ask, Encoded, Outgoing, encoded};

/// The member of `metadata` in which a client names the working directory of a turn.
const CWD: &str = "cwd";

/// What a client sets to shape the answer and Codex decides by itself. Who insists on losing nothing gets no answer without it.
const DEMANDS: &[&str] = &["temperature", "top_p", "max_output_tokens", "tool_choice"];

/// Engines by provider, with what they were made from.
pub type Engines = BTreeMap<String, EngineSettings>;

/// The engine of a provider: the one that runs already, unless its settings have changed.
pub(crate) fn engine(
    settings: EngineSettings,
    running: Option<&Arc<Engine>>,
    tasks: &TaskTracker,
) -> Arc<Engine> {
    match running {
        Some(running) if *running.settings() == settings => Arc::clone(running),
        Some(_) | None => Arc::new(Engine::new(settings, tasks.clone())),
    }
}

/// Puts a request into the form that an engine takes.
pub(crate) fn encode(ask: &Ask<'_>, profile: &responses::Profile) -> Result<Encoded, Fault> {
    let (request, in_metadata) = without_cwd(ask.request);
    let rendered = responses::render(&request, &ask.model, profile)?;
    let mut encoded = encoded(rendered, Vec::new(), |ledger| {
        Box::new(responses::ResponsesReader::new(ledger, ask.seed))
    });
    for loss in &mut encoded.losses {
        if DEMANDS.contains(&&*loss.what) {
            loss.severity = Severity::Severe;
        }
    }
    if let Outgoing::Body { body, reader, .. } = encoded.outgoing {
        encoded.outgoing = Outgoing::Engine {
            body,
            cwd: ask.cwd.map(str::to_owned).or(in_metadata),
            reader,
        };
    }
    Ok(encoded)
}

/// The loss of a working directory that a client has named to a provider which has none.
pub(crate) fn cwd_lost() -> Loss {
    Loss::note(
        "x-polywire-cwd",
        "left out: only a Codex on this machine works in a directory",
    )
}

/// The request without the working directory in its metadata, and that directory.
fn without_cwd<'a>(request: &Request<'a>) -> (Request<'a>, Option<String>) {
    let mut request = request.clone();
    let metadata = request.metadata.as_ref();
    let Some(mut metadata) = metadata.and_then(|metadata| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(metadata.as_str()).ok()
    }) else {
        return (request, None);
    };
    let Some(serde_json::Value::String(cwd)) = metadata.remove(CWD) else {
        return (request, None);
    };
    request.metadata = if metadata.is_empty() {
        None
    } else {
        let metadata = serde_json::Value::Object(metadata);
        Some(Json::new(metadata.to_string()))
    };
    (request, Some(cwd))
}
