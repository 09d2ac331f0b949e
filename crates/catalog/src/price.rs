//! What a model costs.

use polywire_conversation::Usage;
use serde::Deserialize;

/// The prices of a model, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input that no cache knew.
    pub input: f64,
    /// Input that was read from a cache. Without it: as other input.
    pub cached: Option<f64>,
    /// Input that was written to a cache. Without it: as other input.
    pub cache_write: Option<f64>,
    /// Output, reasoning included.
    pub output: f64,
}

impl Price {
    /// What a turn costs, in US dollars, as far as its usage is known.
    #[expect(
        clippy::cast_precision_loss,
        reason = "token counts are far below 2^53, and a price is no account"
    )]
    pub fn cost_usd(&self, usage: &Usage) -> f64 {
        let cached = usage.cached.unwrap_or(0);
        let written = usage.cache_write.unwrap_or(0);
        let input = usage.input.unwrap_or(0);
        let fresh = input.saturating_sub(cached).saturating_sub(written);
        let parts = [
            (fresh, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.output.unwrap_or(0), self.output),
        ];
        let micros: f64 = parts
            .iter()
            .map(|&(tokens, price)| tokens as f64 * price)
            .sum();
        micros / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_counted_once() {
        let price = Price {
            input: 2.0,
            cached: Some(0.5),
            cache_write: None,
            output: 10.0,
        };
        let usage = Usage {
            input: Some(1_000_000),
            cached: Some(400_000),
            cache_write: Some(100_000),
            output: Some(200_000),
            reasoning: Some(150_000),
            estimated: false,
        };
        let cost = price.cost_usd(&usage);
        assert!((cost - (1.0 + 0.2 + 0.2 + 2.0)).abs() < 1e-9, "{cost}");
        assert!(price.cost_usd(&Usage::default()).abs() < 1e-9);
    }
}
