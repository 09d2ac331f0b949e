//! Who we say we are to providers.

use polywire_catalog::{Auth, Provider};
use polywire_upstream::{HeaderMap, HeaderName, HeaderValue};

/// Who we are to providers.
const USER_AGENT: &str = concat!("polywire/", env!("CARGO_PKG_VERSION"));

/// The version of Codex whose protocol is spoken to the service behind it. The service shows older versions fewer models
/// (seed-behaviours.md D5.1). It is no claim to be Codex: that is made, or not, by `originator` and `User-Agent`.
pub(crate) const CODEX_VERSION: &str = "0.169.0";

/// What Codex calls itself in `originator` and at the beginning of its `User-Agent`.
const CODEX_ORIGINATOR: &str = "codex_cli_rs";

const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
const VERSION: HeaderName = HeaderName::from_static("version");

/// Puts the headers on that say who asks.
///
/// We say our own name. Only where the user has chosen it (`codex_identity`), because the filter in front of a service refuses
/// others, do we write the two headers in the form of Codex; our name stands there all the same, at the end.
pub(crate) fn introduce(provider: &Provider, headers: &mut HeaderMap) {
    headers.insert(
        http::header::USER_AGENT,
        HeaderValue::from_static(USER_AGENT),
    );
    match provider.auth {
        Auth::Login => {}
        Auth::Bearer | Auth::Header { .. } | Auth::None => return,
    }
    headers.insert(VERSION, HeaderValue::from_static(CODEX_VERSION));
    headers.insert(ORIGINATOR, HeaderValue::from_static("polywire"));
    if provider.codex_identity
        && let Ok(agent) = HeaderValue::try_from(codex_agent())
    {
        headers.insert(ORIGINATOR, HeaderValue::from_static(CODEX_ORIGINATOR));
        headers.insert(http::header::USER_AGENT, agent);
    }
}

/// `<originator>/<version> (<OS> <OS version>; <arch>) <terminal>`, with us in the place of the terminal. The version of the system is
/// nobody's business.
fn codex_agent() -> String {
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{CODEX_ORIGINATOR}/{CODEX_VERSION} ({system} 0; {architecture}) {USER_AGENT}")
}
