//! Whether anybody answers on a socket.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

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

/// How long a daemon may take to answer on this machine. It takes a millisecond.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How Codex's daemon is spoken to (a WebSocket over its socket; tried with Codex 0.169). The key is the one of RFC 6455.
const HELLO: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

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

pub(super) fn try_connect(path: &Path) -> rustix::io::Result<UnixStream> {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// Why the one who holds a socket counts as asleep: the kernel takes connections for it, and nobody says anything.
pub(crate) fn silence_of(path: &Path) -> Option<String> {
    let asked = || {
        let mut stream = try_connect(path)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(HELLO)?;
        stream.read(&mut [0; 64])
    };
    // Whatever it answers, and even when it hangs up, it is awake.
    let error = asked().err()?;
    let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    silent.then(|| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        format!(
            "{} takes connections, and nobody answers within {seconds} s",
            path.display()
        )
    })
}
