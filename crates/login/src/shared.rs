//! Renewing a login: under the lock, once, and written down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use polywire_credentials::Secret;
use polywire_upstream::Upstream;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::document::NewTokens;
use crate::file::{self, Stored};
use crate::memory::Memory;
use crate::renewal::{self, NotRenewed, Reason};
use crate::rewrite::{self, Rewrite};
use crate::unwritten::Unwritten;
use crate::{Access, Limits, LoginError, Places, lock};

/// How often a file that cannot be understood is read again, and after how long: it may be half written.
const READ_AGAIN: (usize, Duration) = (4, Duration::from_millis(20));

/// How often to look whether another program has written the login.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What all clones of a login have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) places: Places,
    pub(crate) limits: Limits,
    pub(crate) memory: Mutex<Memory>,
    /// The renewal that is under way, or the last one.
    pub(crate) flight: Mutex<Option<Flight>>,
    /// Tokens that could not be written although the old ones are spent.
    pub(crate) unwritten: Mutex<Option<Unwritten>>,
    pub(crate) tasks: TaskTracker,
}

/// A renewal that several requests wait for.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) began: tokio::time::Instant,
    /// Closed when it is over.
    pub(crate) outcome: watch::Receiver<Option<Result<Access, LoginError>>>,
}

impl Shared {
    pub(crate) fn new(places: Places, limits: Limits) -> Self {
        Self {
            places,
            limits,
            memory: Mutex::default(),
            flight: Mutex::default(),
            unwritten: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// The login as it is now.
    pub(crate) async fn read(&self) -> Result<Stored, LoginError> {
        for _ in 0..READ_AGAIN.0 {
            match self.read_now() {
                Err(LoginError::Unreadable { .. }) => tokio::time::sleep(READ_AGAIN.1).await,
                settled => return settled,
            }
        }
        self.read_now()
    }

    pub(crate) fn read_now(&self) -> Result<Stored, LoginError> {
        let stored = file::read(&self.places)?;
        Ok(self.newest(stored))
    }

    /// Why the issuer should not be asked now.
    pub(crate) fn objection(&self, stored: &Stored, serves: bool) -> Option<LoginError> {
        let refresh = stored.tokens.refresh.as_ref()?;
        let memory = locked(&self.memory);
        memory.objection(refresh, serves, Instant::now()).cloned()
    }

    /// Renews the login if, once we hold the lock, that is still to be done.
    pub(crate) async fn renew(
        &self,
        refused: Option<&Secret>,
        upstream: &Upstream,
    ) -> Result<Access, LoginError> {
        let locks = self.lock().await?;
        let stored = self.read().await?;
        let now = Timestamp::now();
        let reason = match refused {
            Some(refused) if stored.tokens.access == *refused => Reason::UnauthorizedRecovery,
            None if stored.is_due(now) => Reason::ProactiveExpiry,
            // Somebody else did it while we waited.
            Some(_) | None => return Ok(stored.access),
        };
        let serves = refused.is_none() && stored.still_serves(now);
        if let Some(objection) = self.objection(&stored, serves) {
            return Err(objection);
        }
        let used = stored.tokens.refresh.clone();
        let renewed = self.ask_and_write(stored, reason, upstream).await;
        drop(locks);
        match (renewed, used) {
            (Err(LoginError::Refused { code, .. }), Some(used)) => {
                self.after_refusal(code, &used).await
            }
            (renewed, _) => renewed,
        }
    }

    pub(crate) async fn lock(&self) -> Result<Vec<lock::Lock>, LoginError> {
        let path = self.places.file();
        let target = rewrite::target(&path);
        let locks = lock::for_renewal(&path, &target, self.limits.lock_wait).await;
        if let Err(error) = &locks {
            tracing::warn!(%error, "the Codex login was not renewed");
            // A program that does not let go of the lock shall not hold up every request anew.
            if let Some(refresh) = self.read().await?.tokens.refresh {
                let mut memory = locked(&self.memory);
                memory.failed(&refresh, error.clone(), self.limits.pause);
            }
        }
        locks
    }

    /// What came of a refresh token that the issuer refused: perhaps another program used it. Codex asks before it takes the lock, and
    /// needs the lock to write, so that this is called without it.
    async fn after_refusal(&self, code: String, used: &Secret) -> Result<Access, LoginError> {
        let may_be_spent = code == "refresh_token_reused" || code == "invalid_grant";
        let wait = if may_be_spent {
            self.limits.other_writer
        } else {
            Duration::ZERO
        };
        let end = Instant::now() + wait;
        loop {
            let stored = self.read().await?;
            if stored.tokens.refresh.as_ref() != Some(used) {
                return Ok(stored.access);
            }
            if Instant::now() >= end {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let path = self.places.file();
        let error = LoginError::Refused { path, code };
        locked(&self.memory).refused(used, error.clone());
        Err(error)
    }

    /// Asks the issuer and writes down what it says. The caller holds the lock.
    async fn ask_and_write(
        &self,
        stored: Stored,
        reason: Reason,
        upstream: &Upstream,
    ) -> Result<Access, LoginError> {
        let path = self.places.file();
        let Some(refresh) = stored.tokens.refresh.clone() else {
            return Err(LoginError::NoRefreshToken { path });
        };
        let rewrite = self.begin().await?;
        let asked = renewal::renew(
            upstream,
            &self.places.token_url,
            &refresh,
            reason,
            &self.limits,
        );
        match asked.await {
            Ok(new) => self.take_in(stored, &refresh, &new, rewrite).await,
            Err(not_renewed) => {
                let error = self.remember(&refresh, not_renewed);
                tracing::warn!(path = %path.display(), %error, "the Codex login was not renewed");
                Err(error)
            }
        }
    }

    fn remember(&self, refresh: &Secret, not_renewed: NotRenewed) -> LoginError {
        let path = self.places.file();
        let mut memory = locked(&self.memory);
        match not_renewed {
            // Remembered when it is sure that nobody else got the next token.
            NotRenewed::ForGood(code) => LoginError::Refused { path, code },
            NotRenewed::ForNow(reason) => {
                let error = LoginError::NotRenewed { path, reason };
                memory.failed(refresh, error.clone(), self.limits.pause);
                error
            }
            NotRenewed::Lost(reason) => {
                let error = LoginError::AnswerLost { path, reason };
                memory.lost(refresh, error.clone(), self.limits.pause_after_loss);
                error
            }
        }
    }

    /// Writes the new tokens down. They are used even when that fails: the old ones are spent.
    async fn take_in(
        &self,
        mut stored: Stored,
        refresh: &Secret,
        new: &NewTokens,
        rewrite: Rewrite,
    ) -> Result<Access, LoginError> {
        let path = self.places.file();
        let mut document = std::mem::take(&mut stored.document);
        let unreadable = |error: serde_json::Error| LoginError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        };
        document.renew(new, Timestamp::now()).map_err(unreadable)?;
        let text = document.render().map_err(unreadable)?;
        let renewed = Stored::new(document, &path)?;
        let access = renewed.access.clone();
        locked(&self.memory).clear();
        let _writing = self.lock_for_writing().await;
        if !self.still_holds(refresh).await {
            tracing::info!(path = %path.display(), "the Codex login was replaced while it was renewed; what is there now stays");
            return Ok(self.read().await?.access);
        }
        match self.commit(rewrite, text).await {
            Ok(()) => {
                *locked(&self.unwritten) = None;
                tracing::info!(path = %path.display(), "the Codex login was renewed");
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the renewed Codex login could not be written; it is kept in memory");
                self.keep(refresh, renewed);
            }
        }
        Ok(access)
    }

    pub(crate) async fn begin(&self) -> Result<Rewrite, LoginError> {
        let path = self.places.file();
        on_a_thread(&self.places, move || Rewrite::begin(&path)).await
    }

    /// Codex's lock for writing. When another program does not let go of it the file is written all the same: it changes from old to
    /// new at once, and the tokens must not stay unwritten.
    pub(crate) async fn lock_for_writing(&self) -> Option<lock::Lock> {
        let lock = lock::for_writing(&rewrite::target(&self.places.file()));
        let held = lock::lock(&lock, self.limits.lock_wait).await;
        if let Err(error) = &held {
            tracing::warn!(%error, "writing without the lock");
        }
        held.ok()
    }

    /// Whether the file holds the login that was renewed. Nothing keeps a person from logging in with another account, or out, while
    /// the issuer is asked: what they did stays.
    async fn still_holds(&self, refresh: &Secret) -> bool {
        match self.read().await {
            Ok(stored) => stored.tokens.refresh.as_ref() == Some(refresh),
            // Whose it is cannot be told, and the tokens must not be lost.
            Err(LoginError::Read { .. } | LoginError::Unreadable { .. }) => true,
            Err(_) => false,
        }
    }

    /// Writes the new contents. The caller holds the lock for writing.
    pub(crate) async fn commit(&self, rewrite: Rewrite, text: String) -> Result<(), LoginError> {
        on_a_thread(&self.places, move || rewrite.commit(&text)).await
    }
}

/// Does what may wait for the disk on a thread that may.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    places: &Places,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, LoginError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|failure| Err(std::io::Error::other(failure)))
        .map_err(|source| LoginError::Write {
            path: places.file(),
            source: Arc::new(source),
        })
}

/// The value, whoever panicked while holding it: each of ours is replaced as a whole.
pub(crate) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
