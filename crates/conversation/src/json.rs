//! JSON string bodies: escaping and unescaping.
//!
//! Text that only passes through polywire stays in the escaped form in which it arrived (see [`Text`](crate::Text)); these
//! two functions are for the text that does not.

use crate::Text;

/// Bytes that cannot stand in a JSON string as they are. The value is the letter after the backslash, `u` for a code.
const ESCAPES: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `plain` as the body of a JSON string, without the quotes around it.
pub fn escape(plain: &str, out: &mut Vec<u8>) {
    let bytes = plain.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        out.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            out.extend_from_slice(b"00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Decodes the body of a JSON string. Surrogates without a partner, which no `str` can hold, become U+FFFD.
///
/// Lenient on purpose: an unknown escape stands for its own letter and a cut one is dropped, so that text which was checked
/// elsewhere, or by nobody, never makes this fail.
pub fn unescape(body: &str) -> String {
    let mut plain = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        let mut letters = rest[at + 1..].chars();
        let letter = letters.next();
        rest = letters.as_str();
        match letter {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => rest = unescape_code(rest, &mut plain),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain.push_str(rest);
    plain
}

/// Decodes what follows `\u`, together with a low surrogate that may follow, and gives what is left.
fn unescape_code<'a>(rest: &'a str, plain: &mut String) -> &'a str {
    let Some(code) = hex_code(rest) else {
        plain.push(char::REPLACEMENT_CHARACTER);
        return rest;
    };
    let rest = &rest[4..];
    if (0xD800..0xDC00).contains(&code)
        && let Some(low) = rest.strip_prefix("\\u").and_then(hex_code)
        && (0xDC00..0xE000).contains(&low)
    {
        let scalar = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        plain.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
        return &rest[6..];
    }
    plain.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

fn hex_code(rest: &str) -> Option<u32> {
    let digits = rest.get(..4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// What stands at an escape that begins with `\u`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// A character, written in so many bytes: 6, or 12 for a surrogate pair.
    Scalar(usize),
    /// A surrogate without a partner, in 6 bytes.
    Lone,
    /// The text ends before the escape does; more text may complete it.
    Cut,
    /// No four hex digits follow.
    Invalid,
}

/// Reads the `\u` escape that `text` begins with.
pub(crate) fn code_at(text: &str) -> Code {
    let Some(code) = text.get(2..).and_then(hex_code) else {
        let digits = &text.as_bytes()[2..text.len().min(6)];
        let cut = text.len() < 6 && digits.iter().all(u8::is_ascii_hexdigit);
        return if cut { Code::Cut } else { Code::Invalid };
    };
    match code {
        0xD800..0xDC00 => {
            let rest = &text[6..];
            match rest.strip_prefix("\\u").and_then(hex_code) {
                Some(0xDC00..0xE000) => Code::Scalar(12),
                Some(_) => Code::Lone,
                None if rest.len() < 6 && could_be_low_surrogate(rest) => Code::Cut,
                None => Code::Lone,
            }
        }
        0xDC00..0xE000 => Code::Lone,
        _ => Code::Scalar(6),
    }
}

/// Whether more text could make `rest` a `\u` escape.
fn could_be_low_surrogate(rest: &str) -> bool {
    rest.bytes().enumerate().all(|(at, byte)| match at {
        0 => byte == b'\\',
        1 => byte == b'u',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Joins surrogate pairs that a provider has split over two pieces, and replaces surrogates that have no partner.
///
/// JSON can spell half a character (`\ud83d`) and some providers cut between the halves. A strict client refuses the whole
/// event then, so a piece never leaves with half a character: the first half waits for the next piece.
#[derive(Debug, Default)]
pub struct PairMender {
    /// The escaped first half that waits, six bytes or nothing.
    held: String,
}

impl PairMender {
    /// Gives the piece back whole. Costs one search for `\u` when there is nothing to do.
    pub fn mend<'a>(&mut self, piece: Text<'a>) -> Text<'a> {
        if self.held.is_empty() && !has_code(&piece) {
            return piece;
        }
        let mut body = std::mem::take(&mut self.held);
        match &piece {
            Text::Escaped(text) => body.push_str(text),
            Text::Plain(text) => {
                let mut escaped = Vec::with_capacity(text.len());
                escape(text, &mut escaped);
                body.push_str(&String::from_utf8_lossy(&escaped));
            }
        }
        Text::escaped(self.mend_body(&body))
    }

    /// What still waits when the text is over: the replacement for half a character, or nothing.
    pub fn finish(&mut self) -> Option<Text<'static>> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then(|| Text::plain("\u{fffd}"))
    }

    /// A text that came whole, with its half characters replaced.
    pub fn mend_whole(text: Text<'_>) -> Text<'_> {
        let mut mender = Self::default();
        let mended = mender.mend(text);
        match mender.finish() {
            None => mended,
            Some(_) => Text::escaped(format!("{}\u{fffd}", mended.as_written())),
        }
    }

    fn mend_body(&mut self, body: &str) -> String {
        let mut mended = String::with_capacity(body.len());
        let mut rest = body;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            mended.push_str(&rest[..at]);
            rest = &rest[at..];
            if !rest.starts_with("\\u") {
                let length = rest.chars().take(2).map(char::len_utf8).sum();
                mended.push_str(&rest[..length]);
                rest = &rest[length..];
                continue;
            }
            let code = code_at(rest);
            let length = match code {
                Code::Scalar(length) => length,
                Code::Lone => 6,
                Code::Cut if rest.len() >= 6 => {
                    rest.clone_into(&mut self.held);
                    return mended;
                }
                Code::Cut | Code::Invalid => 2,
            };
            match code {
                Code::Scalar(_) => mended.push_str(&rest[..length]),
                Code::Lone | Code::Cut | Code::Invalid => mended.push_str("\\ufffd"),
            }
            rest = &rest[length..];
        }
        mended.push_str(rest);
        mended
    }
}

fn has_code(piece: &Text<'_>) -> bool {
    match piece {
        Text::Plain(_) => false,
        Text::Escaped(body) => memchr::memmem::find(body.as_bytes(), b"\\u").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(plain: &str) -> String {
        let mut out = Vec::new();
        escape(plain, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes() {
        assert_eq!(escaped("a\"b\\c\n\u{1}é😀"), "a\\\"b\\\\c\\n\\u0001é😀");
        assert_eq!(unescape(r#"\"\\\/\n\t\r\b\fA"#), "\"\\/\n\t\r\u{8}\u{c}A");
        assert_eq!(unescape(r"\ud83d\ude00"), "😀");
        assert_eq!(unescape(r"\ud83dx\ude00"), "\u{fffd}x\u{fffd}");
        assert_eq!(unescape(r"\u12"), "\u{fffd}12");
        assert_eq!(unescape(r"end\"), "end");
    }

    fn mended(pieces: &[&'static str]) -> Vec<String> {
        let mut mender = PairMender::default();
        let mut out: Vec<String> = pieces
            .iter()
            .map(|piece| mender.mend(Text::escaped(*piece)).as_written().to_owned())
            .collect();
        out.extend(mender.finish().map(|text| text.as_written().to_owned()));
        out
    }

    #[test]
    fn split_pairs_are_joined_and_lone_halves_replaced() {
        assert_eq!(mended(&[r"a\n", r"b\u00e9"]), [r"a\n", r"b\u00e9"]);
        assert_eq!(mended(&[r"a\ud83d", r"\ude00b"]), ["a", r"\ud83d\ude00b"]);
        assert_eq!(mended(&[r"a\ud83d", "b"]), ["a", r"\ufffdb"]);
        assert_eq!(mended(&[r"\ude00 \\ud83d"]), [r"\ufffd \\ud83d"]);
        assert_eq!(mended(&[r"\ud83d"]), ["", "\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn unescape_undoes_escape(plain in any::<String>()) {
            prop_assert_eq!(unescape(&escaped(&plain)), plain);
        }

        #[test]
        fn any_body_is_read(body in "[\\\\u0-9a-f\"né]{0,40}") {
            unescape(&body);
        }
    }
}
