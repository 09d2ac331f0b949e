//! What can be wrong with a TOML file, or with an edit of one.

/// A file that is not TOML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TomlError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong there, on one line.
    pub message: String,
}

impl TomlError {
    pub(super) fn at(bytes: &[u8], offset: usize, message: &str) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        let in_line = &before[line_start.map_or(0, |at| at + 1)..];
        Self {
            line: before.split(|byte| *byte == b'\n').count(),
            column: String::from_utf8_lossy(in_line).chars().count() + 1,
            message: message.trim().replace('\n', ", "),
        }
    }
}

/// An edit that cannot be made. The text is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A path without a key.
    #[error("no key was named")]
    NoKey,
    /// A value was to be set where a table of several lines is.
    #[error("`{path}` is a table, not a value")]
    IsTable {
        /// The path, with dots.
        path: String,
    },
    /// A key was to be set inside of something that has no keys.
    #[error("`{path}` is not a table that a key could be added to")]
    NotATable {
        /// The path of what is in the way, with dots.
        path: String,
    },
    /// What was to be written is not one TOML value.
    #[error("what was to be written for `{path}` is not a TOML value")]
    NotAValue {
        /// The path, with dots.
        path: String,
    },
    /// The edit would have changed more than it says, so it was not made. A bug, or a form of TOML that we do not know.
    #[error("`{path}` cannot be edited without changing something else")]
    WouldChangeMore {
        /// The path, with dots.
        path: String,
    },
}
