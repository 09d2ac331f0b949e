//! Values that must not be seen.

use std::fmt;

use sha2::{Digest, Sha256};

/// A key or a token. Prints as `***` in every form.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// A short name for the secret that tells nothing about it: the first 64 bits of its SHA-256 hash, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let hash = Sha256::digest(self.0.as_bytes());
        let first = hash.iter().take(8);
        let bits = first.fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
        format!("{bits:016x}")
    }

    /// The secret itself, for the header or the file that it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether two tokens are equal, in a time that depends on the length of `given` only, so that guessing byte by byte tells
/// nothing.
pub fn tokens_equal(given: &str, expected: &str) -> bool {
    let (given, expected) = (given.as_bytes(), expected.as_bytes());
    let mut difference = u8::from(given.len() != expected.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected.get(index).copied().unwrap_or(0);
        // The hint keeps the compiler from leaving the loop at the first difference.
        difference = std::hint::black_box(difference | (byte ^ other));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("sk-12345");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
        assert_eq!(secret.reveal(), "sk-12345");
        assert_eq!(secret.fingerprint().len(), 16);
        assert_ne!(secret.fingerprint(), Secret::new("sk-12346").fingerprint());
    }

    #[test]
    fn tokens_are_compared_whole() {
        for (given, expected, equal) in [
            ("", "", true),
            ("pw-abc", "pw-abc", true),
            ("pw-abd", "pw-abc", false),
            ("pw-ab", "pw-abc", false),
            ("pw-abcd", "pw-abc", false),
            ("pw-abc\0", "pw-abc", false),
            ("", "pw-abc", false),
        ] {
            assert_eq!(
                tokens_equal(given, expected),
                equal,
                "{given:?} {expected:?}"
            );
        }
    }
}
