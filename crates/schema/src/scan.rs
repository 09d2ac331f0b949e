//! Tells from the text alone whether a schema needs nothing.
//!
//! Most schemas of tools are plain, and most of a schema is descriptions. This walks over the text once, without building a tree. It
//! errs on one side only: `false` means that somebody has to look.

use crate::keywords::{Holds, TYPES, holds};
use crate::{SCHEMA_BYTES_MAX, SCHEMA_NESTING_MAX, Target};

/// Whether `text` obeys every rule of `target` as it is.
pub(crate) fn needs_nothing(text: &str, target: Target) -> bool {
    let unions = match target {
        Target::Permissive | Target::Mistral | Target::Anthropic => true,
        Target::Moonshot => false,
        // These look at how members go together.
        Target::Gemini | Target::OpenaiStrict | Target::Basic => return false,
    };
    if text.len() > SCHEMA_BYTES_MAX {
        return false;
    }
    let mut walker = Walker {
        bytes: text.as_bytes(),
        at: 0,
        unions,
        depth: 0,
    };
    walker.root(target).is_some()
}

struct Walker<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Whether unions may stand anywhere below the root.
    unions: bool,
    depth: usize,
}

/// Every step gives `None` when it meets something that needs a closer look.
impl<'t> Walker<'t> {
    fn root(&mut self, target: Target) -> Option<()> {
        let (mut typed, mut described) = (0, 0);
        self.members(|walker, key| {
            match key {
                b"type" => {
                    typed += 1;
                    let name = walker.string()?;
                    return (name == b"object").then_some(());
                }
                b"properties" => described += 1,
                b"anyOf" | b"oneOf" | b"allOf" if target == Target::Anthropic => return None,
                _ => {}
            }
            walker.keyword(key)
        })?;
        self.blank();
        (typed == 1 && described == 1 && self.at == self.bytes.len()).then_some(())
    }

    fn schema(&mut self) -> Option<()> {
        self.members(Self::keyword)
    }

    fn keyword(&mut self, key: &[u8]) -> Option<()> {
        match holds(std::str::from_utf8(key).ok()?)? {
            Holds::Schema | Holds::SchemaOrSchemas => self.schema(),
            Holds::SchemaOrFlag if self.peek()? == b'{' => self.schema(),
            Holds::SchemaOrFlag => self.flag(),
            Holds::Schemas if self.unions || key == b"allOf" || key == b"prefixItems" => {
                self.elements(Self::schema)
            }
            Holds::Schemas => None,
            Holds::Named => self.members(|walker, _| walker.schema()),
            Holds::Types => {
                let name = self.string()?;
                let known = TYPES.iter().any(|known| known.as_bytes() == name);
                known.then_some(())
            }
            Holds::List => self.elements(Self::value),
            Holds::Plain => self.value(),
        }
    }

    /// An object; `member` reads each value, given its key. A key with an escape needs a closer look.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'t [u8]) -> Option<()>) -> Option<()> {
        self.open(b'{')?;
        if !self.closes(b'}')? {
            loop {
                let key = self.string()?;
                self.take(b':')?;
                member(self, key)?;
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Some(())
    }

    /// An array that is not empty; `element` reads each value.
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'[')?;
        loop {
            element(self)?;
            if !self.goes_on(b']')? {
                break;
            }
        }
        self.depth -= 1;
        Some(())
    }

    /// Any value, which is left as it is.
    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' => {
                self.open(b'{')?;
                if !self.closes(b'}')? {
                    loop {
                        self.skip_string()?;
                        self.take(b':')?;
                        self.value()?;
                        if !self.goes_on(b'}')? {
                            break;
                        }
                    }
                }
                self.depth -= 1;
                Some(())
            }
            b'[' => {
                self.open(b'[')?;
                if !self.closes(b']')? {
                    loop {
                        self.value()?;
                        if !self.goes_on(b']')? {
                            break;
                        }
                    }
                }
                self.depth -= 1;
                Some(())
            }
            b'"' => self.skip_string(),
            _ => {
                let rest = &self.bytes[self.at..];
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = rest.iter().take_while(|byte| is_part(byte)).count();
                self.at += length;
                (length > 0).then_some(())
            }
        }
    }

    fn flag(&mut self) -> Option<()> {
        let start = self.at;
        self.value()?;
        let written = &self.bytes[start..self.at];
        matches!(written.trim_ascii(), b"true" | b"false").then_some(())
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.take(bracket)?;
        self.depth += 1;
        (self.depth <= SCHEMA_NESTING_MAX).then_some(())
    }

    /// Whether the container ends here, before its first element.
    fn closes(&mut self, bracket: u8) -> Option<bool> {
        let ends = self.peek()? == bracket;
        self.at += usize::from(ends);
        Some(ends)
    }

    /// Whether another element follows.
    fn goes_on(&mut self, bracket: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == bracket => Some(false),
            _ => None,
        }
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'t [u8]> {
        let start = self.at_quote()?;
        self.skip_string()?;
        let text = &self.bytes[start..self.at - 1];
        (!text.contains(&b'\\')).then_some(text)
    }

    fn at_quote(&mut self) -> Option<usize> {
        (self.peek()? == b'"').then_some(self.at + 1)
    }

    fn skip_string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            self.at += length + 1;
            if rest[length] == b'"' {
                return Some(());
            }
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        let found = self.peek()? == wanted;
        self.at += usize::from(found);
        found.then_some(())
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        self.blank();
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
    }
}
