//! How much of an account's plan is used, as answers tell in their headers.

use polywire_upstream::HeaderMap;

/// From here on it is worth a word to the owner.
const NEARLY_USED_PERCENT: f64 = 90.0;

/// Writes to the log how much of the plan's windows is used, if an answer says so. Which window is which is told by its length:
/// either has been seen in either place (seed-behaviours.md D4, rate-limit headers).
pub(crate) fn note(provider_id: &str, headers: &HeaderMap) {
    let number = |name: String| -> Option<f64> { headers.get(name)?.to_str().ok()?.parse().ok() };
    for window in ["primary", "secondary"] {
        let Some(used) = number(format!("x-codex-{window}-used-percent")) else {
            continue;
        };
        let minutes = number(format!("x-codex-{window}-window-minutes"));
        let resets_at = number(format!("x-codex-{window}-reset-at"));
        let resets_in = number(format!("x-codex-{window}-reset-after-seconds"));
        if used >= NEARLY_USED_PERCENT {
            tracing::warn!(
                provider = provider_id,
                used,
                minutes,
                resets_at,
                resets_in,
                "the plan's window is nearly used up"
            );
        } else {
            tracing::debug!(
                provider = provider_id,
                used,
                minutes,
                resets_at,
                resets_in,
                "the plan's window"
            );
        }
    }
}
