//! Reasoning between tags at the start of the text.
//!
//! Servers without a reasoning parser leave the tags of the model in the content. Only `<think>` at the very start is safe to
//! take for reasoning unasked; other tags are read where a profile says so, and a tag further on is text like any other here.

use std::borrow::Cow;

use polywire_conversation::Text;

use super::leaks::LOOK_AHEAD_BYTES_MAX;
use crate::profile::Leak;

const THINK: Tags = Tags {
    open: "<think>",
    close: "</think>",
};
const THOUGHT: Tags = Tags {
    open: "<thought>",
    close: "</thought>",
};
const KIMI_THINK: Tags = Tags {
    open: "◁think▷",
    close: "◁/think▷",
};

/// What stands around reasoning.
#[derive(Clone, Copy, Debug)]
struct Tags {
    open: &'static str,
    close: &'static str,
}

/// The most white space, in bytes, that may come before the tag. It has to be held back until the tag is seen or not.
const BLANK_BYTES_MAX: usize = 256;

/// Divides the text of an answer into reasoning and text.
#[derive(Debug, Default)]
pub(super) struct ThinkSplitter {
    state: State,
    /// What waits to be recognised, decoded. Shorter than a tag but for white space before it, and for what may turn out to be
    /// reasoning that nobody opened.
    held: String,
    /// Tags beside `<think>`.
    further: Vec<Tags>,
    /// Whether the closing tag alone may come.
    orphan_close: bool,
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
        /// The tag that ends it.
        close: &'static str,
    },
    /// No tag came, but the closing one still may.
    Unopened {
        /// How many bytes of what waits were searched for it.
        searched: usize,
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

    /// A splitter that also reads the given markup.
    pub(super) fn new(leaks: &[Leak]) -> Self {
        let tags = |leak: &Leak| match leak {
            Leak::ThoughtTags => Some(THOUGHT),
            Leak::KimiThink => Some(KIMI_THINK),
            Leak::ThinkTags
            | Leak::OrphanClose
            | Leak::Harmony
            | Leak::ToolCallJson
            | Leak::ToolCallXml
            | Leak::ToolCallSection
            | Leak::Invoke => None,
        };
        Self {
            further: leaks.iter().filter_map(tags).collect(),
            orphan_close: leaks.contains(&Leak::OrphanClose),
            ..Self::default()
        }
    }

    /// Takes all that comes for text, because the provider sends reasoning separately. Does nothing once a tag was seen.
    pub(super) fn reasoning_comes_separately(&mut self, emit: impl FnMut(Divided<'_>)) {
        if self.state == State::Opening && self.held.is_empty() {
            self.state = State::Text;
        }
        self.release(emit);
    }

    /// Hands out text that waits for a closing tag, because something else follows it.
    pub(super) fn release(&mut self, mut emit: impl FnMut(Divided<'_>)) {
        if let State::Unopened { .. } = self.state {
            self.state = State::Text;
            let held = std::mem::take(&mut self.held);
            if !held.is_empty() {
                emit(Divided::Text(Text::plain(held)));
            }
        }
    }

    /// Reads a piece.
    pub(super) fn push(&mut self, piece: Text<'_>, mut emit: impl FnMut(Divided<'_>)) {
        if piece.is_empty() {
            return;
        }
        let may_begin = self.orphan_close || may_open(piece.as_written());
        if self.state == State::Opening && self.held.is_empty() && !may_begin {
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
            State::Opening | State::Unopened { .. } | State::Text => emit(Divided::Text(held)),
            State::Inside { .. } => emit(Divided::Reasoning(held)),
            State::Behind => {}
        }
    }

    fn read(&mut self, text: &str, emit: &mut impl FnMut(Divided<'_>)) {
        let mut rest = text;
        if self.state == State::Opening {
            let trimmed = rest.trim_start();
            let tags = || std::iter::once(&THINK).chain(&self.further);
            let opened = tags().find_map(|tags| Some((tags, trimmed.strip_prefix(tags.open)?)));
            if let Some((tags, inside)) = opened {
                self.state = State::Inside {
                    blank: true,
                    close: tags.close,
                };
                rest = inside;
            } else if tags().any(|tags| tags.open.starts_with(trimmed))
                && rest.len() <= BLANK_BYTES_MAX
            {
                rest.clone_into(&mut self.held);
                return;
            } else if self.orphan_close {
                self.state = State::Unopened { searched: 0 };
            } else {
                self.state = State::Text;
            }
        }
        if let State::Unopened { searched } = self.state {
            rest = self.read_unopened(rest, searched, emit);
        }
        if let State::Inside { blank, close } = self.state {
            rest = self.read_inside(rest, blank, close, emit);
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
        close: &'static str,
        emit: &mut impl FnMut(Divided<'_>),
    ) -> &'t str {
        let (mut thought, behind) = match text.split_once(close) {
            Some((thought, behind)) => (thought, Some(behind)),
            None => (text, None),
        };
        if behind.is_none() {
            let (read, held) = thought.split_at(thought.len() - begun(thought, close));
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
            None => State::Inside { blank, close },
        };
        behind.unwrap_or_default()
    }

    /// Looks for the closing tag of what nobody opened, as far as is allowed, and gives what comes behind it, or all when it is
    /// text.
    fn read_unopened<'t>(
        &mut self,
        text: &'t str,
        searched: usize,
        emit: &mut impl FnMut(Divided<'_>),
    ) -> &'t str {
        let close = THINK.close;
        match text[searched..].find(close).map(|at| searched + at) {
            Some(at) if at <= LOOK_AHEAD_BYTES_MAX => {
                let thought = text[..at].trim_start();
                if !thought.is_empty() {
                    emit(Divided::Reasoning(Text::plain(thought)));
                }
                self.state = State::Behind;
                &text[at + close.len()..]
            }
            None if text.len() < LOOK_AHEAD_BYTES_MAX + close.len() => {
                text.clone_into(&mut self.held);
                let searched = text.len() - begun(text, close);
                self.state = State::Unopened { searched };
                ""
            }
            Some(_) | None => {
                self.state = State::Text;
                text
            }
        }
    }
}

/// How many bytes at the end of a text may be the beginning of the tag.
pub(super) fn begun(text: &str, tag: &str) -> usize {
    (1..tag.len())
        .rev()
        .filter(|&length| tag.is_char_boundary(length))
        .find(|&length| text.ends_with(&tag[..length]))
        .unwrap_or(0)
}

/// Whether text that begins so, escaped or not, may be white space or the tag.
fn may_open(text: &str) -> bool {
    text.starts_with(|first: char| matches!(first, '<' | '◁' | '\\') || first.is_whitespace())
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
