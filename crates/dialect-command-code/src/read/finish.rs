//! The words with which answers end.

use polywire_conversation::{FaultClass, StopReason};

/// What the end of an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stopped(StopReason),
    Failed(FaultClass),
    /// A word that nobody has used so far.
    Unknown,
}

/// Reads the service's word for the end and the model's own, which says more where the first is vague.
pub(super) fn read(reason: &str, raw_reason: &str) -> Finish {
    if raw_reason == "pause_turn" {
        return Finish::Stopped(StopReason::Pause);
    }
    if raw_reason.starts_with("network") || raw_reason.starts_with("connection") {
        return Finish::Failed(FaultClass::NetworkCut);
    }
    if reason == "error" || raw_reason.starts_with("upstream_error") {
        return Finish::Failed(FaultClass::Server);
    }
    let stopped = word(reason).or_else(|| word(raw_reason));
    stopped.map_or(Finish::Unknown, Finish::Stopped)
}

fn word(word: &str) -> Option<StopReason> {
    Some(match word {
        "stop" | "end_turn" | "stop_sequence" => StopReason::Stop,
        "tool-calls" | "tool_calls" | "tool_use" => StopReason::Calls,
        "length" | "max_tokens" => StopReason::Length,
        "content-filter" | "content_filter" | "refusal" => StopReason::ContentFilter,
        _ => return None,
    })
}
