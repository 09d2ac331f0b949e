//! Which process is meant.

use serde::{Deserialize, Serialize};

use crate::{Process, ProcessError, system};

/// Which process is meant: a number, and what keeps it from being taken for the next process of that number.
///
/// Two of them are equal when they mean the same process. Can be stored; one that was stored before a restart of the machine, or in another container,
/// means no process that runs here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    pid: u32,
    /// When it began: clock ticks since the machine started on Linux, seconds since 1970 elsewhere.
    start: u64,
    /// What counted both: the run of the machine and, on Linux, the namespace of process numbers.
    system: String,
}

impl ProcessId {
    pub(crate) fn new(pid: u32, start: u64) -> Result<Self, ProcessError> {
        Ok(Self {
            pid,
            start,
            system: system::running_system()?,
        })
    }

    /// This process.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn own() -> Result<Self, ProcessError> {
        let pid = std::process::id();
        Self::of(pid)?.ok_or_else(|| ProcessError::read("this process", "it is not listed"))
    }

    /// The process that has this number now; `None` when none has, or one that has ended and that only its parent keeps in the table.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn of(pid: u32) -> Result<Option<Self>, ProcessError> {
        Ok(Process::find(pid)?.map(|process| process.id))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it began: clock ticks since the machine started on Linux, seconds since 1970 elsewhere.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn is_alive(&self) -> Result<bool, ProcessError> {
        Ok(self.look()?.is_some())
    }

    /// Whether it was stopped, by a signal or by a debugger, and does nothing until it is told to go on. `false` when it has ended.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn is_stopped(&self) -> Result<bool, ProcessError> {
        system::is_stopped(self)
    }

    /// What it is now; `None` when it has ended, whoever has its number.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn look(&self) -> Result<Option<Process>, ProcessError> {
        Ok(Process::find(self.pid)?.filter(|process| process.id == *self))
    }
}
