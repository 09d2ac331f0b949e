//! The neutral model of a conversation with a language model.
//!
//! Every dialect is read into these types and written from them, so that no dialect knows another. The model is richer than
//! any wire format: typed items, freeform and namespaced tools, opaque reasoning. Its types are not serialisable on purpose:
//! each dialect has wire structs of its own and converts by hand.
//!
//! This crate holds no I/O, clock, randomness or environment, and knows no vendor and no wire format.
//!
//! Reading order: [`Text`], [`Request`], [`history`], [`Ledger`], [`Event`], [`ReadStream`] and [`WriteStream`], then the
//! values that tell what went wrong: [`Loss`], [`Fault`].

pub mod arguments;
pub mod effort;
pub mod envelope;
pub mod estimate;
mod event;
mod fault;
mod freeform;
pub mod history;
pub mod ids;
pub mod json;
mod ledger;
mod loss;
pub mod parts;
mod render;
mod request;
mod stream;
mod text;
pub mod tools;
mod usage;

pub use event::{Citation, Event, Native, Opaque, OpaqueKind, StopReason, WebSearch};
pub use fault::{Fault, FaultClass, Origin, Retry};
pub use freeform::{FreeformReader, write_freeform_arguments};
pub use ledger::{Form, Ledger, Lowered, NameRule, Raised};
pub use loss::{Loss, Losses, Severity};
pub use render::{ModelFacts, Rendered};
pub use request::{
    Call, CallInput, Dialect, File, FileContent, Function, Grammar, Image, Instruction, Item,
    Message, OutputFormat, Part, Phase, Reasoning, ReasoningRequest, Request, Role, Sampling, Tool,
    ToolChoice, ToolResult, VisibleReasoning,
};
pub use stream::{EventSink, ReadStream, StreamEnd, WriteStream};
pub use text::{Json, Text};
pub use usage::Usage;
