//! Reasoning between `<think>` tags at the start of the text.
//!
//! Servers without a reasoning parser leave the tags of the model in the content. Only at the very start are they safe to
//! take for reasoning; a tag further on is text like any other.

use std::borrow::Cow;

use polywire_conversation::Text;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// The most white space, in bytes, that may come before the tag. It has to be held back until the tag is seen or not.
const BLANK_BYTES_MAX: usize = 256;

/// Divides the text of an answer into reasoning and text.
#[derive(Debug, Default)]
pub(super) struct ThinkSplitter {
    state: State,
    /// What waits to be recognised, decoded. Shorter than a tag but for white space before it.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing but white space, or the beginning of the tag.
    #[default]
    Opening,
    /// Between the tags.
    Inside {
        /// Whether nothing but white space has come so far.
        blank: bool,
    },
    /// Behind the closing tag, with nothing but white space so far.
    Behind,
    /// The rest is text.
    Text,
}

/// A piece of the answer.
#[derive(Debug, PartialEq)]
pub(super) enum Divided<'a> {
    Reasoning(Text<'a>),
    Text(Text<'a>),
}

impl ThinkSplitter {
    /// Whether everything that comes is text, so that there is nothing to divide.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Text
    }

    /// Takes all that comes for text, because the provider sends reasoning separately. Does nothing once a tag was seen.
    pub(super) fn reasoning_comes_separately(&mut self) {
        if self.state == State::Opening && self.held.is_empty() {
            self.state = State::Text;
        }
    }

    /// Reads a piece.
    pub(super) fn push(&mut self, piece: Text<'_>, mut emit: impl FnMut(Divided<'_>)) {
        if piece.is_empty() {
            return;
        }
        if self.state == State::Opening && self.held.is_empty() && !may_open(piece.as_written()) {
            self.state = State::Text;
        }
        if self.state == State::Text {
            emit(Divided::Text(piece));
            return;
        }
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&piece.to_plain());
        self.read(&text, &mut emit);
    }

    /// Hands out what waits when the answer is over.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(Divided<'_>)) {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return;
        }
        let held = Text::plain(held);
        match self.state {
            State::Opening | State::Text => emit(Divided::Text(held)),
            State::Inside { .. } => emit(Divided::Reasoning(held)),
            State::Behind => {}
        }
    }

    fn read(&mut self, text: &str, emit: &mut impl FnMut(Divided<'_>)) {
        let mut rest = text;
        if self.state == State::Opening {
            let trimmed = rest.trim_start();
            if let Some(inside) = trimmed.strip_prefix(OPEN) {
                self.state = State::Inside { blank: true };
                rest = inside;
            } else if OPEN.starts_with(trimmed) && rest.len() <= BLANK_BYTES_MAX {
                rest.clone_into(&mut self.held);
                return;
            } else {
                self.state = State::Text;
            }
        }
        if let State::Inside { blank } = self.state {
            rest = self.read_inside(rest, blank, emit);
        }
        if self.state == State::Behind {
            rest = rest.trim_start();
            if !rest.is_empty() {
                self.state = State::Text;
            }
        }
        if self.state == State::Text && !rest.is_empty() {
            emit(Divided::Text(Text::Plain(Cow::Borrowed(rest))));
        }
    }

    /// Reads what is between the tags, and gives what comes behind the closing one.
    fn read_inside<'t>(
        &mut self,
        text: &'t str,
        mut blank: bool,
        emit: &mut impl FnMut(Divided<'_>),
    ) -> &'t str {
        let (mut thought, behind) = match text.split_once(CLOSE) {
            Some((thought, behind)) => (thought, Some(behind)),
            None => (text, None),
        };
        if behind.is_none() {
            let waiting = (1..CLOSE.len())
                .rev()
                .find(|&length| thought.ends_with(&CLOSE[..length]));
            let (read, held) = thought.split_at(thought.len() - waiting.unwrap_or(0));
            thought = read;
            held.clone_into(&mut self.held);
        }
        if blank {
            thought = thought.trim_start();
            blank = thought.is_empty();
        }
        if !thought.is_empty() {
            emit(Divided::Reasoning(Text::plain(thought)));
        }
        self.state = match behind {
            Some(_) => State::Behind,
            None => State::Inside { blank },
        };
        behind.unwrap_or_default()
    }
}

/// Whether text that begins so, escaped or not, may be white space or the tag.
fn may_open(text: &str) -> bool {
    text.starts_with(|first: char| first == '<' || first == '\\' || first.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divide(pieces: &[&str]) -> (String, String) {
        let (mut reasoning, mut text) = (String::new(), String::new());
        let mut splitter = ThinkSplitter::default();
        let mut take = |divided: Divided<'_>| match divided {
            Divided::Reasoning(piece) => reasoning.push_str(&piece.to_plain()),
            Divided::Text(piece) => text.push_str(&piece.to_plain()),
        };
        for piece in pieces {
            splitter.push(Text::plain(*piece), &mut take);
        }
        splitter.finish(&mut take);
        (reasoning, text)
    }

    fn check(answer: &str, reasoning: &str, text: &str) {
        let expected = (reasoning.to_owned(), text.to_owned());
        assert_eq!(divide(&[answer]), expected, "whole: {answer}");
        for cut in (0..=answer.len()).filter(|&cut| answer.is_char_boundary(cut)) {
            let (head, tail) = answer.split_at(cut);
            assert_eq!(divide(&[head, tail]), expected, "cut at {cut}: {answer}");
        }
        let letters: Vec<String> = answer.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(divide(&letters), expected, "letter by letter: {answer}");
    }

    #[test]
    fn tags() {
        check("<think>a</think>b", "a", "b");
        check("\n<think>\n\na\n</think>\n\nb\n", "a\n", "b\n");
        check(
            "<think>a <b </thin </think>c</think>",
            "a <b </thin ",
            "c</think>",
        );
        check("<think></think>", "", "");
        check("<think>\n\n</think>\n\nb", "", "b");
        check("<think>never closed </th", "never closed </th", "");
        check("a<think>b</think>", "", "a<think>b</think>");
        check("<thin", "", "<thin");
        check("<thinking>", "", "<thinking>");
        check(" \n a", "", " \n a");
        check("", "", "");
    }

    #[test]
    fn escaped_tags() {
        let mut found = Vec::new();
        let mut splitter = ThinkSplitter::default();
        splitter.push(Text::escaped(r"\u003cthink\u003ea"), |divided| {
            found.push(format!("{divided:?}"));
        });
        assert_eq!(found, [r#"Reasoning(Plain("a"))"#]);
    }
}
