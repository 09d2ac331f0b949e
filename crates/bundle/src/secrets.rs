//! What of a provider's table is a secret.

use polywire_credentials::secret_places;
use toml::{Table, Value};

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

/// Takes the secrets out of a provider's table and gives them. The address of a proxy stays, without its user. References to keys stay.
pub fn take_out(table: &mut Table) -> Vec<SecretValue> {
    let places = secret_places(table);
    places
        .into_iter()
        .filter_map(|path| taken(table, path))
        .collect()
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

fn taken(table: &mut Table, path: Vec<String>) -> Option<SecretValue> {
    let (last, way) = path.split_last()?;
    let mut inner = table;
    for key in way {
        inner = inner.get_mut(key)?.as_table_mut()?;
    }
    let value = inner.remove(last)?;
    if let (Some(proxy), [key]) = (value.as_str(), path.as_slice())
        && key == "proxy"
    {
        inner.insert(key.clone(), Value::String(without_user(proxy)));
    }
    Some(SecretValue { path, value })
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
        let secrets = take_out(&mut table);
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
            assert_eq!(take_out(&mut table), []);
            assert!(table.contains_key("key"));
        }
    }
}
