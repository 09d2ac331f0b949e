//! The turn: joins dialects, plan and upstream. Knows no web framework and no vendor.
//!
//! Start with [`turn::run`], which reads as the life of a request does, then [`answer`], where the stream flows.

pub mod answer;
mod body;
mod client;
mod endpoint;
mod fault;
pub mod limits;
mod read;
mod settle;
mod state;
pub mod turn;

pub use body::BodyBuffer;
pub use client::{Client, ClientDialect};
pub use endpoint::{ConfigurationError, Endpoint};
pub use state::{Configuration, ConfigurationSource, Fixed, Gateway, Keys, Live, Variables};
