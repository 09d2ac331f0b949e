//! The words with which answers end.

use polywire_conversation::{FaultClass, StopReason};

/// What a stop reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Stopped(StopReason),
    Failed(FaultClass),
}

/// Reads a stop reason. A word that nobody has used so far gives `None`.
///
/// The words of Chat Completions are known too: servers that speak both protocols mix them up.
pub(super) fn read(word: &str) -> Option<Stop> {
    use Stop::{Failed, Stopped};
    Some(match word {
        "end_turn" | "stop_sequence" | "stop" => Stopped(StopReason::Stop),
        "tool_use" | "tool_calls" => Stopped(StopReason::Calls),
        "max_tokens" | "model_context_window_exceeded" | "length" => Stopped(StopReason::Length),
        "refusal" | "content_filter" | "sensitive" => Stopped(StopReason::ContentFilter),
        "pause_turn" | "compaction" => Stopped(StopReason::Pause),
        "error" | "network_error" | "abort" => Failed(FaultClass::Server),
        _ => return None,
    })
}
