//! A login's beginning and end: stored when it was made, revoked and removed when it is given up.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use polywire_credentials::Secret;
use polywire_upstream::Upstream;
use serde::Serialize;

use crate::ask::{ask, json};
use crate::document::{Document, Mode};
use crate::exchange::{NewLogin, random};
use crate::places::CLIENT_ID;
use crate::rewrite::{self, Rewrite};
use crate::shared::on_a_thread;
use crate::{CodexLogin, LoginError, LoginState, Places, file, lock};

/// How long a revocation may take; as in Codex. The login is removed from this machine all the same.
const REVOKE_WAIT: Duration = Duration::from_secs(10);

/// What was done to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The new login.
    pub state: LoginState,
    /// What became of the login that it replaced.
    pub superseded: Revoked,
}

/// What was done to log out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The file that was removed; `None` when there was none.
    pub removed: Option<PathBuf>,
    /// What became of the login at the issuer.
    pub revoked: Revoked,
}

/// What became of a login at the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It was revoked: nobody can use the tokens any more.
    Yes,
    /// There was nothing to revoke: no login, or one by API key.
    Nothing,
    /// It could not be revoked, and why. Whoever has a copy of the tokens can use them until they end.
    No(String),
}

#[derive(Serialize)]
struct Revocation<'a> {
    token: &'a str,
    token_type_hint: &'static str,
    /// Codex names itself for refresh tokens only.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'static str>,
}

impl CodexLogin {
    /// Stores a new login as Codex does, mode 0600. What nobody here knows in an old file stays; its tokens are revoked, if the issuer
    /// can be reached.
    ///
    /// # Errors
    /// The file cannot be written, or another program holds its lock.
    pub async fn store(
        &self,
        login: NewLogin,
        upstream: &Upstream,
    ) -> Result<LoggedIn, LoginError> {
        let places = self.places();
        let path = places.file();
        make_folder(places)?;
        let target = rewrite::target(&path);
        let locks = lock::for_renewal(&path, &target, self.limits().lock_wait).await?;
        // A file that nobody can read any more is replaced.
        let mut document = file::document(&path).ok().flatten().unwrap_or_default();
        let superseded = document.clone();
        let unwritable = |error: serde_json::Error| LoginError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        };
        document
            .log_in(&login, &random()?, Timestamp::now())
            .map_err(unwritable)?;
        let text = document.render().map_err(unwritable)?;
        let _writing = lock::lock(&lock::for_writing(&target), self.limits().lock_wait).await?;
        let file = path.clone();
        on_a_thread(places, move || Rewrite::begin(&file)?.commit(&text)).await?;
        drop(locks);
        Ok(LoggedIn {
            state: self.state()?,
            superseded: revoke(&superseded, places, upstream).await,
        })
    }

    /// Revokes the login, if the issuer can be reached, and removes its file.
    ///
    /// # Errors
    /// The file cannot be removed, another program holds its lock, or Codex keeps the login in the system's keyring.
    pub async fn log_out(&self, upstream: &Upstream) -> Result<LoggedOut, LoginError> {
        let places = self.places();
        let path = places.file();
        if !path.is_symlink() && !path.exists() {
            let missing = file::missing(places);
            if matches!(missing, LoginError::InKeyring { .. }) {
                return Err(missing);
            }
            return Ok(LoggedOut {
                removed: None,
                revoked: Revoked::Nothing,
            });
        }
        let target = rewrite::target(&path);
        let _locks = lock::for_renewal(&path, &target, self.limits().lock_wait).await?;
        let document = file::document(&path).ok().flatten().unwrap_or_default();
        let revoked = revoke(&document, places, upstream).await;
        // The tokens are where the link leads, and a link to nothing is no login.
        remove(&target)?;
        remove(&path)?;
        Ok(LoggedOut {
            removed: Some(target),
            revoked,
        })
    }
}

async fn revoke(document: &Document, places: &Places, upstream: &Upstream) -> Revoked {
    let Some(tokens) = document
        .tokens()
        .filter(|_| document.mode() == Mode::ChatGpt)
    else {
        return Revoked::Nothing;
    };
    let refresh = tokens.refresh.as_ref().map(Secret::reveal);
    let revocation = match refresh {
        Some(token) => Revocation {
            token,
            token_type_hint: "refresh_token",
            client_id: Some(CLIENT_ID),
        },
        None => Revocation {
            token: tokens.access.reveal(),
            token_type_hint: "access_token",
            client_id: None,
        },
    };
    let asked = async {
        ask(
            upstream,
            json(&places.revoke_url, &revocation)?,
            REVOKE_WAIT,
        )
        .await
    };
    match asked.await {
        Ok(answer) if answer.status.is_success() => Revoked::Yes,
        Ok(answer) => Revoked::No(answer.failure()),
        Err(no_answer) => Revoked::No(no_answer.reason()),
    }
}

fn remove(path: &Path) -> Result<(), LoginError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LoginError::Write {
            path: path.to_owned(),
            source: Arc::new(error),
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes Codex's folder, closed to others, when Codex has not made it.
fn make_folder(places: &Places) -> Result<(), LoginError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&places.codex_home)
        .map_err(|source| LoginError::Write {
            path: places.codex_home.clone(),
            source: Arc::new(source),
        })
}
