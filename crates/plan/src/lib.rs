//! Pure decisions: which target serves a turn, and what to do after a fault.
//!
//! No I/O, no clock, no randomness: what was waited and the jitter arrive as arguments, so that every decision can be put in
//! a table and tested.
//!
//! Start with [`targets()`], then [`after_fault`].

mod retry;
mod targets;

pub use retry::{
    AttemptState, Next, Progress, RETRY_AFTER_CAP, RetryLimits, after_fault, client_retry_after,
};
pub use targets::{Target, targets};
