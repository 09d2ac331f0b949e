//! Who is asking, as far as this dialect cares.

/// The kind of client that an answer is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The Codex CLI or desktop app.
    ///
    /// It repeats a whole turn after `response.incomplete`, drops messages that hold a refusal part, ignores `error` events and
    /// never looks at what the response object repeats of the request (codex-cli 0.169.0, November 2026).
    Codex,
    /// Anybody else: OpenAI's SDKs and what is built on them.
    Sdk,
}
