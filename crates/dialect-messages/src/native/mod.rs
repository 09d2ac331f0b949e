//! The way of a turn whose client speaks the protocol of its provider: the bytes are kept.
//!
//! Translating there and back would lose what the neutral model does not know. So the request is edited in place ([`edit`]), and
//! the answer passes frame by frame ([`NativeReader`], [`NativeWriter`]) beside the events that tell the gateway what it means.
//! The one thing that is changed beside the model's name is the state of the reasoning, which travels through the client in an
//! [envelope](polywire_conversation::envelope) of ours and never goes to a provider that has not made it.

mod edit;
mod patch;
mod plain;
mod reader;
mod turn;
mod writer;

pub use edit::{Native, NativeEdits, edit};
pub use plain::is_plain;
pub use reader::{NativeReader, Seal};
pub use writer::NativeWriter;
