//! How an answer ended, and what it consumed.

use polywire_conversation::{Fault, FaultClass, StopReason, Usage};
use polywire_wire::read_embedded_error;

use super::wire::{
    Raw, WireEvent, WireIncomplete, WireResponse, WireUsage, WireUsageDetails, count, object, word,
};

/// How the provider says that the answer ended.
#[derive(Debug)]
pub(super) enum Verdict {
    Completed {
        /// The provider wants to go on when it is asked again.
        goes_on: bool,
    },
    Incomplete {
        reason: StopReason,
        /// The reason, when it is one that nobody knows.
        unknown: Option<String>,
    },
    Failed(Fault),
}

/// Reads the verdict from the last event, whose name may be empty for an answer in one piece. The status in the response counts
/// more than the name of the event.
pub(super) fn verdict(tag: &str, response: &WireResponse<'_>) -> Verdict {
    let status = word(response.status);
    let said = tag.strip_prefix("response.").unwrap_or_default();
    match (status.as_deref().unwrap_or(said), said) {
        ("failed", _) | (_, "failed") => Verdict::Failed(failure(response.error)),
        ("cancelled", _) | (_, "cancelled") => Verdict::Failed(Fault::new(
            FaultClass::Server,
            "the provider cancelled the answer",
        )),
        ("incomplete", _) | (_, "incomplete") => incomplete(response),
        // In the last event of a stream the status may be left as it was on the way; an answer in one piece has only the status.
        ("in_progress" | "queued", "") => Verdict::Failed(Fault::new(
            FaultClass::Protocol,
            "the provider answered with a response that is not complete",
        )),
        _ if response.error.is_some() => Verdict::Failed(failure(response.error)),
        _ => Verdict::Completed {
            goes_on: response.end_turn.is_some_and(|raw| raw.get() == "false"),
        },
    }
}

fn incomplete(response: &WireResponse<'_>) -> Verdict {
    let details = object::<WireIncomplete<'_>>(response.incomplete_details);
    let reason = details.and_then(|details| word(details.reason));
    match reason.as_deref() {
        Some("max_output_tokens") => Verdict::Incomplete {
            reason: StopReason::Length,
            unknown: None,
        },
        Some("content_filter") => Verdict::Incomplete {
            reason: StopReason::ContentFilter,
            unknown: None,
        },
        // Cut for a reason of its own: nothing comes nearer than an answer that was too long.
        Some(_) | None => Verdict::Incomplete {
            reason: StopReason::Length,
            unknown: Some(reason.unwrap_or_default()),
        },
    }
}

/// The fault of a response that failed.
fn failure(error: Raw<'_>) -> Fault {
    error
        .and_then(|error| read_embedded_error(&format!("{{\"error\":{}}}", error.get())))
        .unwrap_or_else(unexplained)
}

/// The fault of an `error` event: the error stands in an object, or its members stand in the event itself.
pub(super) fn error_event(event: &WireEvent<'_>, data: &str) -> Fault {
    if event.error.is_some() {
        return read_embedded_error(data).unwrap_or_else(unexplained);
    }
    let members: Vec<String> = [
        ("code", event.code),
        ("message", event.message.or(event.detail)),
        ("param", event.param),
    ]
    .into_iter()
    .filter_map(|(key, raw)| raw.map(|raw| format!("\"{key}\":{}", raw.get())))
    .collect();
    read_embedded_error(&format!("{{\"error\":{{{}}}}}", members.join(",")))
        .unwrap_or_else(unexplained)
}

fn unexplained() -> Fault {
    Fault::new(
        FaultClass::Server,
        "the provider reported a failure and did not say which",
    )
}

/// The usage of a response; nothing when it has none.
pub(super) fn usage(raw: Raw<'_>) -> Option<Usage> {
    let wire: WireUsage<'_> = object(raw)?;
    let input: WireUsageDetails<'_> = object(wire.input_details).unwrap_or_default();
    let output: WireUsageDetails<'_> = object(wire.output_details).unwrap_or_default();
    let usage = Usage {
        input: count(wire.input),
        cached: count(input.cached),
        cache_write: count(input.cache_write),
        output: count(wire.output),
        reasoning: count(output.reasoning),
        estimated: false,
    };
    (usage != Usage::default()).then_some(usage)
}
