//! The gateway in the background: its state, its log, and the units by which systems start it.
//!
//! What runs is told by a state file, and believed only when the process is the recorded one ([`polywire_processes`]). Nothing here starts or signals a
//! process, and nothing knows the settings or the environment: paths and numbers arrive as arguments.
//!
//! Reading order: [`Places`], [`GatewayState`], [`Lock`], [`RotatingLog`] and [`Follower`], [`units`], [`Installation`].

mod error;
mod files;
mod installation;
mod lock;
mod log;
mod places;
mod state;
pub mod units;

pub use error::DaemonError;
pub use files::make_private_folder;
pub use installation::{Installation, Installed, UnitState};
pub use lock::Lock;
pub use log::{Follower, Gap, LogLimits, RotatingLog, append_private};
pub use places::Places;
pub use state::{EndedGateway, GatewayState, Presence, RunningGateway, StartOptions};
