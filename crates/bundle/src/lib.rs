//! Providers in one file, to be carried to another machine: our bundle, and the files of the Codex Launcher that can be taken over.
//!
//! This crate turns text into values and values into text. It knows no files, no environment, no terminal and no clock; randomness and
//! the moment are handed in. What is a secret never stands in a bundle but sealed with a passphrase.
//!
//! Reading order: [`Bundle`], `secrets` (what is taken out), `seal` (how it is kept), [`Incoming`] (what an import brings),
//! `launcher` (the files of another program).

mod bundle;
mod error;
mod incoming;
mod json;
mod launcher;
mod seal;
mod secrets;

pub use bundle::{Bundle, Moment};
pub use error::{BundleError, OpenError};
pub use incoming::{Incoming, IncomingProvider, Launcher, read};
pub use seal::{Randomness, Sealed};
pub use secrets::{SecretValue, take_out};
