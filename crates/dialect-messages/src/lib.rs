//! The Anthropic Messages protocol, towards clients and towards providers.
//!
//! Towards clients: [`parse`] reads the body of `POST /v1/messages` into the neutral [`Request`](polywire_conversation::Request);
//! [`MessagesWriter`] turns the neutral events of an answer into the events of a Messages stream, or into one message object;
//! [`render_error`] and its neighbours say what failed in the words of this protocol; [`parse_count`], [`estimate`] and
//! [`render_count`] serve `POST /v1/messages/count_tokens`, [`models_page`] the list of models.
//!
//! Towards providers: [`render()`] makes the request, [`MessagesReader`] reads the answer, and a [`Profile`] says what a
//! provider does differently. [`native`] is the way of a turn whose client speaks the protocol too: its bytes are kept.
//!
//! This crate holds no I/O, clock or randomness, and knows no other dialect. Facts about the wire come from Anthropic's
//! documentation and the types of anthropic-python 2.11.0 to 2.14.0, facts about Claude Code from observing version 2.1.197
//! (November 2026).
//!
//! Reading order of the client's side: `limits`, `parse` (`body`, `messages`, `blocks`, `media`, `hosted`, `tools`, `settings`), `write`
//! (`blocks`, `call`, `message`, `frames`), `failure`, `count`, `models`.
//!
//! ```
//! use polywire_conversation::{Event, StopReason, WriteStream};
//! use polywire_dialect_messages::{MessagesWriter, WriterOptions, estimate, parse};
//! use polywire_sse::FrameBuffer;
//!
//! # fn main() -> Result<(), polywire_conversation::Fault> {
//! let parsed = parse(
//!     br#"{"model":"house/small","max_tokens":100,"messages":[{"role":"user","content":"Good morning"}]}"#,
//! )?;
//! assert_eq!(parsed.request.items.len(), 1);
//!
//! let mut frames = FrameBuffer::new();
//! let mut writer = MessagesWriter::new(WriterOptions {
//!     message_id: "msg_1".to_owned(),
//!     request_id: "req_1".to_owned(),
//!     input_tokens_estimate: estimate(&parsed.request),
//!     model: parsed.request.model.into_owned(),
//!     thinking: parsed.thinking,
//! });
//! writer.push(Event::TextStart, &mut frames);
//! writer.push(Event::TextDelta("Good morning.".into()), &mut frames);
//! writer.push(Event::TextEnd, &mut frames);
//! writer.push(Event::Finish(StopReason::Stop), &mut frames);
//! assert!(frames.take().starts_with(b"event: message_start\n"));
//! # Ok(())
//! # }
//! ```

mod count;
mod failure;
mod limits;
mod models;
pub mod native;
mod parse;
mod profile;
mod read;
mod render;
mod write;

pub use count::{estimate, render_count};
pub use failure::{error_type, http_status, render_error, should_retry};
pub use limits::OUTPUT_BYTES_MAX;
pub use models::{ModelEntry, ModelsQuery, models_page};
pub use parse::{Parsed, ThinkingDisplay, parse, parse_count};
pub use profile::{LateInstructions, Profile, StructuredOutput, ThinkingForm};
pub use read::MessagesReader;
pub use render::render;
pub use write::{MessagesWriter, WriterOptions};

/// The path of the endpoint below a provider's base URL, which has no `/v1` of its own.
pub const PATH: &str = "/v1/messages";
