//! A TOML file that is edited in place.
//!
//! Start reading at [`text`]: the public type. [`layout`] finds where in the text everything stands, [`insert`] and [`remove`] say which
//! bytes an edit changes.

mod error;
mod insert;
mod layout;
mod lines;
mod masked;
mod meaning;
mod remove;
mod text;

pub use error::{EditError, TomlError};
pub(crate) use insert::dotted;
pub(crate) use layout::begins_with;
pub(crate) use meaning::same_value;
pub use text::TomlText;
pub(crate) use text::parsed;
