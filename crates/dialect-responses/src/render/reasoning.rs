//! Reasoning of earlier turns on its way back.

use polywire_conversation::{Loss, Opaque, OpaqueKind, Reasoning, Text, VisibleReasoning};
use polywire_wire::{Object, write_array};
use serde_json::value::RawValue;

use super::Losses;
use crate::profile::Profile;

/// Writes the item for a piece of reasoning; `false` when there is none to write.
///
/// State of the provider goes back exactly. Without it a reasoning item would name something that the provider does not have,
/// so readable reasoning goes back only where it must.
pub(super) fn write(
    thought: &Reasoning<'_>,
    profile: &Profile,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) -> bool {
    let takes_state = profile.encrypted_reasoning || profile.reasoning_content_back;
    if takes_state && write_state(thought, out) {
        return true;
    }
    if !thought.state.is_empty() || thought.sealed.is_some() {
        losses.add(Loss::note(
            "input",
            "sealed reasoning of earlier turns was left out: the provider cannot read it",
        ));
    }
    let texts: Vec<&Text<'_>> = readable(&thought.visible);
    if texts.is_empty() {
        return false;
    }
    if profile.reasoning_content_back {
        write_content(&texts, out);
        return true;
    }
    losses.add(Loss::note(
        "input",
        "reasoning of earlier turns was left out: the provider takes back only its own state",
    ));
    false
}

/// Writes the item that the provider's state makes: a whole item as it is, or one around encrypted content.
fn write_state(thought: &Reasoning<'_>, out: &mut Vec<u8>) -> bool {
    let of_kind = |kind| move |opaque: &&Opaque<'_>| opaque.kind == kind;
    if let Some(item) = thought.state.iter().find(of_kind(OpaqueKind::Item)) {
        return write_item(&item.state, out);
    }
    let Some(encrypted) = thought.state.iter().find(of_kind(OpaqueKind::Encrypted)) else {
        return false;
    };
    let mut item = Object::open(out);
    item.string("type", "reasoning");
    let summary: &[Text<'_>] = match &thought.visible {
        VisibleReasoning::Summary(parts) => parts,
        VisibleReasoning::None | VisibleReasoning::Full(_) => &[],
    };
    write_array(summary, item.member("summary"), |text, out| {
        write_text("summary_text", text, out);
    });
    item.text("encrypted_content", &encrypted.state);
    item.close();
    true
}

/// Writes a whole item, unless it is none: what went wrong with it on its way must not spoil the request.
fn write_item(state: &Text<'_>, out: &mut Vec<u8>) -> bool {
    let item = state.to_plain();
    let is_object =
        serde_json::from_str::<&RawValue>(&item).is_ok_and(|value| value.get().starts_with('{'));
    if is_object {
        out.extend_from_slice(item.as_bytes());
    }
    is_object
}

fn write_content(texts: &[&Text<'_>], out: &mut Vec<u8>) {
    let mut item = Object::open(out);
    item.string("type", "reasoning");
    item.raw("summary", "[]");
    write_array(texts, item.member("content"), |text, out| {
        write_text("reasoning_text", text, out);
    });
    item.close();
}

fn write_text(tag: &str, text: &Text<'_>, out: &mut Vec<u8>) {
    let mut part = Object::open(out);
    part.string("type", tag);
    part.text("text", text);
    part.close();
}

fn readable<'r>(visible: &'r VisibleReasoning<'r>) -> Vec<&'r Text<'r>> {
    let parts = visible.parts().iter();
    parts.filter(|text| !text.is_empty()).collect()
}
