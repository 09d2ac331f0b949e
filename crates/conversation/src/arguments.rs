//! Tells whether the arguments of a call are a whole JSON object, piece by piece and without keeping them.

use crate::Text;

/// How far the arguments of a call have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing but white space.
    Empty,
    /// The beginning of a JSON object.
    Partial,
    /// A whole JSON object.
    Whole,
    /// No JSON object can come of it.
    Broken,
}

/// Follows the grammar of one JSON object (RFC 8259) through pieces of text.
#[derive(Debug, Default)]
pub struct ArgumentsCheck {
    state: State,
    /// The open containers: `true` for an object, `false` for an array. Grows with the nesting only.
    open: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// A value must come; behind `[` the array may also end.
    Value {
        may_end: bool,
    },
    /// A key must come; behind `{` the object may also end.
    Key {
        may_end: bool,
    },
    Colon,
    /// A comma or the end of the container must come.
    Behind,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    /// Inside `\u`, with so many digits to come.
    Code {
        key: bool,
        missing: u8,
    },
    Number(Number),
    /// Inside `true`, `false` or `null`: what must still come.
    Literal(&'static [u8]),
    Whole,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl ArgumentsCheck {
    /// Reads the next piece.
    pub fn push(&mut self, piece: &Text<'_>) {
        match piece {
            Text::Plain(text) => text.bytes().for_each(|byte| self.byte(byte)),
            Text::Escaped(body) => self.push_escaped(body.as_bytes()),
        }
    }

    /// How far the arguments have come.
    pub fn progress(&self) -> Progress {
        match self.state {
            State::Start => Progress::Empty,
            State::Whole => Progress::Whole,
            State::Broken => Progress::Broken,
            State::Value { .. }
            | State::Key { .. }
            | State::Colon
            | State::Behind
            | State::Text { .. }
            | State::Escape { .. }
            | State::Code { .. }
            | State::Number(_)
            | State::Literal(_) => Progress::Partial,
        }
    }

    /// Reads the body of a JSON string. It must be one: every escape in it is whole.
    fn push_escaped(&mut self, body: &[u8]) {
        let mut at = 0;
        while at < body.len() {
            if let State::Text { .. } = self.state {
                // Most of all bytes are letters inside a string. They change nothing, and what could is escaped here.
                let letters = body[at..].iter().position(|&byte| byte == b'\\');
                at = letters.map_or(body.len(), |letters| at + letters);
            }
            match body.get(at..) {
                Some([b'\\', letter, ..]) => {
                    self.byte(unescaped(*letter, &body[at + 2..]));
                    at += if *letter == b'u' { 6 } else { 2 };
                }
                Some([byte, ..]) => {
                    self.byte(*byte);
                    at += 1;
                }
                Some([]) | None => {}
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        if let State::Text { key } = self.state {
            match byte {
                b'"' if key => self.state = State::Colon,
                b'"' => self.state = State::Behind,
                b'\\' => self.state = State::Escape { key },
                0..0x20 => self.state = State::Broken,
                _ => {}
            }
            return;
        }
        self.state = self.next(byte);
    }

    fn next(&mut self, byte: u8) -> State {
        let space = matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
        match self.state {
            State::Start
            | State::Value { .. }
            | State::Key { .. }
            | State::Colon
            | State::Behind
            | State::Whole
                if space =>
            {
                self.state
            }
            State::Start if byte == b'{' => self.opened(true),
            State::Value { may_end: true } if byte == b']' => self.closed(byte),
            State::Value { .. } => self.value(byte),
            State::Key { may_end: true } if byte == b'}' => self.closed(byte),
            State::Key { .. } if byte == b'"' => State::Text { key: true },
            State::Colon if byte == b':' => State::Value { may_end: false },
            State::Behind if byte == b',' => match self.open.last() {
                Some(true) => State::Key { may_end: false },
                Some(false) => State::Value { may_end: false },
                None => State::Broken,
            },
            State::Behind => self.closed(byte),
            State::Escape { key } => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::Text { key },
                b'u' => State::Code { key, missing: 4 },
                _ => State::Broken,
            },
            State::Code { key, missing } if byte.is_ascii_hexdigit() => match missing {
                1 => State::Text { key },
                _ => State::Code {
                    key,
                    missing: missing - 1,
                },
            },
            State::Number(number) => self.number(number, byte),
            State::Literal(rest) if rest.first() == Some(&byte) => match rest {
                [_] => State::Behind,
                _ => State::Literal(&rest[1..]),
            },
            State::Start
            | State::Key { .. }
            | State::Colon
            | State::Text { .. }
            | State::Code { .. }
            | State::Literal(_)
            | State::Whole
            | State::Broken => State::Broken,
        }
    }

    fn value(&mut self, byte: u8) -> State {
        match byte {
            b'{' => self.opened(true),
            b'[' => self.opened(false),
            b'"' => State::Text { key: false },
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => State::Broken,
        }
    }

    fn opened(&mut self, object: bool) -> State {
        self.open.push(object);
        if object {
            State::Key { may_end: true }
        } else {
            State::Value { may_end: true }
        }
    }

    fn closed(&mut self, byte: u8) -> State {
        let fits = match self.open.pop() {
            Some(true) => byte == b'}',
            Some(false) => byte == b']',
            None => false,
        };
        match (fits, self.open.is_empty()) {
            (true, true) => State::Whole,
            (true, false) => State::Behind,
            (false, _) => State::Broken,
        }
    }

    fn number(&mut self, number: Number, byte: u8) -> State {
        let next = match (number, byte) {
            (Number::Minus, b'0') => Number::Zero,
            (Number::Minus, b'1'..=b'9') | (Number::Integer, b'0'..=b'9') => Number::Integer,
            (Number::Zero | Number::Integer, b'.') => Number::Point,
            (Number::Point | Number::Fraction, b'0'..=b'9') => Number::Fraction,
            (Number::Zero | Number::Integer | Number::Fraction, b'e' | b'E') => Number::Exponent,
            (Number::Exponent, b'+' | b'-') => Number::ExponentSign,
            (Number::Exponent | Number::ExponentSign | Number::ExponentDigits, b'0'..=b'9') => {
                Number::ExponentDigits
            }
            (Number::Zero | Number::Integer | Number::Fraction | Number::ExponentDigits, _) => {
                // The number is over; the byte belongs to what comes behind it.
                self.state = State::Behind;
                return self.next(byte);
            }
            (Number::Minus | Number::Point | Number::Exponent | Number::ExponentSign, _) => {
                return State::Broken;
            }
        };
        State::Number(next)
    }
}

/// The byte that an escape stands for, or a stand-in for any character beyond ASCII: the grammar treats them alike. `rest` is
/// what follows the letter.
fn unescaped(letter: u8, rest: &[u8]) -> u8 {
    match letter {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => {
            let digits = rest
                .get(..4)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match code.and_then(|code| u8::try_from(code).ok()) {
                Some(byte) if byte.is_ascii() => byte,
                Some(_) | None => 0x80,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    fn progress(pieces: &[Text<'_>]) -> Progress {
        let mut check = ArgumentsCheck::default();
        for piece in pieces {
            check.push(piece);
        }
        check.progress()
    }

    fn check(arguments: &str, expected: Progress) {
        let plain = progress(&[Text::plain(arguments)]);
        assert_eq!(plain, expected, "plain: {arguments}");
        let mut body = Vec::new();
        json::escape(arguments, &mut body);
        let body = String::from_utf8(body).unwrap();
        let escaped = progress(&[Text::escaped(body)]);
        assert_eq!(escaped, expected, "escaped: {arguments}");
    }

    #[test]
    fn beginnings_and_ends() {
        check("", Progress::Empty);
        check(" \n", Progress::Empty);
        check("{", Progress::Partial);
        check("{}", Progress::Whole);
        check(" { } \n", Progress::Whole);
        check("{}x", Progress::Broken);
        check("{}{}", Progress::Broken);
        check("null", Progress::Broken);
        check("[]", Progress::Broken);
        check("\"{}\"", Progress::Broken);
    }

    #[test]
    fn every_kind_of_value() {
        check(
            r#"{"a":[1,-0.5e+3,"x\"\\\/\b\u00e9é",true,false,null,{},[],[[]]],"b":{"c":0}}"#,
            Progress::Whole,
        );
        check("{\"a\":1 , \"b\" : 2}", Progress::Whole);
        for broken in [
            "{a:1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":[1}",
            "{]",
            "{\"a\":[,]}",
            "{\"a\":1 2}",
            "{,}",
        ] {
            check(broken, Progress::Broken);
        }
        for partial in [
            "{\"a\":1",
            "{\"a\":tru",
            "{\"a\":\"\\",
            "{\"a\":\"\\u12",
            "{\"a\":[1,",
            "{\"a\":-",
        ] {
            check(partial, Progress::Partial);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_json_parser(text in r#"[{}\[\]",:\\ue1.+\-0tfn ]{0,24}|\{"a":[{}\[\]",:\\ue1.+\-0a ]{0,16}\}"#, cut in any::<prop::sample::Index>()) {
            let object = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok()
                && text.trim_start().starts_with('{');
            let (head, tail) = text.split_at(cut.index(text.len() + 1));
            let found = progress(&[Text::plain(head), Text::plain(tail)]);
            prop_assert_eq!(found == Progress::Whole, object, "{}", text);
        }
    }
}
