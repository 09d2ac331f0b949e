//! The logins that outlive a configuration.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use polywire_login::CodexLogin;

/// The logins by which providers are reached, by provider id.
pub type Logins = BTreeMap<String, CodexLogin>;

/// Every login that was ever in use. A changed configuration goes on with the same ones: what is known of them, and renewals that are
/// under way, must not be lost.
#[derive(Default)]
pub(crate) struct KnownLogins(Mutex<Vec<CodexLogin>>);

impl KnownLogins {
    fn all(&self) -> Vec<CodexLogin> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The login that is in use for these places, which is `login` itself when there is none. Logins in one folder are one.
    pub(crate) fn in_use(&self, login: CodexLogin) -> CodexLogin {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(in_use) = known.iter().find(|one| one.places() == login.places()) {
            return in_use.clone();
        }
        known.push(login.clone());
        login
    }

    /// Waits until no renewal is under way: one that is cut off may cost the login.
    pub(crate) async fn settled(&self) {
        for login in self.all() {
            login.settled().await;
        }
    }
}
