//! Tools that a search has found.

use polywire_conversation::tools::SEARCH_NAME;
use polywire_conversation::{Form, Function, Ledger, Text, Tool};

/// What a tool search found, in the names under which it can be called; `None` when it found nothing.
pub(super) fn list(tools: &[Tool<'_>], ledger: &mut Ledger) -> Option<Text<'static>> {
    if tools.is_empty() {
        return None;
    }
    let mut list = String::from("Tools that can be called from now on:");
    for_each_callable(tools, None, &mut |name, namespace, form, description| {
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

/// Calls `visit` with name, namespace, form and description of every tool that can be called.
fn for_each_callable(
    tools: &[Tool<'_>],
    namespace: Option<&str>,
    visit: &mut impl FnMut(&str, Option<&str>, Form, Option<&Text<'_>>),
) {
    for tool in tools {
        match tool {
            Tool::Function(Function {
                name, description, ..
            }) => visit(name, namespace, Form::Function, description.as_ref()),
            Tool::Freeform {
                name, description, ..
            } => visit(name, namespace, Form::Freeform, description.as_ref()),
            Tool::Search { description, .. } => {
                visit(SEARCH_NAME, namespace, Form::Search, description.as_ref());
            }
            Tool::Namespace { name, tools, .. } if namespace.is_none() => {
                for_each_callable(tools, Some(name), visit);
            }
            // Not offered, and noted as a loss where the tools are.
            Tool::Namespace { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => {}
        }
    }
}
