//! A command line that is wrong in a way of which the parser does not know.

use std::fmt;

/// The command line is wrong. The program ends with the code that the parser has for that, and nothing of what was typed is repeated.
#[derive(Debug)]
pub(crate) struct Misuse(pub(crate) &'static str);

impl fmt::Display for Misuse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for Misuse {}
