//! Edits of files that belong to others.
//!
//! [`TomlText`] changes single values of a TOML file and leaves every other byte as it is. [`replace_atomically`] puts a new content in
//! the place of an old one so that the file is the one or the other, whatever happens.
//!
//! This crate knows nothing of the programs whose files it edits, nor of the gateway.

mod replace;
mod toml_text;

pub use replace::{ReplaceError, replace_atomically};
pub use toml_text::{EditError, TomlError, TomlText};
