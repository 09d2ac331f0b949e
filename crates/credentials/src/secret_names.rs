//! What names tell of what they name.

/// Parts of names of headers and settings whose values are secrets.
const WORDS: [&str; 7] = [
    "authorization",
    "cookie",
    "key",
    "password",
    "secret",
    "signature",
    "token",
];

/// Parts of names that have such a word and whose values are no secrets: numbers of tokens, and the names of caches.
const NO_SECRETS: [&str; 2] = ["tokens", "cache_key"];

/// Ends of names whose values are names of variables (`env_key`, `bearer_token_env_var` of Codex).
const VARIABLES: [&str; 2] = ["env_key", "env_var"];

/// Whether a header or a setting of this name holds a secret, as far as its name tells. Rather one too many: what is taken for a secret
/// is only masked, or wanted in another way.
pub fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
        && !NO_SECRETS.iter().any(|word| name.contains(word))
        && !VARIABLES.iter().any(|end| name.ends_with(end))
}

/// Whether this can be the name of an environment variable. A key that somebody took for one seldom can.
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in ["Authorization", "x-api-key", "Cookie", "X-Auth-Token"] {
            assert!(names_secret(name), "{name}");
        }
        for name in [
            "anthropic-beta",
            "x-title",
            "HTTP-Referer",
            "max-tokens",
            "prompt_cache_key",
            "env_key",
            "bearer_token_env_var",
        ] {
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn names_of_variables() {
        for name in ["A", "_a1", "ZAI_API_KEY"] {
            assert!(is_variable_name(name), "{name}");
        }
        for name in ["", "1A", "sk-1", "A B"] {
            assert!(!is_variable_name(name), "{name}");
        }
    }
}
