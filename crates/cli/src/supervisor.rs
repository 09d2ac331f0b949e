//! What systemd and its like hand over, and what they want to know.
//!
//! The libraries read `LISTEN_FDS` and `NOTIFY_SOCKET` from the environment themselves: they are no settings, but the way in which a supervisor talks to the
//! process that it has just started.

use std::net::SocketAddr;

use listenfd::ListenFd;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use sd_notify::NotifyState;
use tokio::net::TcpListener;

/// The socket that a supervisor listens on for us (`polywire.socket`); `None` when it has handed over none.
pub(crate) fn listener() -> anyhow::Result<Option<TcpListener>> {
    let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? else {
        return Ok(None);
    };
    // It comes open for every program that we start, and would keep the address taken after us.
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    listener.set_nonblocking(true)?;
    Ok(Some(TcpListener::from_std(listener)?))
}

/// Clients can come.
pub(crate) fn ready(address: SocketAddr) {
    let status = format!("listening on http://{address}/v1");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Turns at work may end, and nothing else begins.
pub(crate) fn stopping(turns: usize) {
    let status = format!("stopping; {turns} turns at work");
    tell(&[NotifyState::Stopping, NotifyState::Status(&status)]);
}

/// Does nothing where no supervisor listens.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the supervisor could not be told: {error}");
    }
}
