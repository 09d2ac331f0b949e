//! The headers of a request, but for the key.

use crate::Profile;

/// What stands where the provider's client names the folder that it works in. No path of the user's leaves the machine.
const PROJECT_SLUG: &str = "workspace";

/// The headers that the route wants, but for `authorization`.
///
/// `session_uuid` names the conversation and `trace` is a W3C trace context, `00-<32 hex>-<16 hex>-01`; both are made by the
/// caller. Everything else is the same for everybody.
pub fn headers(profile: &Profile, session_uuid: &str, trace: &str) -> Vec<(String, String)> {
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "cli"),
        ("x-command-code-version", &profile.client_version),
        ("x-cli-environment", "production"),
        ("x-project-slug", PROJECT_SLUG),
        ("x-taste-learning", "false"),
        ("x-session-id", session_uuid),
        ("traceparent", trace),
    ];
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}
