//! Keys in the system's keyring: the Secret Service of a Linux desktop, the keychain of macOS.
//!
//! Whoever holds the keyring may ask a person to unlock it, or never answer at all, as a Secret Service without a desktop does. So it
//! is asked on a thread of its own and waited for no longer than [`KEYRING_TIME_MAX`].

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::Secret;

#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "secret_service.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
#[path = "none.rs"]
mod system;

/// How long the keyring may take. A person who is asked to unlock it needs some seconds; one who is slower finds it unlocked at the
/// next try.
pub const KEYRING_TIME_MAX: Duration = Duration::from_secs(15);

/// The service under which every key of ours is filed, beside the account.
const SERVICE: &str = "polywire";

/// Whether there is a keyring to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// The system's. On Linux the session bus is known on which it is found, if it runs.
    System,
    /// None that could be asked. Nothing is tried: looking for a bus could start one.
    Absent,
}

/// One key in the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringEntry {
    keyring: Keyring,
    account: String,
}

/// The keyring could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is none.
    #[error("there is no keyring here")]
    Absent,
    /// It is locked, and nobody unlocked it.
    #[error("the keyring is locked, and was not unlocked")]
    Locked,
    /// It holds something under our name that is not a key.
    #[error("what the keyring holds is not a text")]
    NoText,
    /// It refused.
    #[error("the keyring could not be used")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// It took too long.
    #[error("the keyring did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// How long it was waited for.
        limit: Duration,
    },
}

/// The name under which people find the key in the keyring: `provider.zai`.
impl fmt::Display for KeyringEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account)
    }
}

impl KeyringEntry {
    /// The usual place of a provider's key. Two settings files that name a provider alike share it, unless one of them names another
    /// place.
    pub fn of_provider(keyring: Keyring, id: &str) -> Self {
        Self::named(keyring, format!("provider.{id}"))
    }

    /// The key of this name.
    pub fn named(keyring: Keyring, name: impl Into<String>) -> Self {
        Self {
            keyring,
            account: name.into(),
        }
    }

    /// The key of the search service.
    pub fn of_search(keyring: Keyring) -> Self {
        Self {
            keyring,
            account: "search".to_owned(),
        }
    }

    /// Gets the key; `None` when the keyring has none under this name. Dropping the future leaves the keyring to finish by itself.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn read(&self) -> Result<Option<Secret>, KeyringError> {
        self.ask(|account| system::read(&account)).await
    }

    /// Puts the key there, in place of one of the same name. Dropping the future leaves the keyring to finish by itself.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn store(&self, key: &Secret) -> Result<(), KeyringError> {
        let key = key.clone();
        self.ask(move |account| system::store(&account, &key)).await
    }

    /// Takes the key away, and tells whether there was one. Dropping the future leaves the keyring to finish by itself.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn remove(&self) -> Result<bool, KeyringError> {
        self.ask(|account| system::remove(&account)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(String) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        match self.keyring {
            Keyring::Absent => Err(KeyringError::Absent),
            Keyring::System => {
                let account = self.account.clone();
                within(KEYRING_TIME_MAX, move || question(account)).await
            }
        }
    }
}

/// Runs it on a thread of its own. Not on one of the runtime's, because the runtime waits for those when it ends, and this one may
/// never end.
async fn within<T: Send + 'static>(
    limit: Duration,
    question: impl FnOnce() -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (told, outcome) = oneshot::channel();
    let thread = std::thread::Builder::new().name("keyring".to_owned());
    thread
        .spawn(move || {
            // Whoever waited may have gone.
            drop(told.send(question()));
        })
        .map_err(|error| KeyringError::Refused(error.into()))?;
    match tokio::time::timeout(limit, outcome).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(gone)) => Err(KeyringError::Refused(gone.into())),
        Err(_) => Err(KeyringError::TimedOut { limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_keyring_nothing_is_tried() {
        let entry = KeyringEntry::of_provider(Keyring::Absent, "zai");
        assert!(matches!(entry.read().await, Err(KeyringError::Absent)));
        assert!(matches!(entry.remove().await, Err(KeyringError::Absent)));
        let stored = entry.store(&Secret::new("sk-1")).await;
        assert!(matches!(stored, Err(KeyringError::Absent)));
        assert_eq!(entry.to_string(), "provider.zai");
    }

    /// The thread would wait for ever; the test ends because the limit does.
    #[tokio::test]
    async fn a_keyring_that_never_answers_is_left() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let waiting = within(Duration::from_millis(20), move || {
            held.recv().ok();
            Ok(())
        });
        let error = waiting.await.unwrap_err();
        assert!(matches!(error, KeyringError::TimedOut { .. }), "{error}");
        drop(hold);
    }

    #[tokio::test]
    async fn a_question_that_breaks_is_an_error() {
        let asked = within(Duration::from_secs(20), || -> Result<(), KeyringError> {
            panic!("as a library might")
        });
        assert!(matches!(asked.await, Err(KeyringError::Refused(_))));
    }
}
