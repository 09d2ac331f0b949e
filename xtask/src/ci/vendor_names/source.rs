//! Rust source as far as it takes to tell names and texts from comments and tests.

/// A piece of source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// An identifier or a number.
    Name(String),
    /// What stands between the quotes of a string.
    Text(String),
    /// Any other letter.
    Mark(char),
}

/// The pieces of a file outside its comments and tests, each with its line.
pub(super) fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut source = Source {
        rest: text,
        line: 1,
    };
    let mut found = Vec::new();
    while let Some(token) = source.next_token() {
        found.push(token);
    }
    without_tests(&found)
}

struct Source<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Source<'a> {
    fn next_token(&mut self) -> Option<(usize, Token)> {
        loop {
            let first = self.rest.chars().next()?;
            if first.is_whitespace() {
                self.take(first.len_utf8());
            } else if self.rest.starts_with("//") {
                let length = self.rest.find('\n').unwrap_or(self.rest.len());
                self.take(length);
            } else if self.rest.starts_with("/*") {
                self.take(comment_length(self.rest));
            } else {
                let line = self.line;
                return Some((line, self.token(first)));
            }
        }
    }

    fn token(&mut self, first: char) -> Token {
        if let Some(quotes) = Quotes::of(self.rest) {
            self.take(quotes.open);
            let length = match quotes.raw_close.as_deref() {
                Some(close) => self.rest.find(close).unwrap_or(self.rest.len()),
                None => escaped_length(self.rest, '"'),
            };
            let text = self.take(length).to_owned();
            let close = quotes.raw_close.map_or(1, |close| close.len());
            self.take(close.min(self.rest.len()));
            return Token::Text(text);
        }
        if first == '\'' {
            return self.quoted_letter();
        }
        if is_of_name(first) {
            let end = self.rest.find(|letter| !is_of_name(letter));
            let length = end.unwrap_or(self.rest.len());
            return Token::Name(self.take(length).to_owned());
        }
        self.take(first.len_utf8());
        Token::Mark(first)
    }

    /// A letter in quotes, or the quote of a lifetime.
    fn quoted_letter(&mut self) -> Token {
        self.take(1);
        let mut letters = self.rest.chars();
        match (letters.next(), letters.next()) {
            (Some('\\'), _) => {
                let length = escaped_length(self.rest, '\'');
                self.take((length + 1).min(self.rest.len()));
            }
            (Some(letter), Some('\'')) => {
                self.take(letter.len_utf8() + 1);
            }
            (Some(_) | None, _) => {}
        }
        Token::Mark('\'')
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The quotes of a string.
struct Quotes {
    /// How long the opening is.
    open: usize,
    /// What closes a string without escapes.
    raw_close: Option<String>,
}

impl Quotes {
    /// Those of the string that begins here, if one does.
    fn of(rest: &str) -> Option<Self> {
        let kind = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
        let raw = kind.strip_prefix('r');
        let hashes = raw.map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
        let content = raw.unwrap_or(kind).get(hashes..)?.strip_prefix('"')?;
        Some(Self {
            open: rest.len() - content.len(),
            raw_close: raw.map(|_| format!("\"{}", "#".repeat(hashes))),
        })
    }
}

/// How much there is before a quote that no backslash precedes.
fn escaped_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return at;
        }
    }
    rest.len()
}

/// Comments can hold comments.
fn comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Leaves out what is compiled for tests only.
fn without_tests(tokens: &[(usize, Token)]) -> Vec<(usize, Token)> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match attribute_length(&tokens[at..]) {
            Some(length) if is_for_tests(&tokens[at..at + length]) => {
                at += length;
                at += item_length(&tokens[at..]);
            }
            Some(_) | None => {
                kept.push(token.clone());
                at += 1;
            }
        }
    }
    kept
}

/// `#[…]`, in tokens.
fn attribute_length(tokens: &[(usize, Token)]) -> Option<usize> {
    let mark = |at: usize, expected: char| matches!(tokens.get(at), Some((_, Token::Mark(found))) if *found == expected);
    if !(mark(0, '#') && mark(1, '[')) {
        return None;
    }
    let mut depth = 0_usize;
    for (at, (_, token)) in tokens.iter().enumerate() {
        match token {
            Token::Mark('[') => depth += 1,
            Token::Mark(']') if depth == 1 => return Some(at + 1),
            Token::Mark(']') => depth -= 1,
            Token::Name(_) | Token::Text(_) | Token::Mark(_) => {}
        }
    }
    Some(tokens.len())
}

fn is_for_tests(attribute: &[(usize, Token)]) -> bool {
    let has = |word: &str| {
        let mut names = attribute.iter().map(|(_, token)| token);
        names.any(|token| matches!(token, Token::Name(name) if name == word))
    };
    has("cfg") && has("test") && !has("not")
}

/// The item behind an attribute: up to its `;`, or to the end of its braces.
fn item_length(tokens: &[(usize, Token)]) -> usize {
    let mut depth = 0_usize;
    for (at, (_, token)) in tokens.iter().enumerate() {
        match token {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark(close @ ('}' | ')' | ']')) => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *close == '}' {
                    return at + 1;
                }
            }
            Token::Mark(';') if depth == 0 => return at + 1,
            Token::Name(_) | Token::Text(_) | Token::Mark(_) => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and texts that are left, texts in quotes.
    fn check(text: &str, expected: &str) {
        let shown: Vec<String> = tokens(text)
            .into_iter()
            .filter_map(|(_, token)| match token {
                Token::Name(name) => Some(name),
                Token::Text(text) => Some(format!("<{text}>")),
                Token::Mark(_) => None,
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{text}");
    }

    #[test]
    fn names_and_texts_are_told_apart() {
        check("let a = \"b \\\" c\" + d;", "let a <b \\\" c> d");
        check(
            "r\"a\" r#\"b \" c\"# b\"d\" br#\"e\"#",
            "<a> <b \" c> <d> <e>",
        );
        check("'a' '\\'' '\\u{1f}' &'life str", "life str");
        check("r#type bread", "r type bread");
        check("a // b \"c\"\n/* d /* e */ f */ g", "a g");
        check("\"no end", "<no end>");
        check("r\"\\\" a", "<\\> a");
    }

    #[test]
    fn tests_are_left_out() {
        check("#[cfg(test)]\nmod tests;\nfn a() {}", "fn a");
        check(
            "#[cfg(test)] #[allow(x)] mod t { fn b() { [1]; } } fn a() {}",
            "fn a",
        );
        check("#[cfg(not(test))] fn a() {}", "cfg not test fn a");
        check("#[derive(Debug)] struct A;", "derive Debug struct A");
    }

    #[test]
    fn lines_are_counted() {
        let found = tokens("a\n\"b\nc\"\nd");
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 4]);
    }
}
