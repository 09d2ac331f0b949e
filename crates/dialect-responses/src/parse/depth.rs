//! How deep a body nests.

use crate::limits::NESTING_MAX;

/// Looks for the place where arrays and objects nest deeper than [`NESTING_MAX`].
///
/// Readers that keep a value as written skip it without counting, so this is counted apart, once for the whole body. Only what
/// stands outside of strings is looked at byte by byte, and a string is crossed from quote to quote.
pub(super) fn too_deep_at(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place of the quote that closes the string whose text begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut from = start;
    loop {
        let quote = from + memchr::memchr(b'"', &bytes[from..])?;
        let backslashes = bytes[start..quote]
            .iter()
            .rev()
            .take_while(|&&byte| byte == b'\\')
            .count();
        if backslashes % 2 == 0 {
            return Some(quote);
        }
        from = quote + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_brackets_count() {
        let nested = |count: usize| format!("{}1{}", "[".repeat(count), "]".repeat(count));
        assert_eq!(too_deep_at(&nested(NESTING_MAX)), None);
        assert_eq!(too_deep_at(&nested(NESTING_MAX + 1)), Some(NESTING_MAX));
        let flat = "[1],".repeat(NESTING_MAX * 2);
        assert_eq!(too_deep_at(&flat), None);
        let text = format!("\"{}\\\"{}\"", "[".repeat(300), "{".repeat(300));
        assert_eq!(too_deep_at(&text), None);
        let ended = format!("\"\\\\\"{}", nested(NESTING_MAX + 1));
        assert_eq!(too_deep_at(&ended), Some(NESTING_MAX + 4));
        assert_eq!(too_deep_at("\"no end [[["), None);
        for length in 0..40 {
            let named = format!("\"{}\":{}", "[".repeat(length), nested(NESTING_MAX + 1));
            assert_eq!(too_deep_at(&named), Some(length + 3 + NESTING_MAX));
        }
        assert_eq!(too_deep_at(&"[".repeat(1_000_000)), Some(NESTING_MAX));
    }
}
