//! JSON as the set of its leaves, so that two bodies can be compared.

use serde_json::Value;

/// A leaf: where it stands, with `[]` for any place in a list, and what it is.
pub(crate) type Leaf = (String, Value);

/// All leaves in order. An empty object or list is a leaf.
pub(crate) fn of(value: &Value) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    collect(value, String::new(), &mut leaves);
    leaves
}

fn collect(value: &Value, path: String, leaves: &mut Vec<Leaf>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                collect(value, format!("{path}{dot}{key}"), leaves);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for value in values {
                collect(value, format!("{path}[]"), leaves);
            }
        }
        leaf => leaves.push((path, leaf.clone())),
    }
}

/// What is in `leaves` and not in `others`, each as often as it is too many.
pub(crate) fn beyond(leaves: &[Leaf], others: &[Leaf]) -> Vec<Leaf> {
    let mut others = others.to_vec();
    let mut beyond = leaves.to_vec();
    beyond.retain(|leaf| {
        let found = others.iter().position(|other| other == leaf);
        found.map(|at| others.swap_remove(at)).is_none()
    });
    beyond
}

/// A value in a cell: short, and harmless to the table.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{dots}`", short.replace('|', "\\|").replace('`', "'"))
}

/// Words in a cell.
pub(crate) fn words(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
