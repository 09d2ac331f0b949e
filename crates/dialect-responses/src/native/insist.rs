//! What a provider insists on in a request that otherwise passes as it is.

use polywire_conversation::Loss;
use polywire_wire::wire_object;
use serde_json::value::RawValue;

use super::splice::{self, Container, Edit, Piece, json_string};
use crate::Profile;
use crate::fields;
use crate::profile::ItemIds;
use crate::render::{default_instructions, tier_left_out};

/// The most characters of an item's id.
const ID_CHARS_MAX: usize = 64;

/// What becomes of a member because the provider insists on it; nothing when it does not care.
pub(super) fn edit_member(
    member: &Piece<'_>,
    request: &Container<'_>,
    profile: &Profile,
    losses: &mut Vec<Loss>,
) -> Option<Edit> {
    match &*member.key {
        "stream" if profile.stream_only => Some(Edit::Replace("true".to_owned())),
        "include" => {
            let only = profile.include_json()?;
            losses.extend(include_loss(member.value, profile));
            Some(Edit::Replace(only))
        }
        "instructions" if says_nothing(member.value) => {
            let text = profile.instructions_default.as_ref()?;
            losses.push(default_instructions());
            Some(Edit::Replace(json_string(text)))
        }
        "parallel_tool_calls" if profile.parallel_with_tools_only && !has_tools(request) => {
            Some(Edit::Remove)
        }
        "service_tier" if !profile.service_tiers.is_empty() => {
            let wanted: String = serde_json::from_str(member.value).unwrap_or_default();
            Some(if let Some(tier) = profile.tier(&wanted) {
                Edit::Replace(json_string(tier))
            } else {
                losses.extend(tier_left_out(&wanted).filter(|_| member.value != "null"));
                Edit::Remove
            })
        }
        "input" if profile.input_list && member.value.starts_with('"') => {
            Some(Edit::Replace(format!(
                r#"[{{"type":"message","role":"user","content":[{{"type":"input_text","text":{}}}]}}]"#,
                member.value
            )))
        }
        key if !profile.takes_field(key) => {
            losses.extend(fields::loss(key, member.value));
            Some(Edit::Remove)
        }
        _ => None,
    }
}

/// The members that the provider insists on and the request has not.
pub(super) fn additions(
    request: &Container<'_>,
    profile: &Profile,
    losses: &mut Vec<Loss>,
) -> Vec<(&'static str, String)> {
    let mut more = Vec::new();
    if profile.stream_only && !request.has("stream") {
        more.push(("stream", "true".to_owned()));
    }
    if let Some(only) = profile.include_json()
        && !request.has("include")
    {
        more.push(("include", only));
    }
    if let Some(text) = &profile.instructions_default
        && !request.has("instructions")
    {
        losses.push(default_instructions());
        more.push(("instructions", json_string(text)));
    }
    more
}

fn says_nothing(instructions: &str) -> bool {
    let text: Option<String> = serde_json::from_str(instructions).unwrap_or_default();
    text.is_none_or(|text| text.trim().is_empty())
}

fn has_tools(request: &Container<'_>) -> bool {
    let tools = request.pieces.iter().find(|member| member.key == "tools");
    let list = tools.and_then(|tools| splice::array(tools.value));
    list.is_some_and(|list| !list.pieces.is_empty())
}

/// What else the client wanted included.
fn include_loss(include: &str, profile: &Profile) -> Option<Loss> {
    let wanted: Vec<String> = serde_json::from_str(include).unwrap_or_default();
    let lost: Vec<&str> = wanted
        .iter()
        .filter(|name| !profile.include_only.contains(name))
        .map(String::as_str)
        .collect();
    (!lost.is_empty()).then(|| {
        let lost = lost.join("`, `");
        Loss::note(
            "include",
            format!(
                "`{}` was left out: the provider does not take it",
                polywire_wire::quoted(&lost)
            ),
        )
    })
}

wire_object! {
    WireIdentified {
        tag: "type",
        id: "id",
    }
}

/// The item without what the provider would refuse in it; nothing when there is no such thing.
///
/// An id that goes is no loss: it names something to whoever has it stored, and this provider stores nothing.
pub(super) fn tidied(item: &str, profile: &Profile, losses: &mut Vec<Loss>) -> Option<String> {
    let checks_ids = profile.item_ids == ItemIds::Checked && item.contains("\"id\"");
    let dropped = |name: &str| profile.part_drop.iter().any(|drop| drop == name);
    let drops_members = profile
        .part_drop
        .iter()
        .any(|name| item.contains(name.as_str()));
    if !checks_ids && !drops_members {
        return None;
    }
    let members = splice::object(item)?;
    let drops_id = checks_ids && !has_good_id(item);
    let mut changes = 0;
    let text = members.rewrite(
        |_, member| {
            let edit = match &*member.key {
                "id" if drops_id => Edit::Remove,
                "content" | "output" if drops_members => without_members(member.value, dropped),
                _ => Edit::Keep,
            };
            changes += usize::from(!matches!(edit, Edit::Keep));
            if let Edit::Replace(_) = edit {
                note_parts(profile, losses);
            }
            edit
        },
        &[],
    );
    (changes > 0).then_some(text)
}

fn note_parts(profile: &Profile, losses: &mut Vec<Loss>) {
    let loss = Loss::note(
        "input",
        format!(
            "`{}` in parts was left out: the provider does not take it",
            profile.part_drop.join("`, `")
        ),
    );
    if !losses.contains(&loss) {
        losses.push(loss);
    }
}

/// A list of parts without members of these names.
fn without_members(parts: &str, dropped: impl Fn(&str) -> bool) -> Edit {
    let Some(list) = splice::array(parts) else {
        return Edit::Keep;
    };
    let mut changed = false;
    let text = list.rewrite(
        |_, part| {
            let Some(members) = splice::object(part.value) else {
                return Edit::Keep;
            };
            if !members.pieces.iter().any(|member| dropped(&member.key)) {
                return Edit::Keep;
            }
            changed = true;
            Edit::Replace(members.rewrite(
                |_, member| {
                    if dropped(&member.key) {
                        Edit::Remove
                    } else {
                        Edit::Keep
                    }
                },
                &[],
            ))
        },
        &[],
    );
    if changed {
        Edit::Replace(text)
    } else {
        Edit::Keep
    }
}

/// Whether the id begins as those of its kind of item do.
fn has_good_id(item: &str) -> bool {
    let wire: WireIdentified<'_> = serde_json::from_str(item).map_or_else(
        |_| WireIdentified::default(),
        |polywire_wire::One(wire)| wire,
    );
    let text = |raw: Option<&RawValue>| -> Option<String> { serde_json::from_str(raw?.get()).ok() };
    let begins = match text(wire.tag).as_deref() {
        Some("message") | None => "msg",
        Some("reasoning") => "rs",
        Some("function_call") => "fc",
        Some("custom_tool_call") => "ctc",
        Some("custom_tool_call_output") => "ctco",
        Some(_) => return false,
    };
    text(wire.id).is_some_and(|id| id.starts_with(begins) && id.chars().count() <= ID_CHARS_MAX)
}
