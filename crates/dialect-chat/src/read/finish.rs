//! The words with which answers end.

use polywire_conversation::{FaultClass, StopReason};

/// What a finish reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stopped(StopReason),
    Failed(FaultClass),
}

/// Reads a finish reason. A word that nobody has used so far gives `None`.
pub(super) fn read(word: &str) -> Option<Finish> {
    use Finish::{Failed, Stopped};
    Some(match word {
        "stop" | "end" | "eos" | "end_turn" | "stop_sequence" | "STOP" => Stopped(StopReason::Stop),
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => Stopped(StopReason::Calls),
        "length" | "max_tokens" | "model_context_window_exceeded" | "MAX_TOKENS" => {
            Stopped(StopReason::Length)
        }
        "content_filter" | "sensitive" | "refusal" | "SAFETY" | "RECITATION" | "BLOCKLIST"
        | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" => Stopped(StopReason::ContentFilter),
        "pause_turn" | "compaction" => Stopped(StopReason::Pause),
        "error" | "network_error" | "abort" | "OTHER" | "LANGUAGE" => Failed(FaultClass::Server),
        "insufficient_system_resource" => Failed(FaultClass::Overloaded),
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => Failed(FaultClass::BadToolCall),
        _ => return None,
    })
}
