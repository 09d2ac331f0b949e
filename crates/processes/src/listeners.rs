//! Who listens on a port of this machine.

use std::net::SocketAddr;

use crate::{Process, ProcessError};

/// Somebody who listens on a TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address and port.
    pub address: SocketAddr,
    /// The user who opened it.
    pub owner: u32,
    /// The processes that hold it, as far as they let us look: those of other users do not.
    pub processes: Vec<Process>,
}

/// Who listens on this TCP port, on any address of this machine (in a container: of the container).
///
/// # Errors
/// The system does not tell. [`ProcessError::Unsupported`] where there is no `/proc`.
#[cfg(target_os = "linux")]
pub fn listeners(port: u16) -> Result<Vec<Listener>, ProcessError> {
    use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};
    let unread = |error| ProcessError::read("the list of sockets", error);
    let mut entries: Vec<TcpNetEntry> = tcp().map_err(unread)?;
    // A kernel without IPv6 has no such list.
    entries.extend(tcp6().unwrap_or_default());
    entries.retain(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port);
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let holders = crate::input::holders(|target| match target {
        crate::input::Target::Socket(inode) => entries.iter().any(|entry| entry.inode == *inode),
        crate::input::Target::Pipe(_)
        | crate::input::Target::Path(_)
        | crate::input::Target::Other => false,
    })?;
    let listeners = entries.iter().map(|entry| Listener {
        address: entry.local_address,
        owner: entry.uid,
        processes: holders
            .iter()
            .filter(|holder| holder.target == crate::input::Target::Socket(entry.inode))
            .map(|holder| holder.process.clone())
            .collect(),
    });
    Ok(listeners.collect())
}

/// Who listens on this TCP port.
///
/// # Errors
/// [`ProcessError::Unsupported`], always.
#[cfg(not(target_os = "linux"))]
pub fn listeners(_port: u16) -> Result<Vec<Listener>, ProcessError> {
    Err(ProcessError::Unsupported {
        what: "who listens on a port",
    })
}
