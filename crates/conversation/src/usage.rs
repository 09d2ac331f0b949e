//! What a turn consumed.

/// Token counts as the provider reported them; `None` where it said nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, cached and cache-written ones included.
    pub input: Option<u64>,
    /// Input tokens that were read from a cache; part of `input`.
    pub cached: Option<u64>,
    /// Input tokens that were written to a cache; part of `input`.
    pub cache_write: Option<u64>,
    /// All output tokens, reasoning included.
    pub output: Option<u64>,
    /// Output tokens spent on reasoning; part of `output`.
    pub reasoning: Option<u64>,
    /// The numbers are ours: the provider sent none.
    pub estimated: bool,
}

impl Usage {
    /// Input and output together.
    pub fn total(&self) -> u64 {
        self.input
            .unwrap_or(0)
            .saturating_add(self.output.unwrap_or(0))
    }
}
