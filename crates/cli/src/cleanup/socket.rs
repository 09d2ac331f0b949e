//! Whether anybody answers on a socket.

use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};

/// Whether anybody answers on a socket.
pub(crate) enum Answer {
    /// Somebody holds it and takes connections, at once or later.
    Taken,
    /// Nobody does.
    Refused,
    /// There is no socket: it is a link to one that cannot be seen from here.
    Gone,
    /// It cannot be told; why.
    Unclear(String),
}

/// Why a link to a socket that is not there is kept.
pub(crate) const LEADS_NOWHERE: &str =
    "it leads to a socket that is not here, and may be in a container that shares this folder";

/// Asks without waiting: a socket whose queue is full would let nobody through.
pub(crate) fn answer_of(path: &Path) -> Answer {
    match try_connect(path) {
        // The kernel lets those in for whom there is room in the queue, and asks the others to come again.
        Ok(_) | Err(Errno::AGAIN) => Answer::Taken,
        Err(Errno::CONNREFUSED) => Answer::Refused,
        Err(Errno::NOENT) => Answer::Gone,
        Err(error) => Answer::Unclear(format!("whether somebody answers cannot be told: {error}")),
    }
}

fn try_connect(path: &Path) -> rustix::io::Result<UnixStream> {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}
