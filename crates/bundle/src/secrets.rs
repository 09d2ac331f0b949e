//! What of a provider's table is a secret.

use polywire_credentials::Proxy;
use toml::{Table, Value};

/// Tables of a provider whose values go to others, so that any of them may be a secret. The other tables have names of ours, whose
/// values are known to be none.
const TABLES_OF_OTHERS: &[&[&str]] = &[&["headers"], &["codex_config"], &["profile", "extra_body"]];

/// A secret that was taken out of a provider's table.
#[derive(Clone, PartialEq)]
pub struct SecretValue {
    /// Where it stood, below the provider: `key`, `headers` and a name.
    pub path: Vec<String>,
    /// What stood there.
    pub value: Value,
}

/// The value does not show.
impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ***", self.path.join("."))
    }
}

/// Takes the secrets out of a provider's table and gives them: a key that stands there itself, the password of a proxy, which leaves
/// the proxy's address, and what headers and the like hold under a name that `names_secret` knows. References to keys stay.
pub fn take_out(table: &mut Table, names_secret: &dyn Fn(&str) -> bool) -> Vec<SecretValue> {
    let mut secrets = Vec::new();
    if table.get("key").is_some_and(Value::is_str) {
        secrets.extend(taken(table, "key", &[]));
    }
    if let Some(Value::String(text)) = table.get("proxy")
        && Proxy::parse(text).is_ok_and(|proxy| proxy.has_password())
    {
        let bare = without_user(text);
        secrets.extend(taken(table, "proxy", &[]));
        table.insert("proxy".to_owned(), Value::String(bare));
    }
    for path in TABLES_OF_OTHERS {
        if let Some(inner) = below(table, path) {
            let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
            take_named(inner, &path, names_secret, &mut secrets);
        }
    }
    secrets
}

/// Puts a secret back where it was taken from.
pub(crate) fn put_back(table: &mut Table, secret: SecretValue) {
    let Some((last, way)) = secret.path.split_last() else {
        return;
    };
    let mut table = table;
    for key in way {
        let inner = table
            .entry(key.as_str())
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = inner else { return };
        table = inner;
    }
    table.insert(last.clone(), secret.value);
}

fn taken(table: &mut Table, key: &str, way: &[String]) -> Option<SecretValue> {
    let value = table.remove(key)?;
    let mut path = way.to_vec();
    path.push(key.to_owned());
    Some(SecretValue { path, value })
}

fn below<'t>(table: &'t mut Table, path: &[&str]) -> Option<&'t mut Table> {
    let mut table = table;
    for key in path {
        table = table.get_mut(*key)?.as_table_mut()?;
    }
    Some(table)
}

fn take_named(
    table: &mut Table,
    way: &[String],
    names_secret: &dyn Fn(&str) -> bool,
    secrets: &mut Vec<SecretValue>,
) {
    let keys: Vec<String> = table.keys().cloned().collect();
    for key in keys {
        let holds = table
            .get(&key)
            .is_some_and(|value| holds_secret(&key, value, names_secret));
        match table.get_mut(&key) {
            Some(Value::Table(inner)) => {
                let mut way = way.to_vec();
                way.push(key);
                take_named(inner, &way, names_secret, secrets);
            }
            Some(_) if holds => secrets.extend(taken(table, &key, way)),
            Some(_) | None => {}
        }
    }
}

/// Whether a value is a secret by its name, or a list in which one is.
fn holds_secret(key: &str, value: &Value, names_secret: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && names_secret(key),
        Value::Array(items) => items
            .iter()
            .any(|item| holds_secret(key, item, names_secret)),
        Value::Table(inner) => inner
            .iter()
            .any(|(key, value)| holds_secret(key, value, names_secret)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => false,
    }
}

/// A proxy's address without what stands before `@`.
fn without_user(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => proxy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_secret(name: &str) -> bool {
        name.to_ascii_lowercase().contains("key") || name.contains("token")
    }

    #[test]
    fn secrets_are_taken_out_and_put_back() {
        let text = r#"
            kind = "chat"
            key = "sk-1"
            proxy = "http://user:pass@proxy.example:3128"
            headers = { X-Api-Key = "sk-2", X-Title = "mine" }
            profile = { cache_key_field = "prompt_cache_key", extra_body = { deep = { token = "t", n = 1 } } }
            codex_config.model_providers.a = { env_key = "", list = [{ key = "sk-3" }], names = ["x"] }
        "#;
        let whole: Table = text.parse().unwrap();
        let mut table = whole.clone();
        let secrets = take_out(&mut table, &names_secret);
        let paths: Vec<String> = secrets.iter().map(|secret| secret.path.join(".")).collect();
        assert_eq!(
            paths,
            [
                "key",
                "proxy",
                "headers.X-Api-Key",
                "codex_config.model_providers.a.list",
                "profile.extra_body.deep.token"
            ]
        );
        let left = table.to_string();
        for secret in ["sk-1", "pass", "sk-2", "sk-3", "\"t\""] {
            assert!(!left.contains(secret), "{left}");
        }
        assert_eq!(table["proxy"].as_str(), Some("http://proxy.example:3128"));
        assert!(!format!("{secrets:?}").contains("sk-"));
        for secret in secrets {
            put_back(&mut table, secret);
        }
        assert_eq!(table, whole);
    }

    #[test]
    fn references_stay() {
        for key in [
            "{ env = 'A' }",
            "{ file = 'a' }",
            "{ command = ['a'] }",
            "{ keyring = true }",
        ] {
            let mut table: Table = format!("key = {key}").parse().unwrap();
            assert_eq!(take_out(&mut table, &names_secret), []);
            assert!(table.contains_key("key"));
        }
    }
}
