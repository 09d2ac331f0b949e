//! The Anthropic Messages protocol, towards clients and towards providers.
//!
//! Towards providers: [`render()`] makes the request, [`MessagesReader`] reads the answer, and a [`Profile`] says what a
//! provider does differently. [`native`] is the way of a turn whose client speaks the protocol too: its bytes are kept.
//!
//! This crate holds no I/O, clock, randomness or environment, knows no vendor by name in its decisions, and does not know who
//! reads the events.

pub mod native;
mod profile;
mod read;
mod render;

pub use profile::{LateInstructions, Profile, StructuredOutput, ThinkingForm};
pub use read::MessagesReader;
pub use render::render;

/// The path of the endpoint below a provider's base URL, which has no `/v1` of its own.
pub const PATH: &str = "/v1/messages";
