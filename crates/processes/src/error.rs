//! What can go wrong.

use thiserror::Error;

/// Why something about processes could not be found out or done.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// The system does not tell what was asked.
    #[error("{what} could not be read: {reason}")]
    Read {
        /// What was asked.
        what: String,
        /// What the system said.
        reason: String,
    },
    /// This system has no way to tell.
    #[error("{what} cannot be told on this system")]
    Unsupported {
        /// What was asked.
        what: &'static str,
    },
    /// A process could not be signalled.
    #[error("process {pid} could not be signalled: {source}")]
    Signal {
        /// Its number.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// A process did not end, though it was killed.
    #[error("process {pid} was killed and has not ended; it waits for the system")]
    StillThere {
        /// Its number.
        pid: u32,
    },
}

impl ProcessError {
    pub(crate) fn read(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Read {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}
