//! Secrets under a passphrase.
//!
//! Argon2id makes a key from the passphrase, XChaCha20-Poly1305 seals with it. Both are `RustCrypto` crates, which rest on nothing but each
//! other; `age` would bring a format of its own, a translation system and an older generation of the same crates. What stands beside
//! the sealed part is bound to it, so that nobody can put another address next to a key that will go there.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use polywire_credentials::Secret;
use serde::{Deserialize, Serialize};

use crate::error::OpenError;

/// Memory for making a key, in KiB: what RFC 9106 recommends where memory is short.
const MEMORY_KIB: u32 = 64 * 1024;

/// Rounds, from the same recommendation.
const ROUNDS: u32 = 3;

/// The most that a bundle of others may ask of this machine.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const ROUNDS_MAX: u32 = 32;

const KDF: &str = "argon2id";
const CIPHER: &str = "xchacha20poly1305";

const KEY_BYTES: usize = 32;

/// Tells a wrong passphrase from a changed bundle. It stands in the file, and says no more of the passphrase than the sealed part does.
const CHECK_BYTES: usize = 16;

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

/// Random bytes for one sealing, never to be used for another.
pub struct Randomness(pub [u8; SALT_BYTES + NONCE_BYTES]);

/// A sealed part of a bundle, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    kdf: String,
    memory_kib: u32,
    rounds: u32,
    salt: String,
    check: String,
    cipher: String,
    nonce: String,
    data: String,
}

impl Sealed {
    /// Seals a text. `beside` is what must not change meanwhile.
    ///
    /// # Errors
    /// The text is larger than any cipher takes, or there is no memory to make a key with.
    pub(crate) fn seal(
        text: &str,
        beside: &str,
        passphrase: &Secret,
        randomness: &Randomness,
    ) -> Result<Self, OpenError> {
        let (salt, nonce) = randomness.0.split_at(SALT_BYTES);
        let made = make_key(passphrase, salt, MEMORY_KIB, ROUNDS)?;
        let (key, check) = made.split_at(KEY_BYTES);
        let data = cipher(key)?
            .encrypt(
                &nonce_of(nonce)?,
                Payload {
                    msg: text.as_bytes(),
                    aad: beside.as_bytes(),
                },
            )
            .map_err(|_| OpenError::Unreadable("it is too large"))?;
        Ok(Self {
            kdf: KDF.to_owned(),
            memory_kib: MEMORY_KIB,
            rounds: ROUNDS,
            salt: STANDARD.encode(salt),
            check: STANDARD.encode(check),
            cipher: CIPHER.to_owned(),
            nonce: STANDARD.encode(nonce),
            data: STANDARD.encode(data),
        })
    }

    /// The sealed text.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(crate) fn open(&self, beside: &str, passphrase: &Secret) -> Result<String, OpenError> {
        if self.kdf != KDF || self.cipher != CIPHER {
            return Err(OpenError::Unreadable("it is sealed in an unknown way"));
        }
        if self.memory_kib > MEMORY_KIB_MAX || self.rounds > ROUNDS_MAX {
            return Err(OpenError::Unreadable("it asks for too much work"));
        }
        let decoded = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| OpenError::Unreadable("it is not base64"))
        };
        let (salt, nonce) = (decoded(&self.salt)?, decoded(&self.nonce)?);
        let (expected, data) = (decoded(&self.check)?, decoded(&self.data)?);
        let made = make_key(passphrase, &salt, self.memory_kib, self.rounds)?;
        let (key, check) = made.split_at(KEY_BYTES);
        if expected != check {
            return Err(OpenError::Passphrase);
        }
        let opened = cipher(key)?
            .decrypt(
                &nonce_of(&nonce)?,
                Payload {
                    msg: &data,
                    aad: beside.as_bytes(),
                },
            )
            .map_err(|_| OpenError::Changed)?;
        String::from_utf8(opened).map_err(|_| OpenError::Changed)
    }
}

fn make_key(
    passphrase: &Secret,
    salt: &[u8],
    memory_kib: u32,
    rounds: u32,
) -> Result<[u8; KEY_BYTES + CHECK_BYTES], OpenError> {
    let mut made = [0; KEY_BYTES + CHECK_BYTES];
    let params = Params::new(memory_kib, rounds, 1, Some(made.len()))
        .map_err(|_| OpenError::Unreadable("its numbers make no sense"))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.reveal().as_bytes(), salt, &mut made)
        .map_err(|_| OpenError::Unreadable("no key can be made from its numbers"))?;
    Ok(made)
}

fn cipher(key: &[u8]) -> Result<XChaCha20Poly1305, OpenError> {
    XChaCha20Poly1305::new_from_slice(key)
        .map_err(|_| OpenError::Unreadable("its key has a wrong length"))
}

fn nonce_of(bytes: &[u8]) -> Result<XNonce, OpenError> {
    XNonce::try_from(bytes).map_err(|_| OpenError::Unreadable("its nonce has a wrong length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (Sealed, Secret) {
        let passphrase = Secret::new("correct horse");
        let sealed = Sealed::seal("text", "beside", &passphrase, &Randomness([7; 40])).unwrap();
        (sealed, passphrase)
    }

    #[test]
    fn what_is_sealed_opens_with_its_passphrase_only() {
        let (sealed, passphrase) = sealed();
        assert_eq!(sealed.open("beside", &passphrase), Ok("text".to_owned()));
        let other = Secret::new("correct house");
        assert_eq!(sealed.open("beside", &other), Err(OpenError::Passphrase));
        assert_eq!(sealed.open("beside!", &passphrase), Err(OpenError::Changed));
    }

    #[test]
    fn sealed_parts_that_were_tampered_with() {
        let (whole, passphrase) = sealed();
        let other = |change: fn(&mut Sealed)| {
            let mut changed = whole.clone();
            change(&mut changed);
            changed.open("beside", &passphrase).unwrap_err()
        };
        assert_eq!(
            other(|it| it.data = STANDARD.encode([0; 20])),
            OpenError::Changed
        );
        assert_eq!(
            other(|it| it.nonce = STANDARD.encode([0; 24])),
            OpenError::Changed
        );
        for error in [
            other(|it| it.nonce = STANDARD.encode([0; 12])),
            other(|it| it.data = "?".to_owned()),
            other(|it| it.kdf = "md5".to_owned()),
            other(|it| it.memory_kib = u32::MAX),
            other(|it| it.rounds = u32::MAX),
            other(|it| it.memory_kib = 0),
        ] {
            assert!(matches!(error, OpenError::Unreadable(_)), "{error:?}");
        }
        assert_eq!(
            other(|it| it.salt = STANDARD.encode([0; 16])),
            OpenError::Passphrase
        );
    }
}
