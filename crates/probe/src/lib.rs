//! Whether a provider can be reached, and what works with it.
//!
//! Nothing here prints: results are values that a command shows as a table or as JSON. Requests go the way of every turn, with the
//! provider's own key, headers and proxy.
//!
//! Reading order: [`reach`] (DNS, TCP, TLS, HTTP told apart), [`Finding`] (what came of it, and what to do).

mod finding;
mod page;
mod reach;

pub use finding::Finding;
pub use page::{Filter, Page};
pub use reach::{Reach, StepTime, reach, reach_provider, reach_within};
