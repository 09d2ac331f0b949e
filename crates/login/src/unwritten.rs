//! Tokens that could not be written although those in the file are spent.

use polywire_credentials::Secret;

use crate::LoginError;
use crate::file::Stored;
use crate::shared::{Shared, locked};

/// Tokens that are in memory only.
#[derive(Debug)]
pub(crate) struct Unwritten {
    /// The fingerprint of the refresh token that they replace.
    replaces: String,
    stored: Stored,
}

impl Shared {
    /// What was read, or what replaces it and could not be written.
    pub(crate) fn newest(&self, read: Stored) -> Stored {
        let unwritten = locked(&self.unwritten);
        let refresh = read.tokens.refresh.as_ref().map(Secret::fingerprint);
        match unwritten.as_ref() {
            Some(newer) if Some(&newer.replaces) == refresh.as_ref() => newer.stored.clone(),
            Some(_) | None => read,
        }
    }

    /// Keeps tokens in memory that replace those with this refresh token.
    pub(crate) fn keep(&self, refresh: &Secret, stored: Stored) {
        let mut unwritten = locked(&self.unwritten);
        // What they replace may be in memory only itself; it is the file that they have to be known by.
        let in_file = unwritten
            .take()
            .filter(|older| older.stored.tokens.refresh.as_ref() == Some(refresh));
        *unwritten = Some(Unwritten {
            replaces: in_file.map_or_else(|| refresh.fingerprint(), |older| older.replaces),
            stored,
        });
    }

    /// Tries again to write what could not be written. Nothing is done when there is no such thing, or when somebody else has written
    /// the file since.
    pub(crate) async fn write_again(&self) -> Result<(), LoginError> {
        let path = self.places.file();
        if locked(&self.unwritten).is_none() {
            return Ok(());
        }
        let _locks = self.lock().await?;
        let _writing = self.lock_for_writing().await;
        let stored = self.read().await?;
        if self.is_unwritten(&stored) {
            let text = stored
                .document
                .render()
                .map_err(|error| LoginError::Unreadable {
                    path,
                    reason: error.to_string(),
                })?;
            let rewrite = self.begin().await?;
            self.commit(rewrite, text).await?;
        }
        *locked(&self.unwritten) = None;
        Ok(())
    }

    /// Whether these tokens are in memory only.
    pub(crate) fn is_unwritten(&self, stored: &Stored) -> bool {
        let unwritten = locked(&self.unwritten);
        let token = unwritten.as_ref().map(|it| &it.stored.tokens.access);
        token == Some(&stored.tokens.access)
    }
}
