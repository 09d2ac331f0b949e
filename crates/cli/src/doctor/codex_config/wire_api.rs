//! The protocol that Codex no longer speaks.

use toml::de::{DeTable, DeValue};

use super::ConfigFile;
use crate::doctor::finding::Finding;

/// `wire_api = "chat"`, wherever it stands. In a provider, even in one that nobody uses, Codex does not start; elsewhere Codex does not read it.
pub(super) fn chat_anywhere(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    is_main: bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut tables = vec![(table, Vec::new())];
    while let Some((table, path)) = tables.pop() {
        let is_provider = matches!(path[..], ["model_providers", _]);
        for (key, value) in table {
            let key = key.get_ref().as_ref();
            let inner = [path.as_slice(), &[key]].concat();
            match value.get_ref() {
                DeValue::Table(table) => tables.push((table, inner)),
                DeValue::String(word) if key == "wire_api" && word == "chat" => {
                    let place = file.line(&value.span());
                    found.push(chat(is_provider, is_main).at(place));
                }
                DeValue::Array(items) => {
                    let inside = items.iter().filter_map(|item| item.get_ref().as_table());
                    tables.extend(inside.map(|table| (table, inner.clone())));
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => {}
            }
        }
    }
    found
}

fn chat(is_provider: bool, is_main: bool) -> Finding {
    let what = "`wire_api = \"chat\"` is no longer supported";
    let finding = match (is_provider, is_main) {
        (true, true) => Finding::problem(
            "wire_api_chat",
            format!("{what}: Codex does not start with it, whichever provider is used"),
        ),
        (true, false) => Finding::problem(
            "wire_api_chat",
            format!("{what}: Codex does not start with this profile"),
        ),
        (false, _) => Finding::warning(
            "wire_api_chat",
            format!(
                "{what}; it stands where Codex does not read it, and would stop it in [model_providers]"
            ),
        ),
    };
    finding.hint("set it to `\"responses\"`; a provider that speaks Chat Completions only can be used through polywire: `polywire run codex -p PROVIDER`")
}
