//! Lines of a text, with the line ends that it has.

use std::ops::Range;

/// A range of bytes and what stands there afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Splice {
    pub(super) fn apply(&self, text: &str) -> String {
        let (before, after) = (&text[..self.range.start], &text[self.range.end..]);
        [before, &self.text, after].concat()
    }
}

/// Where the line begins that `at` is in.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Where the line ends that `at` is in: behind its line end, or at the end of the text.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// The length of the line end that the text has at `at`, if the line there is empty.
pub(super) fn blank_line(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    if rest.starts_with("\r\n") {
        Some(2)
    } else {
        rest.starts_with('\n').then_some(1)
    }
}

/// The line end to use for a line that is put at `at`: that of the line before, else the first of the text.
pub(super) fn line_ending(text: &str, at: usize) -> &'static str {
    let before = &text[..at];
    let first = || text.find('\n').map(|end| &text[..=end]);
    let model = if before.ends_with('\n') {
        Some(before)
    } else {
        first()
    };
    match model {
        Some(line) if line.ends_with("\r\n") => "\r\n",
        Some(_) | None => "\n",
    }
}

/// Puts lines at `at`, which is where a line begins or the text ends. A text without a line end at its end keeps being one.
pub(super) fn insert_lines(text: &str, at: usize, lines: &[&str]) -> Splice {
    let ending = line_ending(text, at);
    let unfinished = at > 0 && !text[..at].ends_with('\n');
    let lines = lines.iter().flat_map(|line| {
        if unfinished {
            [ending, line]
        } else {
            [line, ending]
        }
    });
    Splice {
        range: at..at,
        text: lines.collect(),
    }
}

/// Takes whole lines out. When they are the last ones and have no line end, the one before them goes, so that the text still has none
/// at its end.
pub(super) fn remove_lines(text: &str, range: Range<usize>) -> Splice {
    let mut start = range.start;
    let unfinished = range.end == text.len() && !text.ends_with('\n');
    if unfinished {
        let before = &text[..start];
        let without = before.strip_suffix('\n').unwrap_or(before);
        start = without.strip_suffix('\r').unwrap_or(without).len();
    }
    Splice {
        range: start..range.end,
        text: String::new(),
    }
}

/// Where the first entry goes of a text that has none before its first header: behind what is said at the top, a licence or the name of
/// a schema, if an empty line sets it off; else at the very beginning.
pub(super) fn top(text: &str) -> usize {
    let mut at = 0;
    while text[at..].starts_with('#') {
        at = line_end(text, at);
    }
    if at == text.len() {
        return at;
    }
    match blank_line(text, at) {
        Some(blank) if at > 0 => at + blank,
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_behind_what_is_said_there() {
        for (text, expected) in [
            ("", 0),
            ("[a]\n", 0),
            ("\n[a]\n", 0),
            ("# of a\n[a]\n", 0),
            ("# file\n\n[a]\n", 8),
            ("# file\r\n# more\r\n\r\n[a]\r\n", 18),
            ("# file", 6),
            ("# file\n", 7),
        ] {
            assert_eq!(top(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_put_in_is_taken_out_again() {
        for text in ["", "a = 1", "a = 1\n", "a = 1\r\n"] {
            let put = insert_lines(text, text.len(), &["b = 2", "c = 3"]);
            let with = put.apply(text);
            assert_eq!(
                with.ends_with('\n'),
                text.is_empty() || text.ends_with('\n')
            );
            let start = with.find('b').unwrap_or_default();
            let taken = remove_lines(&with, start..with.len());
            assert_eq!(taken.apply(&with), text);
        }
    }
}
