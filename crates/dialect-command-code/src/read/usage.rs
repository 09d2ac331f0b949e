//! Token counts.

use polywire_conversation::Usage;
use serde::Deserialize;

use super::line::Raw;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counts<'a> {
    #[serde(borrow)]
    input_tokens: Raw<'a>,
    #[serde(borrow)]
    prompt_tokens: Raw<'a>,
    #[serde(borrow)]
    input_token_details: Raw<'a>,
    #[serde(borrow)]
    cached_input_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens: Raw<'a>,
    #[serde(borrow)]
    completion_tokens: Raw<'a>,
    #[serde(borrow)]
    output_token_details: Raw<'a>,
    #[serde(borrow)]
    reasoning_tokens: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details<'a> {
    #[serde(borrow, rename = "cacheReadTokens")]
    cache_read: Raw<'a>,
    #[serde(borrow, rename = "cacheWriteTokens")]
    cache_write: Raw<'a>,
    #[serde(borrow, rename = "reasoningTokens")]
    reasoning: Raw<'a>,
}

/// Reads a usage object. The input has the cached tokens in it, as ours has.
pub(super) fn read(raw: Raw<'_>) -> Option<Usage> {
    raw.get()?;
    let counts: Counts<'_> = raw.parse();
    let input: Details<'_> = counts.input_token_details.parse();
    let output: Details<'_> = counts.output_token_details.parse();
    let usage = Usage {
        input: counts.input_tokens.or(counts.prompt_tokens).count(),
        cached: input.cache_read.or(counts.cached_input_tokens).count(),
        cache_write: input.cache_write.count(),
        output: counts.output_tokens.or(counts.completion_tokens).count(),
        reasoning: output.reasoning.or(counts.reasoning_tokens).count(),
        estimated: false,
    };
    (usage != Usage::default()).then_some(usage)
}

/// The usage of several steps together.
pub(super) fn sum(one: Usage, other: Usage) -> Usage {
    let add = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (count, None) | (None, count) => count,
    };
    Usage {
        input: add(one.input, other.input),
        cached: add(one.cached, other.cached),
        cache_write: add(one.cache_write, other.cache_write),
        output: add(one.output, other.output),
        reasoning: add(one.reasoning, other.reasoning),
        estimated: false,
    }
}
