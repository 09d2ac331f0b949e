//! Edits that last, and are taken back one day.
//!
//! For every file that is edited there is a *record* in a folder of ours, written before the file is: what the file was, what was set in
//! it, and how we left it. So after a crash at any point the record and the file together say what is to be done: nothing but compare them.
//!
//! Start reading at [`journal`]. [`take_back`] is the merge, [`carry_out`] does what was planned.

mod carry_out;
mod error;
#[expect(
    clippy::module_inception,
    reason = "the file is named after the type that it holds"
)]
mod journal;
mod lock;
mod plan;
mod record;
mod records;
mod set_aside;
mod surroundings;
mod take_back;

pub use error::JournalError;
pub use journal::{Journal, Open};
pub use plan::{Kept, Plan, Setting, Wanted};
pub use record::Layer;
