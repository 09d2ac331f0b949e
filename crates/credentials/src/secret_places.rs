//! What of a provider's table is a secret: one answer for all who show it, write it, or carry it away.

use toml::{Table, Value};

use crate::Proxy;
use crate::secret_names::names_secret;

/// Tables of a provider whose values go to others, so that any of them may be a secret. The other tables have names of ours, whose
/// values are known to be none.
const TABLES_OF_OTHERS: &[&[&str]] = &[&["headers"], &["codex_config"], &["profile", "extra_body"]];

/// The table of headers in Codex's settings of a server. Headers are there to let somebody in.
const HEADERS_OF_CODEX: &str = "http_headers";

/// The table of Codex's settings whose values are names of variables.
const VARIABLES_OF_CODEX: &str = "env_http_headers";

/// What stands in the place of a secret.
const MASK: &str = "***";

/// The places of the secrets in a provider's table, each as the keys that lead to it: a key that stands there itself, a proxy with a
/// password, and what headers and the like hold under a name that tells a secret. References to keys are no secrets.
pub fn secret_places(table: &Table) -> Vec<Vec<String>> {
    let mut places = Vec::new();
    if table.get("key").is_some_and(Value::is_str) {
        places.push(vec!["key".to_owned()]);
    }
    let proxy = table.get("proxy").and_then(Value::as_str);
    if proxy.is_some_and(|proxy| Proxy::parse(proxy).is_ok_and(|proxy| proxy.has_password())) {
        places.push(vec!["proxy".to_owned()]);
    }
    for path in TABLES_OF_OTHERS {
        if let Some(inner) = below(table, path) {
            let way: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
            collect(inner, &way, false, &mut places);
        }
    }
    places
}

/// The table with `***` in the place of every secret; of a proxy its address stays.
pub fn masked(table: &Table) -> Table {
    let mut shown = table.clone();
    for place in secret_places(table) {
        if let Some(value) = at(&mut shown, &place) {
            let proxy = value.as_str().filter(|_| place == ["proxy"]);
            let proxy = proxy.and_then(|proxy| Proxy::parse(proxy).ok());
            *value = proxy.map_or_else(|| MASK.into(), |proxy| proxy.to_string().into());
        }
    }
    shown
}

fn below<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Table> {
    let mut table = table;
    for key in path {
        table = table.get(*key)?.as_table()?;
    }
    Some(table)
}

fn at<'t>(table: &'t mut Table, path: &[String]) -> Option<&'t mut Value> {
    let (last, way) = path.split_last()?;
    let mut table = table;
    for key in way {
        table = table.get_mut(key)?.as_table_mut()?;
    }
    table.get_mut(last)
}

/// `all` tells that every value of the table is a secret.
fn collect(table: &Table, way: &[String], all: bool, places: &mut Vec<Vec<String>>) {
    for (key, value) in table {
        let here = [way, std::slice::from_ref(key)].concat();
        if let Value::Table(inner) = value {
            if key != VARIABLES_OF_CODEX {
                collect(inner, &here, all || key == HEADERS_OF_CODEX, places);
            }
        } else if holds_secret(key, value, all) {
            places.push(here);
        }
    }
}

/// Whether a value is a secret by its name, or a list in which one is.
fn holds_secret(key: &str, value: &Value, all: bool) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && (all || names_secret(key)),
        Value::Array(items) => items.iter().any(|item| holds_secret(key, item, all)),
        Value::Table(inner) => inner
            .iter()
            .any(|(key, value)| holds_secret(key, value, all)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_and_masked() {
        let text = r#"
            key = "sk-1"
            proxy = "http://user:pass@proxy.example:3128"
            headers = { X-Api-Key = "sk-2", X-Title = "mine" }
            [profile]
            cache_key_field = "prompt_cache_key"
            extra_body = { prompt_cache_key = "a", max_tokens = "9", deep = { token = "t", n = 1 } }
            [codex_config.model_providers.a]
            env_key = "A_KEY"
            http_headers = { X-Any = "h" }
            env_http_headers = { X-Key = "VARIABLE" }
            list = [{ key = "sk-3" }]
        "#;
        let table: Table = text.parse().unwrap();
        let places: Vec<String> = secret_places(&table)
            .iter()
            .map(|place| place.join("."))
            .collect();
        assert_eq!(
            places,
            [
                "key",
                "proxy",
                "headers.X-Api-Key",
                "codex_config.model_providers.a.http_headers.X-Any",
                "codex_config.model_providers.a.list",
                "profile.extra_body.deep.token",
            ]
        );
        let shown = masked(&table).to_string();
        for secret in ["sk-", "pass", "\"h\"", "\"t\""] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for kept in ["proxy.example:3128", "mine", "A_KEY", "VARIABLE", "\"9\""] {
            assert!(shown.contains(kept), "{shown}");
        }
    }

    #[test]
    fn references_are_no_secrets() {
        for key in [
            "{ env = 'A' }",
            "{ file = 'a' }",
            "{ command = ['a'] }",
            "{ keyring = true }",
        ] {
            let table: Table = format!("key = {key}").parse().unwrap();
            assert!(secret_places(&table).is_empty(), "{key}");
        }
    }
}
