//! A request and its answer between a client and a provider that both speak this protocol: the bytes are kept.
//!
//! What has to change is taken out of the text and put back into it; everything around stays as it was written, because the
//! provider's prompt cache rests on it and because nobody can lose what nobody reads. `splice` changes members of JSON text,
//! `edit` the request, `insist` what some providers demand of it, `plain` tells which requests can go this way, `read` and `write` carry the answer.

mod edit;
mod insist;
mod items;
mod plain;
mod read;
mod seal;
mod splice;
mod write;

pub use edit::{Native, NativeEdits, edit};
pub use plain::is_plain;
pub use read::{NativeReader, NativeSeal};
pub(crate) use splice::with_tag;
pub use write::NativeWriter;
