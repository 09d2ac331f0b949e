//! Faults that the gateway itself finds.

use std::error::Error as _;

use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_upstream::{SendError, root_cause};

/// Something that must not happen did. Reported as ours, with what is known.
pub(crate) fn ours(message: impl Into<String>) -> Fault {
    Fault {
        origin: Origin::Ours,
        retry: Retry::Never,
        status: 500,
        ..Fault::new(FaultClass::Server, message)
    }
}

/// No answer came from a provider.
pub(crate) fn not_sent(provider_id: &str, base_url: &str, error: &SendError) -> Fault {
    let cause = error.source().map(root_cause).unwrap_or_default();
    match error {
        SendError::Connect { .. } => Fault::new(
            FaultClass::NetworkCut,
            format!(
                "provider `{provider_id}` cannot be reached at {base_url}: {cause}. hint: is the address right and the server running?"
            ),
        ),
        SendError::Timeout { .. } => Fault::new(
            FaultClass::Timeout,
            format!("provider `{provider_id}`: {error}"),
        ),
        SendError::Broken { .. } => Fault::new(
            FaultClass::NetworkCut,
            format!("provider `{provider_id}`: {error}: {cause}"),
        ),
        SendError::Tls(_) => ours(format!("provider `{provider_id}`: {error}: {cause}")),
    }
}

/// The model ended its answer without a word and without a call. Asked once more, because some providers do so when busy;
/// a second empty answer is passed on as it is.
pub(crate) fn empty_answer() -> Fault {
    Fault::new(FaultClass::Server, "the provider's answer was empty")
}
