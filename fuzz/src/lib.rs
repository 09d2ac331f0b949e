//! What the fuzz targets check: one function for each, so that an input can be replayed without a fuzzer.
//!
//! A function takes any bytes and panics when a promise does not hold. Start with [`sse_decoder`]; `README.md` says how to
//! run them.

#![forbid(unsafe_code)]

mod chat_reader;
mod cuts;
mod grammar;
#[cfg(test)]
mod replay;
mod responses_request;
mod sse_decoder;
mod writer;

pub use chat_reader::chat_reader;
pub use responses_request::responses_request;
pub use sse_decoder::sse_decoder;

/// One fuzz target, under its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("sse_decoder", sse_decoder),
    ("chat_reader", chat_reader),
    ("responses_request", responses_request),
];
