//! What is shown of a provider before it is imported: everything that somebody else may have put into it.

use polywire_credentials::masked;
use toml::{Table, Value};

use super::plan::{Action, PlannedProvider};

/// What the first line tells, or a line of its own, and what only concerns names.
const TOLD_ELSEWHERE: &[&str] = &[
    "preset",
    "kind",
    "name",
    "base_url",
    "models",
    "default_model",
    "key",
    "codex",
    "proxy",
];

/// The lines of a provider, for people; not yet fit for a terminal.
pub(super) fn provider_lines(planned: &PlannedProvider) -> Vec<String> {
    let PlannedProvider {
        action,
        id,
        incoming,
        ..
    } = planned;
    let renamed = if *id == incoming.id {
        String::new()
    } else {
        format!(" (called `{}` in the file)", incoming.id)
    };
    let what = target(&incoming.table);
    let mut lines = match action {
        Action::Add => vec![format!("add provider `{id}`{renamed}: {what}")],
        Action::Replace => vec![format!("replace provider `{id}`: {what}")],
        Action::Skip => {
            return vec![format!(
                "skip provider `{id}`: the settings have it already"
            )];
        }
    };
    lines.push(format!("    key: {}", key(planned)));
    // What runs on this machine is somebody else's word.
    if let Some(program) = incoming.table.get("codex") {
        lines.push(format!("    runs the program {program}"));
    }
    let shown = masked(&incoming.table);
    if let Some(proxy) = shown.get("proxy") {
        let proxy = proxy.as_str().unwrap_or("(not understood)");
        lines.push(format!("    proxy: {proxy}"));
    }
    for (name, value) in &shown {
        if !TOLD_ELSEWHERE.contains(&name.as_str()) {
            members(name, value, &mut lines);
        }
    }
    lines
}

/// A line for each value, however deep it is.
fn members(name: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                members(&format!("{name}.{key}"), value, lines);
            }
        }
        Value::Table(_)
        | Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => lines.push(format!("    {name} = {value}")),
    }
}

fn target(table: &Table) -> String {
    let text = |key: &str| table.get(key).and_then(Value::as_str);
    let words = [
        text("preset").map(|preset| format!("preset {preset}")),
        text("kind").map(|kind| format!("kind {kind}")),
        text("base_url").map(|url| format!("at {url}")),
        table
            .get("models")
            .and_then(Value::as_array)
            .map(|models| format!("{} models", models.len())),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    words.join(", ")
}

fn key(planned: &PlannedProvider) -> String {
    let incoming = &planned.incoming;
    if incoming.key.is_some() {
        return "from the file, to be kept by polywire".to_owned();
    }
    if let Some(place) = &planned.key_of_ours {
        return format!(
            "missing; the file names {place}, where polywire keeps keys of this machine; `polywire provider edit {} --key-stdin` takes one in",
            planned.id
        );
    }
    let Some(Value::Table(reference)) = incoming.table.get("key") else {
        return usual_key(&incoming.table);
    };
    match reference.iter().next() {
        Some((form, value)) if form == "command" => format!("what the program {value} prints"),
        Some((form, value)) => format!("{form} {value}"),
        None => "none in the file".to_owned(),
    }
}

/// A preset finds its key by itself.
fn usual_key(table: &Table) -> String {
    let preset = table.get("preset").and_then(Value::as_str);
    let preset = preset.and_then(polywire_catalog::preset);
    match preset.and_then(|preset| preset.key_variable.as_ref()) {
        Some(variable) => format!("none in the file; `{variable}` if it is set"),
        None => "none in the file".to_owned(),
    }
}
