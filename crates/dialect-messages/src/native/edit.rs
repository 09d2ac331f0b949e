//! A client's request, for a provider of the same protocol.

use std::borrow::Cow;

use polywire_conversation::{Fault, FaultClass, Loss, Opaque, OpaqueKind};
use serde_json::value::RawValue;

use super::patch::{Members, Patch, string};
use super::turn::{Outline, is_by_budget, lacks_its_thinking};
use crate::Profile;
use crate::read::wire;
use crate::render::ids::legal;

/// What is changed in a request.
#[derive(Clone, Copy)]
pub struct NativeEdits<'e> {
    /// The provider's name for the model.
    pub model: &'e str,
    /// The provider's habits.
    pub profile: &'e Profile,
    /// Opens what a client holds: gives the state in it if it is an envelope of ours that this provider has made, and `None` for
    /// everything else.
    pub open: &'e dyn Fn(&str) -> Option<Vec<Opaque<'static>>>,
}

/// A request that is ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Native {
    /// The JSON body.
    pub body: Vec<u8>,
    /// What had to be left out.
    pub losses: Vec<Loss>,
}

/// Edits a request in place: the model's name, the state of reasoning, and ids of calls that another provider has made in a form
/// that this protocol refuses. Everything else stays byte for byte, known or not.
///
/// Thinking blocks whose state cannot be opened are left out as a whole, because no other provider may see or would take them;
/// unsigned ones stay where the provider takes them back ([`Profile::unsigned_thinking`]).
///
/// # Errors
/// [`FaultClass::InvalidRequest`] for a body that is no JSON object, has no model or no list of messages.
pub fn edit(body: &str, edits: NativeEdits<'_>) -> Result<Native, Fault> {
    let members = Members::read(body).ok_or_else(|| {
        Fault::new(
            FaultClass::InvalidRequest,
            "the request body is not a JSON object",
        )
    })?;
    let mut patch = Patch::new(body);
    let models: Vec<&RawValue> = members.all("model").collect();
    if models.is_empty() {
        return Err(Fault::invalid("model", "`model` is required"));
    }
    for model in models {
        patch.replace_with_string(model, edits.model);
    }
    let mut removed_blocks = 0;
    let mut losses = Vec::new();
    for messages in members.all("messages") {
        let messages: Vec<&RawValue> = serde_json::from_str(messages.get())
            .map_err(|_| Fault::invalid("messages", "`messages` must be an array"))?;
        let edited = edit_messages(&messages, edits, &mut patch);
        removed_blocks += edited.removed_blocks;
        if lacks_its_thinking(&edited.messages) {
            for thinking in members.all("thinking").filter(|value| is_by_budget(value)) {
                patch.replace(thinking, r#"{"type":"disabled"}"#.to_owned());
                losses.push(Loss::degraded(
                    "thinking",
                    "thinking is off until the tools have answered: the turn was begun by another model, and the provider would refuse it",
                ));
            }
        }
    }
    if removed_blocks > 0 {
        losses.push(Loss::note(
            "messages",
            format!(
                "reasoning of earlier turns was left out ({removed_blocks} blocks): it is not this provider's own"
            ),
        ));
    }
    Ok(Native {
        body: patch.apply().into_owned().into_bytes(),
        losses,
    })
}

/// What became of the messages.
#[derive(Default)]
struct EditedMessages {
    /// How many blocks were left out.
    removed_blocks: usize,
    /// The messages that go out.
    messages: Vec<Outline>,
}

fn edit_messages(
    messages: &[&RawValue],
    edits: NativeEdits<'_>,
    patch: &mut Patch<'_>,
) -> EditedMessages {
    let mut edited = EditedMessages::default();
    let mut emptied = vec![false; messages.len()];
    for (message, emptied) in messages.iter().zip(&mut emptied) {
        let members = Members::read(message.get()).unwrap_or_default();
        for content in members.all("content") {
            let blocks = wire::elements(Some(content));
            let removed: Vec<bool> = blocks
                .iter()
                .map(|block| !edit_block(block, edits, patch))
                .collect();
            let count = removed.iter().filter(|&&removed| removed).count();
            edited.removed_blocks += count;
            let kept = blocks
                .iter()
                .zip(&removed)
                .filter(|(_, removed)| !**removed);
            let outline = Outline::new(&members, kept.map(|(block, _)| *block));
            // An empty message is refused; nothing stands in its place.
            if count > 0 && count == blocks.len() {
                *emptied = true;
            } else {
                edited.messages.push(outline);
                patch.remove(&blocks, &removed);
            }
        }
    }
    patch.remove(messages, &emptied);
    edited
}

/// Puts a legal id in the place of one that another provider has made and that this protocol does not take.
fn edit_id(id: Option<&RawValue>, patch: &mut Patch<'_>) {
    if let (Some(value), Some(id)) = (id, wire::string(id))
        && let Cow::Owned(made) = legal(&id)
    {
        patch.replace_with_string(value, &made);
    }
}

/// Edits a block if it is one of reasoning, or has the id of a call. `false` when it cannot be sent.
fn edit_block(block: &RawValue, edits: NativeEdits<'_>, patch: &mut Patch<'_>) -> bool {
    let Some(members) = Members::read(block.get()) else {
        return true;
    };
    let is = |kind: &str| {
        members
            .all("type")
            .any(|found| wire::string(Some(found)).as_deref() == Some(kind))
    };
    let key = if is("thinking") {
        "signature"
    } else if is("redacted_thinking") {
        "data"
    } else {
        if is("tool_use") {
            edit_id(members.only("id"), patch);
        } else if is("tool_result") {
            edit_id(members.only("tool_use_id"), patch);
        }
        return true;
    };
    let value = members.only(key);
    let Some(sealed) = wire::string(value) else {
        let absent = members
            .all(key)
            .all(|value| ["null", "\"\""].contains(&value.get()));
        return absent && key == "signature" && edits.profile.unsigned_thinking;
    };
    let (Some(value), Some(state)) = (value, (edits.open)(&sealed)) else {
        return false;
    };
    let [opaque] = state.as_slice() else {
        return false;
    };
    let state = opaque.state.to_plain();
    match (key, opaque.kind) {
        ("signature", OpaqueKind::Signature) | ("data", OpaqueKind::Redacted) => {
            patch.replace_with_string(value, &state);
            true
        }
        // A block that was written for a client of another kind: what it was is in the envelope.
        (_, OpaqueKind::Redacted) => {
            let data = string(&state);
            patch.replace(
                block,
                format!(r#"{{"type":"redacted_thinking","data":{data}}}"#),
            );
            true
        }
        (_, OpaqueKind::Signature) => {
            let signature = string(&state);
            patch.replace(
                block,
                format!(r#"{{"type":"thinking","thinking":"","signature":{signature}}}"#),
            );
            true
        }
        (
            _,
            OpaqueKind::Detail
            | OpaqueKind::Encrypted
            | OpaqueKind::Item
            | OpaqueKind::Sealed
            | OpaqueKind::CallSignature,
        ) => false,
    }
}
