//! The one clock that both ends of a measurement read.

use std::time::{Duration, Instant};

/// Time since the measurement began. Upstream and client live in one process, so their readings compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Starts at zero.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Monotonic time since the start.
    pub(super) fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// Time since an earlier reading.
    pub(super) fn since(self, earlier: Duration) -> Duration {
        self.now().saturating_sub(earlier)
    }
}
