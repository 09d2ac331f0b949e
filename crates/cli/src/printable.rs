//! What others wrote, made fit for a terminal.

/// The text on one line, without anything that a terminal could obey: line ends and tabs become spaces, other control characters,
/// C1 and those that turn the direction of writing included, become `�`.
pub(crate) fn printable(text: &str) -> String {
    let shown = |letter: char| match letter {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        letter if is_unsafe(letter) => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    text.chars().map(shown).collect()
}

/// JSON text with what a terminal could obey written as escapes. JSON itself asks for that only below U+0020.
pub(crate) fn printable_json(json: &str) -> String {
    // All of these are in the basic plane: one escape each.
    let shown = |letter: char| match letter {
        '\n' => "\n".to_owned(),
        letter if is_unsafe(letter) => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    };
    json.chars().map(shown).collect()
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// At most so many characters.
pub(crate) fn shortened(text: &str, length_max: usize) -> String {
    if text.chars().count() <= length_max {
        return text.to_owned();
    }
    let kept = text.chars().take(length_max.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, expected) in [
            ("glm-5.1 größe 模型", "glm-5.1 größe 模型"),
            ("a\r\nb\tc", "a  b c"),
            ("\u{1b}[2Jx\u{7f}", "\u{fffd}[2Jx\u{fffd}"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("a\u{202e}b\u{2066}", "a\u{fffd}b\u{fffd}"),
        ] {
            assert_eq!(printable(text), expected);
        }
        let json = serde_json::json!({"a": "\u{1b}[2J\u{9b}\u{7f}\u{202e}\n"}).to_string();
        let shown = printable_json(&json);
        assert_eq!(shown, r#"{"a":"\u001b[2J\u009b\u007f\u202e\n"}"#);
        let again: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(again.to_string(), json);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("größe", 5), "größe");
        assert_eq!(shortened("größer", 5), "größ…");
        assert_eq!(shortened("", 5), "");
    }
}
