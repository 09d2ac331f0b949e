//! Every limit of the store, each with its reason.

use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// What the store keeps, and for how long. The oldest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a response is kept. OpenAI keeps them for 30 days, so clients expect no more.
    pub responses_age_max: Duration,
    /// The most bytes of all responses together. Half a gigabyte is thousands of long agent turns and small beside what a
    /// developer's disk holds.
    pub responses_bytes_max: u64,
    /// The most bytes of one response with its own input. The answer of a provider is below 32 MB and a request below 64 MB; what is
    /// larger is refused rather than let it push everything else out.
    pub response_bytes_max: u64,
    /// The most responses in one chain. An agent that works for days makes a few thousand turns.
    pub chain_length_max: usize,
    /// The most bytes of the records of one chain. Its history becomes one request, and no request may have more.
    pub chain_bytes_max: u64,
    /// How long a receipt is kept: a quarter, so that the cost of the last months can be told.
    pub receipts_age_max: Duration,
    /// The most receipts. At about 1 kB each, this many are 100 MB at the very most.
    pub receipts_count_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            responses_age_max: 30 * DAY,
            responses_bytes_max: 500_000_000,
            response_bytes_max: 96 * 1024 * 1024,
            chain_length_max: 10_000,
            chain_bytes_max: 64 * 1024 * 1024,
            receipts_age_max: 90 * DAY,
            receipts_count_max: 100_000,
        }
    }
}

/// The most jobs that wait for the store's thread. A receipt takes about 0.1 ms (measured unoptimised, on a busy machine); a thousand
/// turns that end at once are a load test, and what comes on top of them is counted as dropped.
pub(crate) const QUEUE_LENGTH: usize = 1024;

/// The most kibibytes of responses that wait to be written. Whoever brings more waits, and keeps its turn open meanwhile.
pub(crate) const QUEUE_KIB_MAX: u32 = 64 * 1024;

/// How long SQLite waits for another process that writes. Writes take milliseconds; a checkpoint on a slow disk takes seconds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long dropping the last handle waits for what is queued. Closing with [`crate::Store::close`] waits as long as it takes.
pub(crate) const DROP_TIME_MAX: Duration = Duration::from_secs(5);

/// The most free pages (of 4 KiB) that are given back to the file system when the store is opened: 64 MiB, well below a second.
pub(crate) const VACUUM_PAGES_MAX: u32 = 16 * 1024;

/// The most bytes that the write-ahead log keeps on disk after a checkpoint. A large response makes it grow for a moment.
pub(crate) const LOG_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// The most bytes of one text in a receipt. Names, codes and messages are below 300; a client can send a model name of any length.
pub(crate) const RECEIPT_TEXT_BYTES_MAX: usize = 1024;

/// The most losses and the most attempts that a receipt lists. The rest is counted. A request with hundreds of tools that all lose
/// something has been seen; thousands say nothing more.
pub(crate) const RECEIPT_LIST_MAX: usize = 256;

/// The most receipts that one question answers. A page for people, or a month of one person's turns.
pub(crate) const RECEIPTS_SHOWN_MAX: u32 = 10_000;

/// How many ids an ambiguous prefix names.
pub(crate) const CANDIDATES_MAX: u32 = 5;
