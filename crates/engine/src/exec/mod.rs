//! `codex exec` as a provider: one process for each turn.

mod events;
mod folder;
mod prompt;
mod runner;

pub(crate) use runner::{Runner, serve};
