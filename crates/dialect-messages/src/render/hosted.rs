//! The web search that the provider carries out.

use polywire_conversation::{Json, Ledger, Loss, Request, Tool};
use polywire_wire::{Object, One, WireObject, wire_object};
use serde_json::value::RawValue;

use super::Losses;
use crate::Profile;

/// The one name that the search has.
pub(super) const SEARCH_NAME: &str = "web_search";

wire_object!(
    /// A web search as a client declares it, in this protocol or in Responses.
    Declared {
        max_uses: "max_uses",
        allowed_domains: "allowed_domains",
        blocked_domains: "blocked_domains",
        user_location: "user_location",
        filters: "filters",
    }
);

wire_object!(
    /// What a search of the Responses protocol is limited to.
    Filters {
        allowed_domains: "allowed_domains",
        blocked_domains: "blocked_domains",
    }
);

/// A web search as it goes out.
pub(super) struct WebSearch<'r> {
    kind: &'r str,
    raw: &'r Json<'r>,
}

/// Whether this is the wire type of a web search.
pub(super) fn is_web_search(tag: &str) -> bool {
    tag == SEARCH_NAME || tag.starts_with("web_search_")
}

/// The web search of the request, if it has one and the provider has one too. A tool of the client's with the name of the search
/// goes before it.
pub(super) fn web_search<'r>(
    request: &'r Request<'r>,
    profile: &'r Profile,
    ledger: &Ledger,
    losses: &mut Losses,
) -> Option<WebSearch<'r>> {
    let kind = profile.hosted_web_search.as_deref()?;
    let raw = request.all_tools().find_map(|tool| match tool {
        Tool::Hosted { tag, raw } if is_web_search(tag) => Some(raw),
        Tool::Hosted { .. }
        | Tool::Function(_)
        | Tool::Freeform { .. }
        | Tool::Namespace { .. }
        | Tool::Search { .. }
        | Tool::Unknown { .. } => None,
    })?;
    if ledger
        .entries()
        .iter()
        .any(|entry| entry.wire_name == SEARCH_NAME)
    {
        losses.add(Loss::degraded(
            "tools: web search",
            "the provider's own was removed: the client has a tool of the same name",
        ));
        return None;
    }
    for key in unknown_keys(raw) {
        losses.add(Loss::note(
            format!("tools: web search: {key}"),
            "left out: the provider's search has no such setting",
        ));
    }
    Some(WebSearch { kind, raw })
}

/// What a declaration says and the protocol has no word for.
fn unknown_keys(raw: &Json<'_>) -> Vec<String> {
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(raw.as_str()).unwrap_or_default();
    let mut declared = Declared::default();
    let carried = |key: &str| matches!(key, "type" | "name" | "cache_control");
    let mut keys: Vec<String> = members.into_iter().map(|(key, _)| key).collect();
    keys.retain(|key| !carried(key) && declared.member(key).is_none());
    keys
}

impl WebSearch<'_> {
    /// Writes the tool, with those of its limits that the protocol knows.
    pub(super) fn write(&self, tool: &mut Object<'_>) {
        tool.string("type", self.kind);
        tool.string("name", SEARCH_NAME);
        let declared: Declared<'_> = read(self.raw.as_str());
        let filters: Filters<'_> = declared
            .filters
            .map(|raw| read(raw.get()))
            .unwrap_or_default();
        let allowed = declared.allowed_domains.or(filters.allowed_domains);
        let blocked = declared.blocked_domains.or(filters.blocked_domains);
        let mut pass = |key: &str, value: Option<&RawValue>, opening: &[char]| {
            if let Some(value) = value.filter(|raw| raw.get().starts_with(opening)) {
                tool.raw(key, value.get());
            }
        };
        let digits = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];
        pass("max_uses", declared.max_uses, &digits);
        pass("allowed_domains", allowed, &['[']);
        // Only one of the two may be given.
        pass(
            "blocked_domains",
            blocked.filter(|_| allowed.is_none()),
            &['['],
        );
        pass("user_location", declared.user_location, &['{']);
    }
}

fn read<'a, T: WireObject<'a>>(json: &'a str) -> T {
    serde_json::from_str::<One<T>>(json).map_or_else(|_| T::default(), |One(object)| object)
}
