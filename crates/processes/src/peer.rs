//! The other end of a Unix socket, asked of the kernel over `NETLINK_SOCK_DIAG` (`sock_diag(7)`, `linux/unix_diag.h`).

use std::os::fd::OwnedFd;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// What is at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Another socket, by its inode.
    Socket(u64),
    /// Nothing: it was closed.
    Gone,
    /// The kernel does not say, or it is no Unix socket.
    Unknown,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_UNIX: u8 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_PEER: u16 = 2;
/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// `struct unix_diag_req`.
const REQUEST_BYTES: usize = 24;
/// `struct unix_diag_msg`.
const ANSWER_BYTES: usize = 16;
/// An answer about one socket has a hundred bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// What is at the other end of the socket with this inode.
pub(crate) fn peer_of(inode: u64) -> Peer {
    // The kernel numbers sockets with 32 bits in this interface.
    let Ok(inode) = u32::try_from(inode) else {
        return Peer::Unknown;
    };
    ask(inode).map_or(Peer::Unknown, |answer| read(&answer, inode))
}

fn ask(inode: u32) -> rustix::io::Result<Vec<u8>> {
    let socket: OwnedFd = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )?;
    sendto(
        &socket,
        &request(inode),
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    // The kernel has put the answer there before the sending returned.
    let (_, length) = recv(&socket, answer.as_mut_slice(), RecvFlags::DONTWAIT)?;
    answer.truncate(length);
    Ok(answer)
}

fn request(inode: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + REQUEST_BYTES);
    let length = u32::try_from(HEADER_BYTES + REQUEST_BYTES).unwrap_or_default();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number, and the port that the kernel fills in.
    bytes.extend([0; 8]);
    bytes.extend([AF_UNIX, 0, 0, 0]);
    // Sockets in any state.
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(inode.to_ne_bytes());
    bytes.extend(UDIAG_SHOW_PEER.to_ne_bytes());
    // No cookie: the inode says which one.
    bytes.extend(u64::MAX.to_ne_bytes());
    bytes
}

fn read(answer: &[u8], inode: u32) -> Peer {
    let u16_at = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let is_ours = u16_at(4) == Some(SOCK_DIAG_BY_FAMILY) && u32_at(HEADER_BYTES + 4) == Some(inode);
    if !is_ours {
        return Peer::Unknown;
    }
    let mut at = HEADER_BYTES + ANSWER_BYTES;
    while let (Some(length), Some(kind)) = (u16_at(at), u16_at(at + 2)) {
        if kind == UNIX_DIAG_PEER {
            return match u32_at(at + 4) {
                // A peer that was closed and is not freed yet has no inode any more.
                Some(0) => Peer::Gone,
                Some(peer) => Peer::Socket(peer.into()),
                None => Peer::Unknown,
            };
        }
        // Attributes are padded to four bytes; one without a length would never end.
        at += usize::from(length).max(4).next_multiple_of(4);
    }
    Peer::Gone
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn inode(socket: &UnixStream) -> u64 {
        rustix::fs::fstat(socket.as_fd()).unwrap().st_ino
    }

    #[test]
    fn the_other_end_is_found_until_it_is_closed() {
        let (one, other) = UnixStream::pair().unwrap();
        assert_eq!(peer_of(inode(&one)), Peer::Socket(inode(&other)));
        drop(other);
        assert_eq!(peer_of(inode(&one)), Peer::Gone);
        assert_eq!(peer_of(u64::from(u32::MAX)), Peer::Unknown);
    }

    #[test]
    fn half_an_answer_says_nothing() {
        assert_eq!(read(&[], 1), Peer::Unknown);
        assert_eq!(read(&[0; 20], 0), Peer::Unknown);
    }
}
