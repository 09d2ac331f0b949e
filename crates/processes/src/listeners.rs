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

/// The TCP addresses on which a process listens; none when it has ended.
///
/// # Errors
/// The system does not tell, or the process does not let us look. [`ProcessError::Unsupported`] where there is no `/proc`.
#[cfg(target_os = "linux")]
pub fn listened_by(id: &crate::ProcessId) -> Result<Vec<SocketAddr>, ProcessError> {
    use procfs::net::TcpState;
    use procfs::process::{FDTarget, Process as Entry};
    let unread = |error| ProcessError::read(format!("what process {} listens on", id.pid()), error);
    if !id.is_alive()? {
        return Ok(Vec::new());
    }
    let entry = Entry::new(i32::try_from(id.pid()).unwrap_or_default()).map_err(unread)?;
    let files = entry.fd().map_err(unread)?;
    let sockets: Vec<u64> = files
        .flatten()
        .filter_map(|file| {
            let FDTarget::Socket(inode) = file.target else {
                return None;
            };
            Some(inode)
        })
        .collect();
    let mut entries = entry.tcp().map_err(unread)?;
    entries.extend(entry.tcp6().unwrap_or_default());
    let own = entries
        .iter()
        .filter(|entry| entry.state == TcpState::Listen && sockets.contains(&entry.inode));
    Ok(own.map(|entry| entry.local_address).collect())
}

/// The TCP addresses on which a process listens.
///
/// # Errors
/// [`ProcessError::Unsupported`], always.
#[cfg(not(target_os = "linux"))]
pub fn listened_by(_id: &crate::ProcessId) -> Result<Vec<SocketAddr>, ProcessError> {
    Err(ProcessError::Unsupported {
        what: "what a process listens on",
    })
}
