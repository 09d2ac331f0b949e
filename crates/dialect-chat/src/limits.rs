//! Every limit of what is written to clients, with its reason.

/// The most text of one answer, in bytes of escaped JSON, everything included that the model wrote. It is kept whole for the
/// clients that ask for no stream. The largest answers of today's models (some 400,000 tokens) are a quarter of this.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// The most bytes of token probabilities. With twenty alternatives a token takes some 2 kB, so that a long answer has more of
/// them than of text.
pub(crate) const LOGPROBS_BYTES_MAX: usize = 64 << 20;

/// The most top-level fields that nobody knows in one request. They are kept, written again and named one by one; real clients
/// send a handful.
pub(crate) const UNKNOWN_FIELDS_MAX: usize = 64;
