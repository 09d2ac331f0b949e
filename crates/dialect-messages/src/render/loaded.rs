//! Tools that a search has found.

use polywire_conversation::tools::for_each_callable;
use polywire_conversation::{Ledger, Text, Tool};

/// What a tool search found, in the names under which it can be called; `None` when it found nothing.
pub(super) fn list(tools: &[Tool<'_>], ledger: &mut Ledger) -> Option<Text<'static>> {
    if tools.is_empty() {
        return None;
    }
    let mut list = String::from("Tools that can be called from now on:");
    for_each_callable(tools, &mut |name, namespace, form, description| {
        list.push_str("\n- ");
        list.push_str(ledger.wire_name(name, namespace, form));
        let description = description.map(Text::to_plain).unwrap_or_default();
        if let Some(line) = description.lines().find(|line| !line.trim().is_empty()) {
            list.push_str(": ");
            list.push_str(line.trim());
        }
    });
    Some(Text::plain(list))
}
