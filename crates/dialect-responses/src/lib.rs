//! The OpenAI Responses protocol, on both sides of the gateway.
//!
//! Towards clients: [`parse`] reads the body of `POST /v1/responses` into the neutral [`Request`](polywire_conversation::Request);
//! [`ResponsesWriter`] turns the neutral events of an answer into the events of a Responses stream, or into one response
//! object; [`render_error`] and its neighbours say what failed in the words of this protocol.
//!
//! Towards providers: [`render()`] writes a request in the form that a [`Profile`] describes; [`ResponsesReader`] turns what comes
//! back into neutral events. When both sides speak this protocol and [`is_plain`] agrees, nothing is translated: [`edit`] changes in
//! the request what must change, [`NativeReader`] and [`NativeWriter`] pass the answer on.
//!
//! This crate holds no I/O, clock or randomness, and knows no provider by name and no other dialect. Facts about the wire come from
//! the OpenAI description and from Open Responses 2026-04-24, facts about Codex from observing codex-cli 0.169.0 (November
//! 2026). Where the two descriptions differ, what is written satisfies both as far as that is possible.
//!
//! Reading order: `limits`, `parse` (`body`, `items`, `parts`, `tools`, `settings`), [`Echo`], `write` (`messages`, `items`,
//! `response`, `frames`), `failure`; then `profile`, `render` (`items`, `tools`, `settings`), `read` (`wire`, `output`), `native`.
//!
//! ```
//! use polywire_conversation::{Event, StopReason, WriteStream};
//! use polywire_dialect_responses::{Client, ResponsesWriter, WriterOptions, parse};
//! use polywire_sse::FrameBuffer;
//!
//! # fn main() -> Result<(), polywire_conversation::Fault> {
//! let parsed = parse(br#"{"model":"house/small","input":"Good morning","stream":true}"#, Client::Sdk)?;
//! assert_eq!(parsed.request.items.len(), 1);
//!
//! let mut frames = FrameBuffer::new();
//! let mut writer = ResponsesWriter::new(WriterOptions {
//!     response_id: "resp_1".to_owned(),
//!     created_at: 1_795_000_000,
//!     model: parsed.request.model.into_owned(),
//!     client: Client::Sdk,
//!     echo: parsed.echo,
//!     output_tokens_max: None,
//!     previous_response_id: None,
//!     store: false,
//!     logprobs: false,
//!     compaction: None,
//! });
//! writer.push(Event::TextStart, &mut frames);
//! writer.push(Event::TextDelta("Good morning.".into()), &mut frames);
//! writer.push(Event::TextEnd, &mut frames);
//! writer.push(Event::Finish(StopReason::Stop), &mut frames);
//! assert!(frames.take().starts_with(b"event: response.created\n"));
//! # Ok(())
//! # }
//! ```

mod client;
mod echo;
mod failure;
mod fields;
mod limits;
mod native;
mod parse;
mod profile;
mod read;
mod render;
mod write;

pub use client::Client;
pub use echo::Echo;
pub use failure::{failed_code, http_status, render_error};
pub use limits::{OUTPUT_BYTES_MAX, RETRY_WAIT_MAX};
pub use native::{Native, NativeEdits, NativeReader, NativeSeal, NativeWriter, edit, is_plain};
pub use parse::{Parsed, parse, parse_for_store};
pub use profile::{ChoiceForm, ItemIds, Profile, StructuredOutput, SystemRole};
pub use read::ResponsesReader;
pub use render::render;
pub use write::{Compacted, ResponsesWriter, Seal, WriterOptions, render_compacted};

/// The path of the endpoint below a provider's base URL.
pub const PATH: &str = "/responses";
