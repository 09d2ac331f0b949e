//! The OpenAI Chat Completions protocol as an upstream: requests out, streams in.
//!
//! One renderer and one reader serve every provider that speaks the protocol. What providers do differently in requests is
//! data (a [`Profile`]); what they do differently in answers is tolerated by the reader without being told, because the same
//! provider answers differently from model to model and from month to month. Only what could be text as well, markup that a
//! server has left in the answer, is read on the profile's word ([`Leak`]).
//!
//! This crate holds no I/O, clock, randomness or environment, knows no vendor by name in its decisions, and does not know who
//! reads the events. Start with [`render()`], then [`ChatReader`].

mod details;
mod failure;
mod limits;
mod parse;
mod profile;
mod read;
mod render;
mod write;

pub use failure::{http_status, render_error};
pub use limits::OUTPUT_BYTES_MAX;
pub use parse::{Parsed, parse};
pub use profile::{
    CallIds, CallSignature, ChoiceForm, EmptyContent, LateInstructions, Leak, OutputLimitField,
    Profile, ReasoningBack, ReasoningForm, StructuredOutput, SystemRole,
};
pub use read::{ChatReader, LOOK_AHEAD_BYTES_MAX};
pub use render::render;
pub use write::{ChatWriter, WriterOptions};

/// The path of the endpoint below a provider's base URL.
pub const PATH: &str = "/chat/completions";
