//! Sealing of what only the provider can read, in the text of its events.

use std::borrow::Cow;

use polywire_conversation::{OpaqueKind, json};

use super::splice::json_string;

const KEY: &str = "\"encrypted_content\"";

/// Replaces every `encrypted_content` that is a string with its envelope, and puts the text into one line.
pub(super) fn seal_all<'d>(
    data: &'d str,
    seal: &dyn Fn(OpaqueKind, &str) -> String,
) -> Cow<'d, str> {
    let data = in_one_line(data);
    if !data.contains(KEY) {
        return data;
    }
    let mut out = String::with_capacity(data.len() + 512);
    let mut copied = 0;
    let mut at = 0;
    while let Some((start, end)) = next_string(&data, at) {
        at = end;
        if &data[start..end] != KEY {
            continue;
        }
        // Followed by a colon, or it would be a value and no name.
        let Some(behind) = data[end..].trim_start().strip_prefix(':') else {
            continue;
        };
        let value_at = data.len() - behind.trim_start().len();
        let Some((value_at, value_end)) =
            next_string(&data, value_at).filter(|&(start, _)| start == value_at)
        else {
            continue;
        };
        let state = json::unescape(&data[value_at + 1..value_end - 1]);
        if !state.is_empty() {
            out.push_str(&data[copied..value_at]);
            out.push_str(&json_string(&seal(OpaqueKind::Encrypted, &state)));
            copied = value_end;
        }
        at = value_end;
    }
    out.push_str(&data[copied..]);
    Cow::Owned(out)
}

/// Line breaks stand between tokens only, and would end the data of an event.
fn in_one_line(data: &str) -> Cow<'_, str> {
    if data.contains(['\n', '\r']) {
        Cow::Owned(data.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(data)
    }
}

/// Where the next string begins and ends, quotes included.
fn next_string(data: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = data.as_bytes();
    let start = from + bytes.get(from..)?.iter().position(|&byte| byte == b'"')?;
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some((start, at + 1)),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, expected: &str) {
        let seal = |_: OpaqueKind, state: &str| format!("<{state}>");
        assert_eq!(seal_all(data, &seal), expected);
    }

    #[test]
    fn only_values_of_that_name_are_sealed() {
        check(r#"{"a":1}"#, r#"{"a":1}"#);
        check(
            r#"{"item":{"encrypted_content" : "x\"y"},"b":["encrypted_content","z"]}"#,
            r#"{"item":{"encrypted_content" : "<x\"y>"},"b":["encrypted_content","z"]}"#,
        );
        check(
            r#"{"delta":"say \"encrypted_content\":\"no\"","encrypted_content":null}"#,
            r#"{"delta":"say \"encrypted_content\":\"no\"","encrypted_content":null}"#,
        );
        check(
            r#"[{"encrypted_content":"a"},{"encrypted_content":""},{"encrypted_content":"b"}]"#,
            r#"[{"encrypted_content":"<a>"},{"encrypted_content":""},{"encrypted_content":"<b>"}]"#,
        );
        check("{\n\"a\":\r\n1}", "{ \"a\":  1}");
        check(
            r#"{"encrypted_content":"cut"#,
            r#"{"encrypted_content":"cut"#,
        );
    }
}
