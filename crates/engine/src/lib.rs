//! A local Codex as a provider: `codex exec` and `codex app-server`, asked in the form of the Responses protocol.
//!
//! An engine runs Codex in a home of its own, with nothing of the user's but the login, so that a turn holds what the client
//! said and nothing else. It takes a request body of the Responses protocol and gives back the frames of an answer.
//!
//! Reading order: [`Engine::ask`], then `app_server` (a pool of long-lived processes) and `exec` (one process for each turn);
//! `home` and `models` make Codex fit for it.

mod acts;
mod answer;
mod app_server;
mod ask;
mod engine;
mod exec;
mod fault;
mod frames;
mod home;
mod limits;
mod models;
mod process;
mod queue;
mod settings;
mod workdir;

pub use answer::{EngineAnswer, EngineEvent, Step};
pub use engine::{Engine, EngineState};
pub use settings::{EngineKind, EngineSettings};
