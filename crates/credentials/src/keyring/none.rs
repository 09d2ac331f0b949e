//! A system whose keyring polywire cannot use.

use crate::Secret;
use crate::keyring::KeyringError;

pub(super) fn read(_account: &str) -> Result<Option<Secret>, KeyringError> {
    Err(KeyringError::Absent)
}

pub(super) fn store(_account: &str, _key: &Secret) -> Result<(), KeyringError> {
    Err(KeyringError::Absent)
}

pub(super) fn remove(_account: &str) -> Result<bool, KeyringError> {
    Err(KeyringError::Absent)
}
