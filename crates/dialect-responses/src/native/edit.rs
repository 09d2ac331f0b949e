//! The request of a client of this protocol, for a provider of this protocol.

use std::fmt;

use polywire_conversation::{Fault, FaultClass, Loss, Opaque, OpaqueKind};
use polywire_wire::wire_object;
use serde_json::value::RawValue;

use super::insist;
use super::splice::{self, Container, Edit, Piece, json_string};
use crate::Profile;

/// What has to change in a request.
pub struct NativeEdits<'e> {
    /// The provider's name for the model.
    pub model: &'e str,
    /// The provider's habits: what is dropped, what is added, whether reasoning goes back.
    pub profile: &'e Profile,
    /// Opens what the client was given to hold. `None` for what is not ours, damaged, or made by another provider.
    pub open: &'e dyn Fn(&str) -> Option<Vec<Opaque<'static>>>,
}

impl fmt::Debug for NativeEdits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeEdits")
            .field("model", &self.model)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// A request as it goes to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// The JSON body.
    pub body: String,
    /// What was changed or left out on the way.
    pub losses: Vec<Loss>,
}

wire_object! {
    WireInput {
        tag: "type",
        encrypted_content: "encrypted_content",
        content: "content",
    }
}

/// Changes in a request what must change, and nothing else.
///
/// The model gets its upstream name, `store` is false, the members that the profile drops are gone and those that it adds are
/// there. Reasoning goes back as what the provider made; what cannot be opened stays here. What would make the provider go on
/// from something that is not in the request (`previous_response_id`, `conversation`) or that it cannot read (`compaction`) never
/// reaches it; [`is_plain`](super::is_plain) sends such requests another way.
///
/// # Errors
/// A fault of class `invalid_request` when the body is no JSON object.
pub fn edit(body: &str, edits: &NativeEdits<'_>) -> Result<Native, Fault> {
    let request = splice::object(body).ok_or_else(|| {
        Fault::new(
            FaultClass::InvalidRequest,
            "the request body is not a JSON object",
        )
    })?;
    let mut losses = Vec::new();
    let more = additions(&request, edits, &mut losses);
    let body = request.rewrite(
        |_, member| edit_member(member, &request, edits, &mut losses),
        &more,
    );
    Ok(Native { body, losses })
}

/// The members that are added at the end.
fn additions<'e>(
    request: &Container<'_>,
    edits: &'e NativeEdits<'_>,
    losses: &mut Vec<Loss>,
) -> Vec<(&'e str, String)> {
    let mut more: Vec<(&str, String)> = insist::additions(request, edits.profile, losses);
    for (key, value) in [
        ("model", json_string(edits.model)),
        ("store", "false".to_owned()),
    ] {
        if !request.has(key) {
            more.push((key, value));
        }
    }
    for (key, value) in &edits.profile.extra_body {
        let is_dropped = edits.profile.drop.contains(key);
        let is_added = more.iter().any(|(added, _)| *added == key);
        let taken =
            (request.has(key) && !is_dropped) || is_added || ["model", "store"].contains(&&**key);
        if taken {
            losses.push(Loss::note(
                format!("extra_body.{key}"),
                "left out: the field is decided from the request",
            ));
        } else {
            more.push((&**key, value.to_string()));
        }
    }
    more
}

fn edit_member(
    member: &Piece<'_>,
    request: &Container<'_>,
    edits: &NativeEdits<'_>,
    losses: &mut Vec<Loss>,
) -> Edit {
    match &*member.key {
        "model" => Edit::Replace(json_string(edits.model)),
        "store" if member.value == "false" => Edit::Keep,
        "store" => Edit::Replace("false".to_owned()),
        "previous_response_id" | "conversation" => {
            if member.value != "null" {
                losses.push(Loss::severe(
                    member.key.clone().into_owned(),
                    "left out: the provider stores nothing of this conversation",
                ));
            }
            Edit::Remove
        }
        // Of the WebSocket form of a request.
        "type" | "generate" => Edit::Remove,
        // What describes the client and its machine (Codex names the workspace and its last commit) is nobody else's business, and
        // nobody misses it.
        "client_metadata" => Edit::Remove,
        key if edits.profile.drop.iter().any(|dropped| dropped == key) => {
            losses.push(Loss::note(
                key.to_owned(),
                "left out: the provider does not take it",
            ));
            Edit::Remove
        }
        _ => insist::edit_member(member, request, edits.profile, losses)
            .unwrap_or_else(|| edit_rest(member, edits, losses)),
    }
}

fn edit_rest(member: &Piece<'_>, edits: &NativeEdits<'_>, losses: &mut Vec<Loss>) -> Edit {
    match &*member.key {
        "input" => match splice::array(member.value) {
            Some(items) => edit_input(&items, edits, losses),
            None => Edit::Keep,
        },
        _ => Edit::Keep,
    }
}

/// Edits the conversation; nothing is copied when nothing in it has to change.
fn edit_input(items: &Container<'_>, edits: &NativeEdits<'_>, losses: &mut Vec<Loss>) -> Edit {
    let changes: Vec<Edit> = items
        .pieces
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let change = edit_item(index, item.value, edits, losses);
            tidy(change, item.value, edits, losses)
        })
        .collect();
    if changes.iter().all(|change| matches!(change, Edit::Keep)) {
        return Edit::Keep;
    }
    let mut changes = changes.into_iter();
    Edit::Replace(items.rewrite(|_, _| changes.next().unwrap_or(Edit::Keep), &[]))
}

fn edit_item(index: usize, item: &str, edits: &NativeEdits<'_>, losses: &mut Vec<Loss>) -> Edit {
    // Most items are long, and none of those that change is without one of these words.
    if !item.contains("reasoning") && !item.contains("compaction") {
        return Edit::Keep;
    }
    let Ok(polywire_wire::One(wire)) =
        serde_json::from_str::<polywire_wire::One<WireInput<'_>>>(item)
    else {
        return Edit::Keep;
    };
    match string(wire.tag).as_deref() {
        Some("reasoning") => {
            let change = edit_reasoning(item, &wire, edits);
            if matches!(change, Edit::Remove) {
                losses.push(Loss::note(
                    format!("input[{index}]"),
                    "reasoning of an earlier turn was left out: it holds no state that the provider can read",
                ));
            }
            change
        }
        Some("compaction" | "compaction_trigger" | "compaction_summary") => {
            losses.push(Loss::severe(
                format!("input[{index}]"),
                "left out: the provider cannot read a summary that was sealed here",
            ));
            Edit::Remove
        }
        Some(_) | None => Edit::Keep,
    }
}

/// The same change, and without what the provider would refuse in what is left.
fn tidy(change: Edit, item: &str, edits: &NativeEdits<'_>, losses: &mut Vec<Loss>) -> Edit {
    let left = match &change {
        Edit::Keep => item,
        Edit::Replace(text) => text,
        Edit::Remove => return Edit::Remove,
    };
    match insist::tidied(left, edits.profile, losses) {
        Some(tidied) => Edit::Replace(tidied),
        None => change,
    }
}

fn edit_reasoning(item: &str, wire: &WireInput<'_>, edits: &NativeEdits<'_>) -> Edit {
    let sealed = string(wire.encrypted_content).filter(|sealed| !sealed.is_empty());
    let profile = edits.profile;
    let state = sealed
        .filter(|_| profile.encrypted_reasoning || profile.reasoning_content_back)
        .and_then(|sealed| (edits.open)(&sealed))
        .unwrap_or_default();
    let of_kind = |kind| state.iter().find(move |opaque| opaque.kind == kind);
    if let Some(whole) = of_kind(OpaqueKind::Item) {
        let whole = whole.state.to_plain();
        return match splice::object(&whole) {
            Some(_) => Edit::Replace(whole.into_owned()),
            None => Edit::Remove,
        };
    }
    let replacement = of_kind(OpaqueKind::Encrypted).map(|opaque| {
        let mut out = Vec::new();
        opaque.state.write_string(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    });
    let has_content = wire
        .content
        .is_some_and(|content| content.get().starts_with('[') && content.get().len() > 2);
    if replacement.is_none() && !(profile.reasoning_content_back && has_content) {
        return Edit::Remove;
    }
    let Some(members) = splice::object(item) else {
        return Edit::Remove;
    };
    let change = |member: &Piece<'_>| match (&*member.key, &replacement) {
        ("encrypted_content", Some(state)) => Edit::Replace(state.clone()),
        ("encrypted_content", None) => Edit::Remove,
        _ => Edit::Keep,
    };
    Edit::Replace(members.rewrite(|_, member| change(member), &[]))
}

fn string(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}
