//! What outlives a turn: stored responses and receipts, in one SQLite file.
//!
//! A [`Store`] is a cheap handle; one thread of its own does all reading and writing, because SQLite waits and polywire's runtime
//! is one thread that must not. Several polywire processes may have the same file open: that is the normal case, and every record is
//! whole or absent however a process ends.
//!
//! This crate knows no wire format: a response is texts with an id and a parent, a receipt is shapes and sizes. It must not know the
//! gateway, the settings file or HTTP. Other crates see [`Responses`] and [`ReceiptSink`], so that another database can take
//! SQLite's place.
//!
//! Reading order: [`Limits`], [`StoredResponse`], [`Receipt`], [`Store`], the seam; inside: `schema`, `worker`, `responses`,
//! `items`, `receipts`.

mod error;
mod history;
mod items;
mod limits;
mod place;
mod receipt;
mod receipts;
mod response;
mod responses;
mod schema;
mod seam;
mod store;
mod worker;

pub use error::{Cause, ChainError, StoreError};
pub use history::history;
pub use items::items;
pub use limits::Limits;
pub use receipt::{
    Outcome, Receipt, ReceiptAttempt, ReceiptFault, ReceiptLoss, ReceiptSummary, ReceiptUsage,
    Timings,
};
pub use receipts::{Found, ReceiptFilter};
pub use response::StoredResponse;
pub use seam::{Pending, ReceiptSink, Responses};
pub use store::{Store, Totals};
