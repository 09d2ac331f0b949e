//! The gateway that runs already, if it is this user's.

use std::net::SocketAddr;

use polywire_processes::{Listener, ProcessError, listeners, own_user};
use polywire_settings::Settings;

use crate::background;
use crate::logging::note;
use crate::running::{self, callable};

/// Where a gateway serves that may be sent the user's token; `None` when there is none, and a note where one answers that cannot be trusted.
///
/// Anybody on this machine can listen on our port and answer as polywire does. He would be sent the token first, and every prompt after it. So it is one of two:
///
/// - The gateway in the background with these settings, wherever it listens: its process is proven to be the one that its state file names.
/// - Whatever answers on the address of the settings, when every socket there was opened by this user. That includes a socket of the user's own systemd. One of root
///   is not ours, be it the machine's systemd or a container's port: root may be trusted with everything, but what it serves there need not be ours.
///
/// Where the system does not tell whose a socket is, nothing is trusted. A gateway that is stopping begins no turns, and does not count.
pub(crate) async fn trusted_gateway(settings: &Settings) -> Option<SocketAddr> {
    let recorded = background::recorded(&settings.paths);
    let recorded = recorded.filter(|it| it.settings_file == settings.paths.config_file);
    if let Some(gateway) = recorded
        && let Some(address) = serving(gateway.address).await
    {
        return Some(address);
    }
    let address = serving(settings.server.listen).await?;
    match is_own(address) {
        Ok(true) => return Some(address),
        Ok(false) => note(format_args!(
            "note: the gateway on http://{address} belongs to another user, and is not used"
        )),
        Err(error) => note(format_args!(
            "note: the gateway on http://{address} is not used: {error}"
        )),
    }
    None
}

/// Where one that listens there is called, if it is a polywire and begins turns.
async fn serving(listens: SocketAddr) -> Option<SocketAddr> {
    let address = callable(listens);
    let serves = running::is_polywire(address).await && !running::is_stopping(address).await;
    serves.then_some(address)
}

fn is_own(address: SocketAddr) -> Result<bool, ProcessError> {
    Ok(are_of(own_user(), address, &listeners(address.port())?))
}

/// Whether those who could have answered on this address are all of this user, and there is one.
fn are_of(user: u32, address: SocketAddr, listeners: &[Listener]) -> bool {
    let answers = |listener: &&Listener| {
        let ip = listener.address.ip().to_canonical();
        ip.is_unspecified() || ip == address.ip().to_canonical()
    };
    let mut there = listeners.iter().filter(answers).peekable();
    there.peek().is_some() && there.all(|listener| listener.owner == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_user_alone_has_opened_is_ours() {
        let listener = |(address, owner): &(&str, u32)| Listener {
            address: address.parse().unwrap(),
            owner: *owner,
            processes: Vec::new(),
        };
        let asked = "127.0.0.1:1".parse().unwrap();
        for (found, ours) in [
            (&[] as &[(&str, u32)], false),
            (&[("127.0.0.1:1", 7)], true),
            (&[("127.0.0.1:1", 0)], false),
            (&[("0.0.0.0:1", 7)], true),
            (&[("[::]:1", 8)], false),
            (&[("[::ffff:127.0.0.1]:1", 7)], true),
            (&[("127.0.0.1:1", 7), ("[::]:1", 8)], false),
            (
                &[("127.0.0.1:1", 7), ("127.0.0.2:1", 8), ("[::1]:1", 8)],
                true,
            ),
            (&[("127.0.0.2:1", 7)], false),
        ] {
            let found: Vec<Listener> = found.iter().map(listener).collect();
            assert_eq!(are_of(7, asked, &found), ours, "{found:?}");
        }
    }
}
