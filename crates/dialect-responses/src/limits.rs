//! Every limit of this dialect, with its reason.

use std::time::Duration;

/// The most text of one answer, in bytes of escaped JSON. The whole text has to be kept, because the last events repeat it
/// four times. The largest answers of today's models (some 400,000 tokens) are a quarter of this.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// The longest wait that Codex is told to keep before it tries again. It obeys whatever it is told, without a word to its user;
/// beyond this a plain failure is kinder.
pub const RETRY_WAIT_MAX: Duration = Duration::from_mins(1);

/// How many unknown fields of a request are kept for a provider that may know them. The rest is only counted, so that a request
/// of nothing else does not fill the log.
pub(crate) const UNKNOWN_FIELDS_MAX: usize = 8;
