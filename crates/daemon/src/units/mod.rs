//! Texts by which a system starts the gateway and looks after it.
//!
//! Templates of our own, four short texts: what the gateway needs is known here, and nobody else's abstraction has the hardening that fits it.

mod launchd;
mod quadlet;
mod systemd;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use launchd::launchd_agent;
pub use quadlet::{CONTAINER_PORT, quadlet_container};
pub use systemd::{systemd_can_start, systemd_service, systemd_socket};

/// What looks after a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    /// The systemd of the user.
    Systemd,
    /// Podman, through the systemd of the user.
    Quadlet,
    /// The launchd of the user, on macOS.
    Launchd,
}

impl UnitKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            UnitKind::Systemd => "systemd",
            UnitKind::Quadlet => "quadlet",
            UnitKind::Launchd => "launchd",
        }
    }
}

/// The name under which systems know the gateway: `polywire.service`, `polywire.socket`, `polywire.container`.
pub const UNIT_NAME: &str = "polywire";

/// The name under which launchd knows it.
pub const LAUNCHD_LABEL: &str = "polywire.gateway";

/// A gateway to be looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// What stands behind `polywire serve`.
    pub arguments: Vec<String>,
    /// Environment variables without secrets.
    pub environment: BTreeMap<String, String>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long turns may go on once it is asked to stop, in seconds.
    pub drain_timeout: u32,
    /// The folders that it writes to.
    pub writable: Vec<PathBuf>,
    /// It starts programs of the user's choice, such as a Codex that works on files, so that nobody can tell what they need.
    pub runs_programs: bool,
}

/// What may pass between the end of the drain and that of the process, in seconds: engines are ended and what waits is written.
const CLOSE_SECONDS: u32 = 15;

impl ServiceSpec {
    /// How long the system has to wait before it kills the gateway, in seconds.
    fn stop_timeout(&self) -> u32 {
        self.drain_timeout.saturating_add(CLOSE_SECONDS)
    }
}

#[cfg(test)]
pub(crate) fn spec() -> ServiceSpec {
    ServiceSpec {
        program: "/opt/a b 50% $c/polywire".into(),
        arguments: vec!["--provider".into(), "$zai".into()],
        environment: [("XDG_CONFIG_HOME", "/home/me/my config"), ("X", "a\\b<&>")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        listen: "127.0.0.1:4891".parse().unwrap(),
        drain_timeout: 30,
        writable: vec![
            "/home/me/.local/state/polywire".into(),
            "/home/me/100 %".into(),
        ],
        runs_programs: false,
    }
}
