//! How deep a value nests.

/// The deepest nesting of arrays and objects that a value in a request may have. Tool schemas and structured outputs stay below 30; a
/// deeper body is an accident or an attack, and whoever reads it further down may recurse.
pub const NESTING_MAX: usize = 200;

/// Whether arrays and objects nest deeper than [`NESTING_MAX`].
///
/// Values that are kept or skipped as they are written are not counted by whoever skips them, so they are counted here, without
/// recursion. Only what stands outside of strings is looked at byte by byte, and a string is crossed from quote to quote.
pub fn is_too_deep(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1),
            b'{' | b'[' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

/// The place of the quote that closes the string whose text begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut from = start;
    while let Some(length) = memchr::memchr(b'"', &bytes[from..]) {
        let quote = from + length;
        let backslashes = bytes[start..quote]
            .iter()
            .rev()
            .take_while(|&&byte| byte == b'\\')
            .count();
        if backslashes % 2 == 0 {
            return quote;
        }
        from = quote + 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_brackets_count() {
        let nested = |count: usize| format!("{}1{}", "[".repeat(count), "]".repeat(count));
        assert!(!is_too_deep(&nested(NESTING_MAX)));
        assert!(is_too_deep(&nested(NESTING_MAX + 1)));
        assert!(!is_too_deep(&"[1],".repeat(NESTING_MAX * 2)));
        let text = format!("\"{}\\\"{}\"", "[".repeat(300), "{".repeat(300));
        assert!(!is_too_deep(&text));
        assert!(is_too_deep(&format!("\"\\\\\"{}", nested(NESTING_MAX + 1))));
        assert!(!is_too_deep("\"no end [[["));
        assert!(is_too_deep(&"[".repeat(1_000_000)));
    }
}
