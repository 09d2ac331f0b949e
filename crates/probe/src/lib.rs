//! Whether a provider can be reached, and what works with it.
//!
//! Nothing here prints: results are values that a command shows as a table or as JSON. Requests go the way of every turn, with the
//! provider's own key, headers and proxy.
//!
//! Reading order: [`reach`] (DNS, TCP, TLS, HTTP told apart), [`Finding`] (what came of it, and what to do), [`examine`] (what works),
//! `bench` (a gateway to play turns on), `judge` (what an answer is worth), `switches` (what it says of the provider's profile).

mod bench;
mod check;
mod examine;
mod finding;
mod judge;
mod page;
mod reach;
mod report;
mod requests;
mod switches;

pub use check::{CheckId, Checked, Outcome};
pub use examine::{Progress, examine};
pub use finding::Finding;
pub use page::Filter;
pub use reach::{Reach, StepTime, reach, reach_provider, reach_within};
pub use report::{Report, Tokens};
pub use switches::{Evidence, Speaks, Switch};
