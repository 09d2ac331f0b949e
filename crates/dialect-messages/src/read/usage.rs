//! Token counts, put together from the start and the end of a stream.

use polywire_conversation::Usage;

use super::wire::{Raw, WireDetails, WireUsage, count, inner};

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Input that came from no cache.
    fresh: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Tally {
    /// Takes over what is counted later in the stream: the numbers are totals, and what is missing there holds on.
    ///
    /// Some gateways repeat the input as zero at the end, others begin with zeros; so an end without any input leaves the input
    /// alone. One that has some replaces it as a whole, zeros included: after a compaction less is read from the cache than at
    /// the start (recorded in 2026).
    pub(super) fn add(&mut self, raw: Raw<'_>) {
        let later = Self::read(raw);
        if later.input().unwrap_or(0) > 0 || self.input().is_none() {
            self.fresh = later.fresh.or(self.fresh);
            self.cache_read = later.cache_read.or(self.cache_read);
            self.cache_write = later.cache_write.or(self.cache_write);
        } else {
            // Zeros tell at least that the provider counts them.
            self.cache_read = self.cache_read.or(later.cache_read);
            self.cache_write = self.cache_write.or(later.cache_write);
        }
        if later.output.unwrap_or(0) > 0 || self.output.is_none() {
            self.output = later.output.or(self.output);
        }
        self.thinking = later.thinking.or(self.thinking);
    }

    fn read(raw: Raw<'_>) -> Self {
        let wire: WireUsage<'_> = inner(raw);
        let input_details: WireDetails<'_> = inner(wire.prompt_details);
        let output_details: WireDetails<'_> = inner(wire.output_details);
        let cache_read = count(wire.cache_read).or_else(|| count(input_details.cached));
        let cache_write = count(wire.cache_write);
        // OpenAI's number holds what came from the cache; the protocol's own does not.
        let prompt = || {
            let cached = cache_read
                .unwrap_or(0)
                .saturating_add(cache_write.unwrap_or(0));
            count(wire.prompt).map(|all| all.saturating_sub(cached))
        };
        Self {
            fresh: count(wire.input).or_else(prompt),
            cache_read,
            cache_write,
            output: count(wire.output).or_else(|| count(wire.completion)),
            thinking: count(output_details.thinking),
        }
    }

    /// All input, from whereever it came.
    fn input(&self) -> Option<u64> {
        let counts = [self.fresh, self.cache_read, self.cache_write];
        counts.into_iter().flatten().reduce(u64::saturating_add)
    }

    /// The counts in neutral terms; `None` when nothing was counted.
    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = Usage {
            input: self.input(),
            cached: self.cache_read,
            cache_write: self.cache_write,
            output: self.output,
            reasoning: self.thinking,
            estimated: false,
        };
        (usage != Usage::default()).then_some(usage)
    }
}
