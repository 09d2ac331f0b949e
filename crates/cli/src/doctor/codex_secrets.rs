//! Whether a settings file of Codex holds what others must not read.

use toml::{Table, Value};

use polywire_credentials::names_secret;

/// Keys that hold a token, wherever they stand.
const TOKENS: [&str; 1] = ["experimental_bearer_token"];

/// Tables whose entries are secrets when their names say so: headers of providers and tools, the environment of tools.
const TABLES: [&str; 2] = ["http_headers", "env"];

/// Looks through the parsed text, so that a remark counts for nothing. Of one that is no TOML nothing is known: the check of Codex's configuration tells
/// that it is none.
pub(super) fn holds_secrets(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.parse::<Table>().is_ok_and(|table| in_table(&table))
}

fn in_table(table: &Table) -> bool {
    table.iter().any(|(key, value)| {
        let is_token = TOKENS.contains(&key.as_str()) && is_text(value);
        is_token || (TABLES.contains(&key.as_str()) && has_secret_entry(value)) || is_inside(value)
    })
}

fn is_inside(value: &Value) -> bool {
    match value {
        Value::Table(table) => in_table(table),
        Value::Array(items) => items.iter().any(is_inside),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => false,
    }
}

fn has_secret_entry(value: &Value) -> bool {
    let mut entries = value.as_table().into_iter().flatten();
    entries.any(|(name, value)| names_secret(name) && is_text(value))
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::holds_secrets;

    #[test]
    fn tokens_headers_and_environments_count_and_remarks_do_not() {
        for (text, expected) in [
            ("", false),
            ("# experimental_bearer_token = \"x\"\n", false),
            ("a = 1 # experimental_bearer_token = \"x\"\n", false),
            (
                "[model_providers.a]\nexperimental_bearer_token = \"x\"\n",
                true,
            ),
            (
                "[model_providers.a]\nexperimental_bearer_token = \"\"\n",
                false,
            ),
            (
                "\u{feff}model_providers = { a = { experimental_bearer_token = \"x\" } }\n",
                true,
            ),
            (
                "[model_providers.a.http_headers]\nAuthorization = \"x\"\n",
                true,
            ),
            ("[model_providers.a.http_headers]\nX-Title = \"x\"\n", false),
            (
                "[model_providers.a.env_http_headers]\nAuthorization = \"NAME\"\n",
                false,
            ),
            ("[mcp_servers.a.env]\nA_KEY = \"x\"\n", true),
            ("[mcp_servers.a]\nenv = { LANG = \"C\" }\n", false),
            ("a = = 1\n", false),
        ] {
            assert_eq!(holds_secrets(text), expected, "{text}");
        }
    }
}
