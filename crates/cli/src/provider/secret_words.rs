//! Which names tell that what they name is a secret.

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

/// Whether a header or a setting of this name holds a secret, as far as its name tells. Rather one too many: what is taken for a secret
/// is only masked, or wanted in another way.
pub(crate) fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Numbers of tokens are no tokens.
    WORDS.iter().any(|word| name.contains(word)) && !name.contains("tokens")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in ["Authorization", "x-api-key", "Cookie", "X-Auth-Token"] {
            assert!(names_secret(name), "{name}");
        }
        for name in ["anthropic-beta", "x-title", "HTTP-Referer", "max-tokens"] {
            assert!(!names_secret(name), "{name}");
        }
    }
}
