//! What the fuzz targets check: one function for each, so that an input can be replayed without a fuzzer.
//!
//! A function takes any bytes and panics when a promise does not hold. Start with [`sse_decoder`]; `README.md` says how to
//! run them.

#![forbid(unsafe_code)]

mod chat_reader;
mod chat_request;
mod command_code_reader;
mod cuts;
mod envelope;
mod grammar;
mod line_decoder;
mod messages_reader;
mod messages_request;
mod reader;
#[cfg(test)]
mod replay;
mod request;
mod responses_reader;
mod responses_request;
mod schema;
mod sse_decoder;
mod toml_edits;
mod writer;

pub use chat_reader::chat_reader;
pub use chat_request::chat_request;
pub use command_code_reader::command_code_reader;
pub use envelope::envelope;
pub use line_decoder::line_decoder;
pub use messages_reader::messages_reader;
pub use messages_request::messages_request;
pub use responses_reader::responses_reader;
pub use responses_request::responses_request;
pub use schema::schema;
pub use sse_decoder::sse_decoder;
pub use toml_edits::toml_edits;

/// One fuzz target, under its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("sse_decoder", sse_decoder),
    ("line_decoder", line_decoder),
    ("chat_reader", chat_reader),
    ("messages_reader", messages_reader),
    ("responses_reader", responses_reader),
    ("command_code_reader", command_code_reader),
    ("chat_request", chat_request),
    ("messages_request", messages_request),
    ("responses_request", responses_request),
    ("envelope", envelope),
    ("schema", schema),
    ("toml_edits", toml_edits),
];
