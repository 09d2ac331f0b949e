//! Who a process is, so that none is taken for another: found, looked at, ended.
//!
//! A process number alone says nothing: the system gives it to somebody else as soon as its process is gone. A [`ProcessId`] is the number,
//! the moment at which its process began, and the running system that counted both; it can be kept in a file and asked later.
//!
//! On Linux everything comes from `/proc`. Elsewhere it comes from the system's own interface, as far as that goes: what is not to be had there is
//! `None` in [`Process`], and [`listeners`] and [`input_of`] say [`ProcessError::Unsupported`].
//!
//! Functions here read files and may wait; none of them knows an async runtime. Must not know: Codex, polywire's files, what is stale.
//!
//! Reading order: [`ProcessId`], [`Process`], [`end`], [`listeners`], [`input_of`].

mod ending;
mod error;
mod identity;
mod input;
mod listeners;
#[cfg(target_os = "linux")]
mod peer;
mod process;
mod system;

pub use ending::{Ending, ask_to_end, end};
pub use error::ProcessError;
pub use identity::ProcessId;
pub use input::{Input, input_of};
pub use listeners::{Listener, listened_by, listeners};
pub use process::{Process, own_processes};
pub use system::{boot_id, sees_all_processes};

/// Whether this process ignores the signal of this number, as one does that `nohup` has started; `None` where the system does not tell.
pub fn ignores(signal: i32) -> Option<bool> {
    system::ignores(signal)
}

/// The user on whose behalf this process acts.
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}
