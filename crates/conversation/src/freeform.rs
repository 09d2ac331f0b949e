//! Freeform tools as functions with one string argument, and back.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::{Text, json};

/// The one argument of a lowered freeform tool.
const INPUT_KEY: &str = "input";

/// Appends the body of the JSON string that holds the arguments of a lowered freeform call: `{"input": …}`, escaped twice.
pub fn write_freeform_arguments(input: &Text<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{\"input\":\""#);
    match input {
        // The body is the inner JSON string already; as part of the outer one it is escaped once more.
        Text::Escaped(body) => json::escape(body, out),
        Text::Plain(text) => {
            let mut body = Vec::with_capacity(text.len() + 16);
            json::escape(text, &mut body);
            json::escape(&String::from_utf8_lossy(&body), out);
        }
    }
    out.extend_from_slice(br#"\"}"#);
}

/// Takes the free text out of the arguments of a lowered call while they stream in.
///
/// Models wrap the text in other ways than they were told. Accepted are, in this order: `{"input": "…"}`, read as it grows; and
/// at the end of the call an object with exactly one string member, or with an `input` string among others; a JSON string; and
/// anything else as the text itself.
#[derive(Debug, Default)]
pub struct FreeformReader {
    state: State,
    /// JSON text that waits: for the beginning to be recognised, for an escape to be whole, or for the end.
    waiting: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing but white space, or a beginning that may still become `{"input":"`.
    #[default]
    Opening,
    /// Inside the string.
    Inside,
    /// Behind the closing quote; the rest is of no interest.
    Behind,
    /// Not the expected shape: decided at the end.
    Other,
}

impl FreeformReader {
    /// Reads a piece of the arguments and hands out the text in it.
    pub fn push(&mut self, arguments: &Text<'_>, mut emit: impl FnMut(Text<'_>)) {
        match self.state {
            State::Behind => return,
            State::Opening | State::Inside | State::Other => {
                self.waiting.push_str(&arguments.to_plain());
            }
        }
        if self.state == State::Opening {
            match opening(&self.waiting) {
                Opening::Complete(length) => {
                    self.waiting.drain(..length);
                    self.state = State::Inside;
                }
                Opening::Partial => {}
                Opening::Different => self.state = State::Other,
            }
        }
        if self.state == State::Inside {
            self.read_inside(&mut emit);
        }
    }

    /// Ends the call and hands out what is left.
    pub fn finish(&mut self, mut emit: impl FnMut(Text<'_>)) {
        let waiting = std::mem::take(&mut self.waiting);
        match std::mem::replace(&mut self.state, State::Behind) {
            State::Opening | State::Other if !waiting.trim().is_empty() => {
                emit(whole_input(&waiting));
            }
            State::Opening | State::Other | State::Inside | State::Behind => {}
        }
    }

    fn read_inside(&mut self, emit: &mut impl FnMut(Text<'_>)) {
        let mut body = Vec::with_capacity(self.waiting.len());
        let scanned = copy_string_body(&self.waiting, &mut body);
        if !body.is_empty() {
            emit(Text::escaped(String::from_utf8_lossy(&body)));
        }
        if scanned.closed {
            self.state = State::Behind;
            self.waiting.clear();
        } else {
            self.waiting.drain(..scanned.length);
        }
    }
}

enum Opening {
    /// The bytes up to and with the quote that opens the text.
    Complete(usize),
    Partial,
    Different,
}

/// Looks for `{"input":"` with any white space between.
fn opening(text: &str) -> Opening {
    let mut rest = text;
    for token in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(token) {
            rest = after;
        } else if token.starts_with(rest) {
            return Opening::Partial;
        } else {
            return Opening::Different;
        }
    }
    Opening::Complete(text.len() - rest.len())
}

struct Scanned {
    /// Bytes that were dealt with; the rest is an escape that is not whole yet.
    length: usize,
    closed: bool,
}

/// Copies the body of a JSON string up to its closing quote, made valid on the way: control characters are escaped, and a
/// backslash that starts no escape (models forget to double them) stands for itself.
fn copy_string_body(text: &str, out: &mut Vec<u8>) -> Scanned {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                return Scanned {
                    length: at + 1,
                    closed: true,
                };
            }
            b'\\' => match escape_at(&text[at..]) {
                Escape::Whole(length) => {
                    out.extend_from_slice(&bytes[at..at + length]);
                    at += length;
                }
                Escape::Lone(length) => {
                    out.extend_from_slice(b"\\ufffd");
                    at += length;
                }
                Escape::Invalid => {
                    out.extend_from_slice(b"\\\\");
                    at += 1;
                }
                Escape::Cut => {
                    return Scanned {
                        length: at,
                        closed: false,
                    };
                }
            },
            control if control < 0x20 => {
                json::escape(&text[at..=at], out);
                at += 1;
            }
            _ => {
                let plain = bytes[at..]
                    .iter()
                    .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)
                    .map_or(bytes.len(), |length| at + length);
                out.extend_from_slice(&bytes[at..plain]);
                at = plain;
            }
        }
    }
    Scanned {
        length: at,
        closed: false,
    }
}

enum Escape {
    /// A valid escape of so many bytes; a surrogate pair counts as one.
    Whole(usize),
    /// A surrogate without a partner.
    Lone(usize),
    Invalid,
    /// The text ends inside it.
    Cut,
}

fn escape_at(text: &str) -> Escape {
    match text.as_bytes().get(1) {
        None => Escape::Cut,
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::Whole(2),
        Some(b'u') => match json::code_at(text) {
            json::Code::Scalar(length) => Escape::Whole(length),
            json::Code::Lone => Escape::Lone(6),
            json::Code::Cut => Escape::Cut,
            json::Code::Invalid => Escape::Invalid,
        },
        Some(_) => Escape::Invalid,
    }
}

/// Finds the text in arguments that do not begin as expected.
fn whole_input(arguments: &str) -> Text<'_> {
    if let Some(body) = string_body(arguments) {
        return Text::escaped(body);
    }
    let members: HashMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(arguments).unwrap_or_default();
    let only = match members.len() {
        1 => members.values().next(),
        _ => members.get(INPUT_KEY),
    };
    match only.and_then(|value| string_body(value.get())) {
        Some(body) => Text::escaped(body),
        None => Text::plain(arguments),
    }
}

/// The body of the JSON string that `text` is, if it is one.
fn string_body(text: &str) -> Option<&str> {
    let value: &RawValue = serde_json::from_str(text).ok()?;
    value.get().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&str]) -> String {
        let mut text = String::new();
        let mut reader = FreeformReader::default();
        for piece in pieces {
            reader.push(&Text::plain(*piece), |out| text.push_str(&out.to_plain()));
        }
        reader.finish(|out| text.push_str(&out.to_plain()));
        text
    }

    fn check(arguments: &str, expected: &str) {
        assert_eq!(read(&[arguments]), expected, "whole: {arguments}");
        for cut in (0..=arguments.len()).filter(|&cut| arguments.is_char_boundary(cut)) {
            let (head, tail) = arguments.split_at(cut);
            assert_eq!(read(&[head, tail]), expected, "cut at {cut}: {arguments}");
        }
        let letters: Vec<String> = arguments.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(read(&letters), expected, "letter by letter: {arguments}");
    }

    #[test]
    fn wrappings() {
        check(r#"{"input":"a\nb"}"#, "a\nb");
        check(" { \"input\" : \"a\" } ", "a");
        check(r#"{"input":""}"#, "");
        check(r#"{"patch":"a\"b"}"#, "a\"b");
        check(r#"{"other":1,"input":"a"}"#, "a");
        check(r#""just a string""#, "just a string");
        check("*** Begin Patch\n", "*** Begin Patch\n");
        check(r#"{"x":1}"#, r#"{"x":1}"#);
        check(r#"{"a":"1","b":"2"}"#, r#"{"a":"1","b":"2"}"#);
        check("", "");
    }

    #[test]
    fn strings_that_are_not_quite_json() {
        check("{\"input\":\"a\nb\"}", "a\nb");
        check(r#"{"input":"\d+"}"#, r"\d+");
        check(r#"{"input":"\u00e9\ud83d\ude00\ud83d!"}"#, "é😀\u{fffd}!");
        check(r#"{"input":"\uzz"}"#, r"\uzz");
    }

    proptest! {
        #[test]
        fn every_text_survives(text in any::<String>(), size in 1usize..7) {
            let mut body = Vec::new();
            write_freeform_arguments(&Text::plain(&*text), &mut body);
            let arguments = json::unescape(std::str::from_utf8(&body).unwrap());
            prop_assert!(serde_json::from_str::<serde_json::Value>(&arguments).is_ok());
            let letters: Vec<char> = arguments.chars().collect();
            let pieces: Vec<String> = letters.chunks(size).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(read(&pieces), text);
        }

        #[test]
        fn emitted_pieces_are_valid_json_string_bodies(arguments in "[{}\"\\\\:inputd8u0 \n]{0,60}") {
            let mut reader = FreeformReader::default();
            for letter in format!("{{\"input\":\"{arguments}").chars() {
                reader.push(&Text::plain(letter.to_string()), |out| {
                    let mut string = Vec::new();
                    out.write_string(&mut string);
                    assert!(serde_json::from_slice::<String>(&string).is_ok(), "{string:?}");
                });
            }
        }
    }
}
