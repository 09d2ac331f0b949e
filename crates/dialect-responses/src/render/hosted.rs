//! Tools that the provider carries out, under the names by which it knows them.

use std::borrow::Cow;

use polywire_conversation::{Json, Loss, Request, Tool, ToolChoice};

use super::Losses;
use crate::native::with_tag;
use crate::profile::Profile;

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
