//! Edits of files that belong to others.
//!
//! [`TomlText`] changes single values of a TOML file and leaves every other byte as it is. [`replace_atomically`] puts a new content in
//! the place of an old one so that the file is the one or the other, whatever happens. [`Journal`] makes edits that last and are taken
//! back one day: it remembers what it set and what stood there before, and leaves to others what they changed meanwhile.
//!
//! This crate knows nothing of the programs whose files it edits, nor of the gateway.

mod disk;
mod journal;
mod replace;
mod toml_text;

pub use disk::{Step, Steps};
pub use journal::{Journal, JournalError, Kept, Layer, Open, Plan, Setting, Wanted};
pub use replace::{ReplaceError, replace_atomically};
pub use toml_text::{EditError, TomlError, TomlText};
