//! What every client library goes through, whatever dialect it speaks.
//!
//! Each scenario scripts a Chat Completions upstream, lets a client's script play its part, and compares what the client saw
//! and what the upstream received. Both are the same for all dialects; where one cannot see something, its test says so.

pub(crate) mod answers;
pub(crate) mod failures;
pub(crate) mod lowered;
pub(crate) mod play;

pub(crate) use play::Client;
