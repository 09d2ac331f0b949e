//! What the wire formats have in common: JSON bodies that are read with the place of every mistake and written member by
//! member, and providers' errors, which come in every shape from everybody.
//!
//! This crate holds no I/O, clock or randomness and knows no dialect: what the members mean is said where they are declared.
//!
//! Reading order: `field` (single values, and the faults that name them), `members` (objects of known members), `depth`,
//! `object` (writing), `error` (reading), [`openai_error`] (writing).

mod depth;
mod error;
mod field;
mod members;
mod moment;
mod object;
pub mod openai_error;

pub use depth::{NESTING_MAX, is_too_deep};
pub use error::{clean, html_fault, read_embedded_error, read_error};
pub use field::{
    At, Field, QUOTED_CHARS_MAX, fault_at, field, first_byte, name, object, quoted, read, text,
    wrong_type,
};
pub use members::{Key, Many, One, Value, WireObject, read_elements, set};
pub use object::{Object, write_array, write_string};
