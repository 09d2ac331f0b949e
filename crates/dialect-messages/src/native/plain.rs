//! Which requests can go to the provider as they are.

use polywire_conversation::{Dialect, Item, OpaqueKind, Reasoning, Request, Role};

use crate::Profile;
use crate::profile::ThinkingForm;
use crate::render::wants_thinking;

/// Whether the bytes of a request can go to a provider of this profile, but for what [`edit`](super::edit()) changes.
///
/// `false` for what was changed since it was read, and for a request to think between a call and its answer when the turn does not
/// begin with thinking of this provider: most refuse that, and the renderer knows what to do.
pub fn is_plain(request: &Request<'_>, profile: &Profile) -> bool {
    request.dialect == Dialect::Messages
        && !request.compact
        && request.tools_refused.is_empty()
        && (profile.thinking == ThinkingForm::Adaptive
            || !wants_thinking(&request.reasoning)
            || !lacks_its_thinking(&request.items, profile))
}

/// Whether tools answer a turn of the model that does not begin with thinking of the provider's own.
fn lacks_its_thinking(items: &[Item<'_>], profile: &Profile) -> bool {
    let mut items = items
        .iter()
        .rev()
        .skip_while(
            |item| matches!(item, Item::Message(message) if message.role != Role::Assistant),
        )
        .peekable();
    if !matches!(items.peek(), Some(Item::Result(_))) {
        return false;
    }
    let of_turn = |item: &&Item<'_>| {
        !matches!(item, Item::Message(message) if message.role == Role::User)
            && !matches!(item, Item::Compaction { .. })
    };
    let of_model = |item: &&Item<'_>| match item {
        Item::Message(message) => message.role == Role::Assistant,
        Item::Reasoning(_) | Item::Call(_) | Item::HostedCall { .. } => true,
        Item::Result(_) | Item::ToolsAdded(_) | Item::Compaction { .. } | Item::Unknown { .. } => {
            false
        }
    };
    match items.take_while(of_turn).filter(of_model).last() {
        Some(Item::Reasoning(reasoning)) => !goes_back(reasoning, profile),
        Some(
            Item::Message(_)
            | Item::Call(_)
            | Item::Result(_)
            | Item::ToolsAdded(_)
            | Item::HostedCall { .. }
            | Item::Compaction { .. }
            | Item::Unknown { .. },
        ) => true,
        None => false,
    }
}

/// Whether the block of this reasoning stays in the request.
fn goes_back(reasoning: &Reasoning<'_>, profile: &Profile) -> bool {
    let is_own = |kind: OpaqueKind| matches!(kind, OpaqueKind::Signature | OpaqueKind::Redacted);
    reasoning.state.iter().any(|opaque| is_own(opaque.kind))
        || (profile.unsigned_thinking && reasoning.sealed.is_none())
}
