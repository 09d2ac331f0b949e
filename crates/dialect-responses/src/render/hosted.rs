//! Tools that the provider carries out, under the names by which it knows them and in the form of this protocol.

use std::borrow::Cow;

use polywire_conversation::{Dialect, Json, Loss, Request, Tool, ToolChoice};
use polywire_wire::{Object, One, wire_object};

use super::Losses;
use crate::native::with_tag;
use crate::profile::Profile;

const WEB_SEARCH: &str = "web_search";

wire_object! {
    /// The search of the Messages protocol.
    WireSearch {
        allowed: "allowed_domains",
        blocked: "blocked_domains",
        max_uses: "max_uses",
        location: "user_location",
    }
}

/// The search of the Messages protocol in the form of this one.
fn search_of_messages(raw: &str, place: usize, losses: &mut Losses) -> String {
    let wire: WireSearch<'_> =
        serde_json::from_str(raw).map_or_else(|_| WireSearch::default(), |One(wire)| wire);
    let mut out = Vec::with_capacity(raw.len());
    let mut tool = Object::open(&mut out);
    tool.string("type", WEB_SEARCH);
    if let Some(allowed) = wire.allowed {
        let mut filters = Object::open(tool.member("filters"));
        filters.raw("allowed_domains", allowed.get());
        filters.close();
    }
    if let Some(location) = wire.location {
        tool.raw("user_location", location.get());
    }
    tool.close();
    for (field, value) in [
        ("max_uses", wire.max_uses),
        ("blocked_domains", wire.blocked),
    ] {
        if value.is_some() {
            losses.add(Loss::degraded(
                format!("tools[{place}].{field}"),
                "left out: the search of the provider has no such setting",
            ));
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The request with its hosted tools under the provider's names; as it is when there is nothing to rename.
pub(super) fn renamed<'a, 'r>(
    request: &'r Request<'a>,
    profile: &Profile,
    losses: &mut Losses,
) -> Cow<'r, Request<'a>> {
    let alias = |tag: &str| profile.hosted_aliases.get(tag);
    let mut renamed = Cow::Borrowed(request);
    for (place, tool) in request.tools.iter().enumerate() {
        let (Tool::Hosted { tag, raw } | Tool::Unknown { tag, raw }) = tool else {
            continue;
        };
        if request.dialect == Dialect::Messages && tag == WEB_SEARCH {
            renamed.to_mut().tools[place] = Tool::Hosted {
                tag: WEB_SEARCH.into(),
                raw: Json::new(search_of_messages(raw.as_str(), place, losses)),
            };
            continue;
        }
        let Some(name) = alias(tag) else { continue };
        let Some(written) = with_tag(raw.as_str(), name) else {
            continue;
        };
        losses.add(Loss::note(
            format!("tools[{place}]"),
            format!(
                "`{name}` instead of `{}`: the provider knows it by this name",
                polywire_wire::quoted(tag)
            ),
        ));
        renamed.to_mut().tools[place] = Tool::Hosted {
            tag: name.clone().into(),
            raw: Json::new(written),
        };
    }
    match &request.tool_choice {
        ToolChoice::Hosted(tag) => {
            if let Some(name) = alias(tag) {
                renamed.to_mut().tool_choice = ToolChoice::Hosted(name.clone().into());
            }
        }
        ToolChoice::Allowed { required, names }
            if names.iter().any(|name| alias(name).is_some()) =>
        {
            let names = names.iter().map(|name| match alias(name) {
                Some(alias) => alias.clone().into(),
                None => name.clone(),
            });
            renamed.to_mut().tool_choice = ToolChoice::Allowed {
                required: *required,
                names: names.collect(),
            };
        }
        ToolChoice::Unset
        | ToolChoice::Auto
        | ToolChoice::None
        | ToolChoice::Required
        | ToolChoice::Named { .. }
        | ToolChoice::Allowed { .. } => {}
    }
    renamed
}
