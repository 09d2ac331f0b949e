//! Every limit of this dialect's client side, with its reason.

/// The most text of one answer, in bytes of escaped JSON. The whole text is kept, because a client that asked for no stream gets
/// it in one piece. The largest answers of today's models (some 400,000 tokens) are a quarter of this.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// How many fields of a request that only this protocol knows, or nobody, are named one by one. The rest is only counted, so
/// that a request of nothing else does not fill the log.
pub(crate) const UNKNOWN_FIELDS_NAMED_MAX: usize = 8;

/// How many results of an earlier search are listed for the model. Searches bring about ten.
pub(crate) const SOURCES_LISTED_MAX: usize = 10;

/// The most characters of a hosted tool's output that are told to the model again.
pub(crate) const OUTCOME_CHARS_MAX: usize = 8_000;

/// The most models on one page of the list, and the number where the client names none (Anthropic's documentation, 2026).
pub(crate) const PAGE_MODELS_MAX: usize = 1_000;
pub(crate) const PAGE_MODELS_DEFAULT: usize = 20;
