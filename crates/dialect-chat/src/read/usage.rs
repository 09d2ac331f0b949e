//! Token counts, whatever they are called.

use polywire_conversation::Usage;

use super::chunk::{Chunk, GroqExtra, Raw, WireUsage};

/// The usage that a chunk reports: at the top, in its first choice (Moonshot), or in `x_groq`.
pub(super) fn read(chunk: &Chunk<'_>) -> Option<Usage> {
    let in_choice = || {
        chunk
            .choices
            .first()
            .and_then(|choice| counts(choice.usage))
    };
    let in_groq = || {
        let extra: Option<GroqExtra<'_>> = chunk.x_groq.get().map(|_| chunk.x_groq.parse());
        extra.and_then(|extra| counts(extra.usage))
    };
    counts(chunk.usage).or_else(in_choice).or_else(in_groq)
}

fn counts(raw: Raw<'_>) -> Option<Usage> {
    raw.get()?;
    let wire: WireUsage<'_> = raw.parse();
    let input = wire.prompt.count();
    let mut output = wire.completion.count();
    let mut reasoning = wire
        .completion_details
        .reasoning
        .count()
        .or_else(|| wire.reasoning.count());
    // xAI, Copilot and Gemini's compatible endpoint leave reasoning out of the completion; the total has it (seen 2025 and
    // 2026, fixtures/chat/reasoning_outside_completion.sse).
    if let (Some(total), Some(prompt), Some(completion)) = (wire.total.count(), input, output) {
        let left_out = total.saturating_sub(prompt.saturating_add(completion));
        if left_out > 0 {
            output = Some(completion + left_out);
            reasoning = reasoning.or(Some(left_out));
        }
    }
    let cached = [
        wire.prompt_details.cached,
        wire.cache_hit,
        wire.cached,
        wire.cache_read,
    ];
    let usage = Usage {
        input,
        cached: cached.into_iter().find_map(Raw::count),
        cache_write: wire
            .prompt_details
            .cache_write
            .count()
            .or_else(|| wire.cache_creation.count()),
        output,
        reasoning,
        estimated: false,
    };
    (usage != Usage::default()).then_some(usage)
}
