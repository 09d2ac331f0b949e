//! Call ids that providers and clients take.

use std::borrow::Cow;

/// Whether an id can go anywhere as it is: 1 to 64 letters, digits and a few signs (Kimi's own ids look like
/// `functions.read:0`).
pub fn is_usual(id: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (1..=64).contains(&id.len()) && id.bytes().all(usual)
}

/// An id made from any text. The same text gives the same id, because a changed one would cost the provider's prompt cache.
pub fn made_from(text: &str) -> String {
    format!("call_{:016x}", hash(text))
}

/// The id as nine letters and digits, which is all that older Mistral models take (providers' documentation, autumn 2026).
pub fn alphanumeric_9(id: &str) -> Cow<'_, str> {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.into();
    }
    let mut rest = hash(id);
    let letters = (0..9).map(|_| {
        let digit = usize::try_from(rest % 36).unwrap_or_default();
        rest /= 36;
        char::from(DIGITS[digit])
    });
    Cow::Owned(letters.collect())
}

/// FNV-1a with a final mix: the same in every version and on every machine.
fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for id in ["call_1", "functions.read:0", "814890118", &"x".repeat(64)] {
            assert!(is_usual(id), "{id}");
        }
        for id in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(!is_usual(id), "{id}");
        }
        assert_eq!(made_from("a"), made_from("a"));
        assert_ne!(made_from("a"), made_from("b"));
        assert_eq!(alphanumeric_9("gSIMJiOkT"), "gSIMJiOkT");
        let short = alphanumeric_9("call_1");
        assert!(short.len() == 9 && short.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(short, alphanumeric_9("call_2"));
    }
}
