//! The line that a turn leaves in the log.

use std::fmt;

use polywire_conversation::Usage;

use super::{Outcome, Settlement};

/// Fields of log lines whose text is JSON. A log that is written as JSON takes them in as they are.
pub const JSON_FIELDS: [&str; 3] = ["phases_ms", "usage", "lost"];

/// Under which name turns are logged, for filters.
const LOGGER: &str = "polywire_gateway::settle";

impl Settlement {
    /// One line for each turn. Shapes, sizes and times, and the names that were given to models and tools; never what was said.
    pub(super) fn log(&self) {
        let attempt = &self.attempt;
        let (status, finish, fault) = match &attempt.outcome {
            Outcome::ClientLeft => ("client_left", None, None),
            Outcome::Finished(reason) => ("ok", Some(reason.name()), None),
            Outcome::Failed(fault) => ("error", None, Some(fault)),
        };
        let losses: Vec<String> = self.all_losses().map(ToString::to_string).collect();
        let lost = (!losses.is_empty()).then(|| serde_json::json!(losses));
        tracing::info!(
            target: LOGGER,
            request_id = %self.turn_id,
            status,
            finish,
            error_type = fault.map(|fault| fault.class.name()),
            http_status = self.http_status(),
            stream = self.streams,
            model = some(&self.model),
            target = some(&attempt.target()),
            engine = attempt.served_by.as_ref().map(|by| by.engine),
            dialect = self.dialect.name(),
            attempts = self.failed_attempts.len() + usize::from(attempt.served_by.is_some()),
            phases_ms = %self.phases,
            time_to_first_event_ms = self.first_event.map(|at| self.milliseconds_until(at)),
            time_to_first_content_ms = attempt.first_content.map(|at| self.milliseconds_until(at)),
            usage = attempt.usage.map(|usage| tracing::field::display(Counted(usage))),
            cost_usd = self.cost_usd(),
            tools = attempt.tools_offered,
            losses = losses.len(),
            lost = lost.map(tracing::field::display),
            "turn"
        );
        if let Some(fault) = fault {
            tracing::warn!(
                target: LOGGER,
                request_id = %self.turn_id,
                http_status = fault.status,
                code = fault.code,
                detail = fault.detail,
                "{}",
                fault.message
            );
        }
    }
}

/// What is known of a name; of an unknown one nothing is written.
fn some(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

/// Usage as a JSON object of what is known.
struct Counted(Usage);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = &self.0;
        let parts = [
            ("input", usage.input),
            ("cached", usage.cached),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ];
        f.write_str("{")?;
        for (name, tokens) in parts {
            if let Some(tokens) = tokens {
                write!(f, "\"{name}\":{tokens},")?;
            }
        }
        write!(f, "\"estimated\":{}}}", usage.estimated)
    }
}
