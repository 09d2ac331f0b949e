//! The Secret Service of a Linux desktop (GNOME Keyring, `KWallet`, `KeePassXC`), over D-Bus.
//!
//! Secrets cross the session bus as they are: it is a socket of the user's own, and whoever can listen there as the user can ask
//! the service just as well.

use std::collections::HashMap;

use dbus_secret_service::{EncryptionType, Error, Item, SearchItemsResult, SecretService};

use crate::Secret;
use crate::keyring::{KEYRING_TIME_MAX, KeyringError, SERVICE};

/// What the service is told that a key is. It hands out nothing else as a text.
const CONTENT_TYPE: &str = "text/plain";

pub(super) fn read(account: &str) -> Result<Option<Secret>, KeyringError> {
    let service = connect()?;
    let Some(item) = find(&service, account)? else {
        return Ok(None);
    };
    unlock(&item)?;
    let bytes = item.get_secret().map_err(refused)?;
    let text = String::from_utf8(bytes).map_err(|_| KeyringError::NoText)?;
    Ok(Some(Secret::new(text)))
}

pub(super) fn store(account: &str, key: &Secret) -> Result<(), KeyringError> {
    let service = connect()?;
    let bytes = key.reveal().as_bytes();
    if let Some(item) = find(&service, account)? {
        unlock(&item)?;
        return item.set_secret(bytes, CONTENT_TYPE).map_err(refused);
    }
    let collection = service.get_any_collection().map_err(refused)?;
    if collection.is_locked().map_err(refused)? {
        collection.unlock().map_err(refused)?;
    }
    let label = format!("polywire: key of {account}");
    collection
        .create_item(&label, attributes(account), bytes, true, CONTENT_TYPE)
        .map_err(refused)?;
    Ok(())
}

pub(super) fn remove(account: &str) -> Result<bool, KeyringError> {
    let service = connect()?;
    let Some(item) = find(&service, account)? else {
        return Ok(false);
    };
    unlock(&item)?;
    item.delete().map_err(refused)?;
    Ok(true)
}

/// A prompt that nobody answers is taken back a little before we stop waiting.
fn connect() -> Result<SecretService, KeyringError> {
    let seconds = KEYRING_TIME_MAX.as_secs().saturating_sub(1);
    SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, seconds).map_err(refused)
}

/// The attributes by which other programs file what they keep, so that tools show it alike.
fn attributes(account: &str) -> HashMap<&str, &str> {
    HashMap::from([("service", SERVICE), ("username", account)])
}

fn find<'s>(service: &'s SecretService, account: &str) -> Result<Option<Item<'s>>, KeyringError> {
    let found = service.search_items(attributes(account)).map_err(refused)?;
    let SearchItemsResult { unlocked, locked } = found;
    Ok(unlocked.into_iter().chain(locked).next())
}

/// Has the service ask its user, if it must.
fn unlock(item: &Item<'_>) -> Result<(), KeyringError> {
    if item.is_locked().map_err(refused)? {
        item.unlock().map_err(refused)?;
    }
    Ok(())
}

fn refused(error: Error) -> KeyringError {
    if matches!(error, Error::Locked | Error::Prompt) {
        KeyringError::Locked
    } else {
        KeyringError::Refused(error.into())
    }
}
