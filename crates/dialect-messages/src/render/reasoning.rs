//! Reasoning of earlier turns, as the blocks that the provider gave.

use polywire_conversation::{Loss, OpaqueKind, Reasoning, Text, VisibleReasoning};

use super::Losses;
use super::block::Block;
use crate::Profile;

/// The blocks that one piece of reasoning goes back as. None, when nothing of it is the provider's own: words without a signature
/// are refused, and words with another's too.
pub(super) fn blocks<'a>(
    reasoning: Reasoning<'a>,
    profile: &Profile,
    losses: &mut Losses,
) -> Vec<Block<'a>> {
    let Reasoning {
        visible,
        sealed,
        state,
    } = reasoning;
    let words = match visible {
        VisibleReasoning::None => Vec::new(),
        VisibleReasoning::Summary(parts) | VisibleReasoning::Full(parts) => parts,
    };
    let is_signature = |kind: OpaqueKind| kind == OpaqueKind::Signature;
    let signatures = state.iter().filter(|opaque| is_signature(opaque.kind));
    let mut blocks = Vec::with_capacity(state.len() + 1);
    let mut words = match signatures.count() {
        0 => {
            let says_something = words.iter().any(|text| !text.is_empty());
            if says_something && profile.unsigned_thinking {
                blocks.push(unsigned(words));
            } else if says_something || (state.is_empty() && sealed.is_some()) {
                losses.add(left_out());
            }
            Vec::new()
        }
        1 => vec![words],
        count if words.is_empty() => vec![Vec::new(); count],
        count if words.len() == count => words.into_iter().map(|text| vec![text]).collect(),
        _ => {
            losses.add(Loss::degraded(
                "input",
                "reasoning of an earlier turn was left out: it cannot be told which words each signature is for",
            ));
            return Vec::new();
        }
    }
    .into_iter();
    for opaque in state {
        match opaque.kind {
            OpaqueKind::Signature => blocks.push(Block::Thinking {
                words: words.next().unwrap_or_default(),
                signature: opaque.state,
            }),
            OpaqueKind::Redacted => blocks.push(Block::Redacted(opaque.state)),
            OpaqueKind::Detail
            | OpaqueKind::Encrypted
            | OpaqueKind::Item
            | OpaqueKind::Sealed
            | OpaqueKind::CallSignature => losses.add(left_out()),
        }
    }
    blocks
}

/// Words for a provider that does not sign, or signs with nothing.
fn unsigned(parts: Vec<Text<'_>>) -> Block<'_> {
    let mut words = Vec::with_capacity(parts.len() * 2);
    for part in parts.into_iter().filter(|text| !text.is_empty()) {
        if !words.is_empty() {
            words.push(Text::plain("\n\n"));
        }
        words.push(part);
    }
    let signature = Text::EMPTY;
    Block::Thinking { words, signature }
}

fn left_out() -> Loss {
    Loss::note(
        "input",
        "reasoning of earlier turns was left out: it is not this provider's own",
    )
}
