//! Keys as people type them.

/// The keys that lead to a value, as TOML writes them: `profile.stop_max`, `headers."x y"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath(Vec<String>);

impl KeyPath {
    /// Reads keys with dots between them. `None` for what TOML would not read so.
    pub fn parse(text: &str) -> Option<Self> {
        // One line, or else what follows would be read as well.
        if text.contains(['\n', '\r', '#', '=']) {
            return None;
        }
        let mut table: toml::Table = format!("{text} = 0").parse().ok()?;
        let mut keys = Vec::new();
        loop {
            let (key, value) = table.into_iter().next()?;
            keys.push(key);
            match value {
                toml::Value::Table(below) => table = below,
                toml::Value::Integer(_) => return Some(Self(keys)),
                toml::Value::String(_)
                | toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_) => return None,
            }
        }
    }

    /// The keys, the outermost first.
    pub fn keys(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_toml_has_them() {
        for (text, expected) in [
            ("name", Some(vec!["name"])),
            ("profile.stop_max", Some(vec!["profile", "stop_max"])),
            (" headers . \"x y.z\" ", Some(vec!["headers", "x y.z"])),
            ("", None),
            ("a..b", None),
            ("a = 1\nb", None),
            ("[a]", None),
        ] {
            let path = KeyPath::parse(text);
            let keys = path.as_ref().map(KeyPath::keys);
            assert_eq!(keys, expected, "{text}");
        }
    }
}
