//! The login keychain of macOS.

use security_framework::base::Error;
use security_framework::passwords::{
    delete_generic_password, get_generic_password, set_generic_password,
};

use crate::Secret;
use crate::keyring::{KeyringError, SERVICE};

/// `errSecItemNotFound` (`SecBase.h`).
const NOT_FOUND: i32 = -25300;

/// `errSecAuthFailed` and `errSecInteractionNotAllowed`: locked, and nobody is there to unlock it.
const LOCKED: [i32; 2] = [-25293, -25308];

pub(super) fn read(account: &str) -> Result<Option<Secret>, KeyringError> {
    match get_generic_password(SERVICE, account) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| KeyringError::NoText)?;
            Ok(Some(Secret::new(text)))
        }
        Err(error) if error.code() == NOT_FOUND => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

pub(super) fn store(account: &str, key: &Secret) -> Result<(), KeyringError> {
    set_generic_password(SERVICE, account, key.reveal().as_bytes()).map_err(refused)
}

pub(super) fn remove(account: &str) -> Result<bool, KeyringError> {
    match delete_generic_password(SERVICE, account) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == NOT_FOUND => Ok(false),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: Error) -> KeyringError {
    if LOCKED.contains(&error.code()) {
        KeyringError::Locked
    } else {
        KeyringError::Refused(error.into())
    }
}
