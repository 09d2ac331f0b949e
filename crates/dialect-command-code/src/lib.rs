//! Command Code's private API, towards the provider.
//!
//! The route serves the provider's own client and is no public interface: it may change or refuse others at any time, and whoever
//! uses it must have chosen so (the provider's supported way is an ordinary Chat or Messages endpoint). What is sent about the
//! machine is neutral and always the same: no path, no file name, no branch leaves it.
//!
//! Facts about the wire are from the provider's client and live reports as collected in autumn 2026; all of them may be seen in
//! `fixtures/command-code`. This crate holds no I/O, clock or randomness and knows no other dialect.
//!
//! Start with [`render()`] for requests, then [`CommandCodeReader`] for answers.

mod failure;
mod headers;
mod profile;
mod read;
mod render;

pub use failure::read_error;
pub use headers::headers;
pub use profile::Profile;
pub use read::CommandCodeReader;
pub use render::{Context, render};

/// Where requests go, behind the base URL.
pub const PATH: &str = "/alpha/generate";
