//! Secrets: provider keys, the gateway's own token, and proxies, whose addresses hold passwords.
//!
//! A secret is a [`Secret`] from the moment it is read: it prints as `***`, and the one method that shows it is easy to find.
//! This crate does not read the environment; the values of variables are handed in. (The library that finds the session bus does.)
//!
//! Reading order: [`Secret`], [`KeySource`], [`ensure_token`].

mod key;
mod keyring;
mod private_file;
mod proxy;
mod secret;
mod secret_names;
mod secret_places;
mod token;

pub use key::{COMMAND_TIME_MAX, KeyError, KeySource, on_one_line};
pub use keyring::{KEYRING_TIME_MAX, Keyring, KeyringEntry, KeyringError};
pub use private_file::{is_private, make_private, make_private_folder};
pub use proxy::{Proxy, ProxyError, ProxyUrl};
pub use secret::{Secret, tokens_equal};
pub use secret_names::{is_variable_name, names_secret};
pub use secret_places::{masked, secret_places};
pub use token::{TokenError, ensure_token};
