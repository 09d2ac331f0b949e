//! A login that many requests use at once.

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
use crate::{Access, Limits, LoginError, LoginState, Places, lock};

/// How often a request asks for a token in place of one that was refused. The second round is for the case that the renewal it had
/// joined was begun for another reason and left the refused token in place.
const ROUNDS_MAX: usize = 2;

/// How often a file that cannot be understood is read again, and after how long: it may be half written.
const READ_AGAIN: (usize, Duration) = (4, Duration::from_millis(20));

/// A Codex login in a file. Cheap to clone: all clones share renewals and what is remembered of them.
#[derive(Clone, Debug)]
pub struct CodexLogin {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    places: Places,
    limits: Limits,
    memory: Mutex<Memory>,
    /// The renewal that is under way, or the last one.
    flight: Mutex<Option<Flight>>,
    /// Tokens that could not be written although the old ones are spent.
    unwritten: Mutex<Option<Unwritten>>,
    tasks: TaskTracker,
}

/// A renewal that several requests wait for. Closed when it is over.
type Flight = watch::Receiver<Option<Result<Access, LoginError>>>;

#[derive(Debug)]
struct Unwritten {
    /// The fingerprint of the refresh token that they replace.
    replaces: String,
    stored: Stored,
}

impl CodexLogin {
    /// The login of these places. Nothing is read yet.
    pub fn new(places: Places) -> Self {
        Self::with_limits(places, Limits::default())
    }

    /// The same with other limits.
    pub fn with_limits(places: Places, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                places,
                limits,
                memory: Mutex::default(),
                flight: Mutex::default(),
                unwritten: Mutex::default(),
                tasks: TaskTracker::new(),
            }),
        }
    }

    /// Where the login is kept, and who renews it.
    pub fn places(&self) -> &Places {
        &self.shared.places
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// A bearer token that is good for at least five minutes, renewed when it must be. Many callers share one renewal.
    ///
    /// When the renewal fails, or takes longer than [`Limits::patience`], and the old token still serves, the old token is given.
    /// Dropping the future stops the waiting and not the renewal: its answer must not be lost.
    ///
    /// # Errors
    /// See [`LoginError`]; [`LoginError::is_for_good`] tells whether only a new login helps.
    pub async fn access(&self, upstream: &Upstream) -> Result<Access, LoginError> {
        let stored = self.shared.read().await?;
        let now = Timestamp::now();
        if !stored.is_due(now) {
            return Ok(stored.access);
        }
        let serves = stored.still_serves(now);
        let renewed = match self.shared.objection(&stored, serves) {
            Some(objection) => Err(objection),
            None if serves => {
                let patience = self.shared.limits.patience;
                match tokio::time::timeout(patience, self.renewed(None, upstream)).await {
                    Ok(renewed) => renewed,
                    Err(_) => return Ok(stored.access),
                }
            }
            None => self.renewed(None, upstream).await,
        };
        match renewed {
            Err(error) if serves && is_of_renewal(&error) => Ok(stored.access),
            renewed => renewed,
        }
    }

    /// A token in place of one that the back end refused with 401. The file is read again, and only if it still holds the refused
    /// token is it renewed, once. A second refusal is final: do not call this again for it.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn after_unauthorized(
        &self,
        refused: &Access,
        upstream: &Upstream,
    ) -> Result<Access, LoginError> {
        let mut current = self.shared.read().await?.access;
        for _ in 0..ROUNDS_MAX {
            if current.token != refused.token {
                break;
            }
            current = self.renewed(Some(&refused.token), upstream).await?;
        }
        Ok(current)
    }

    /// What the file says, without any renewal or network: for `whoami` and `/ready`.
    ///
    /// # Errors
    /// There is no login by ChatGPT that can be read. [`LoginError::Unreadable`] may be a file that is just being written.
    pub fn state(&self) -> Result<LoginState, LoginError> {
        let stored = self.shared.read_now()?;
        let refresh = stored.tokens.refresh.as_ref();
        let refused = refresh.and_then(|refresh| locked(&self.shared.memory).refusal(refresh));
        Ok(stored.state(self.shared.places.file(), refused))
    }

    /// Waits until no renewal is under way. To be called before the process ends: a renewal that is cut off may cost the login.
    pub async fn settled(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.tasks.reopen();
    }

    /// The outcome of the renewal that is under way, else of a new one.
    async fn renewed(
        &self,
        refused: Option<&Secret>,
        upstream: &Upstream,
    ) -> Result<Access, LoginError> {
        let mut flight = self.join(refused, upstream);
        let outcome = flight.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            Ok(None) | Err(_) => Err(LoginError::NotRenewed {
                path: self.shared.places.file(),
                reason: "the renewal was cut off".to_owned(),
            }),
        }
    }

    fn join(&self, refused: Option<&Secret>, upstream: &Upstream) -> Flight {
        let mut flight = locked(&self.shared.flight);
        if let Some(under_way) = flight.as_ref().filter(|it| it.has_changed().is_ok()) {
            return under_way.clone();
        }
        let (tell, told) = watch::channel(None);
        let (shared, upstream) = (Arc::clone(&self.shared), upstream.clone());
        let refused = refused.cloned();
        // A task of its own, which outlives the requests that wait for it: a client that hangs up must not cut off the answer that
        // holds the next refresh token.
        self.shared.tasks.spawn(async move {
            let outcome = shared.renew(refused.as_ref(), &upstream).await;
            tell.send_replace(Some(outcome));
        });
        *flight = Some(told.clone());
        told
    }
}

/// Whether an error is about the renewal, so that a token which still serves can be used all the same. The others mean that there is no
/// login any more.
fn is_of_renewal(error: &LoginError) -> bool {
    match error {
        LoginError::NoRefreshToken { .. }
        | LoginError::Refused { .. }
        | LoginError::NotRenewed { .. }
        | LoginError::AnswerLost { .. }
        | LoginError::Locked { .. }
        | LoginError::Write { .. } => true,
        LoginError::NoLogin { .. }
        | LoginError::InKeyring { .. }
        | LoginError::Read { .. }
        | LoginError::Unreadable { .. }
        | LoginError::ApiKey { .. }
        | LoginError::OtherKind { .. }
        | LoginError::NoTokens { .. }
        | LoginError::NotFinished { .. }
        | LoginError::NoPort { .. }
        | LoginError::Asked { .. } => false,
    }
}

impl Shared {
    /// The login as it is now.
    async fn read(&self) -> Result<Stored, LoginError> {
        for _ in 0..READ_AGAIN.0 {
            match self.read_now() {
                Err(LoginError::Unreadable { .. }) => tokio::time::sleep(READ_AGAIN.1).await,
                settled => return settled,
            }
        }
        self.read_now()
    }

    fn read_now(&self) -> Result<Stored, LoginError> {
        let stored = file::read(&self.places)?;
        let unwritten = locked(&self.unwritten);
        let refresh = stored.tokens.refresh.as_ref().map(Secret::fingerprint);
        match unwritten.as_ref() {
            Some(newer) if Some(&newer.replaces) == refresh.as_ref() => Ok(newer.stored.clone()),
            Some(_) | None => Ok(stored),
        }
    }

    /// Why the issuer should not be asked now.
    fn objection(&self, stored: &Stored, serves: bool) -> Option<LoginError> {
        let refresh = stored.tokens.refresh.as_ref()?;
        let memory = locked(&self.memory);
        memory.objection(refresh, serves, Instant::now()).cloned()
    }

    /// Renews the login if, once we hold the lock, that is still to be done.
    async fn renew(
        &self,
        refused: Option<&Secret>,
        upstream: &Upstream,
    ) -> Result<Access, LoginError> {
        let path = self.places.file();
        let _locks =
            lock::for_renewal(&path, &rewrite::target(&path), self.limits.lock_wait).await?;
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
        self.ask_and_write(stored, reason, upstream).await
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
            NotRenewed::ForGood(code) => {
                let error = LoginError::Refused { path, code };
                memory.refused(refresh, error.clone());
                error
            }
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
        match self.commit(rewrite, text).await {
            Ok(()) => {
                *locked(&self.unwritten) = None;
                tracing::info!(path = %path.display(), "the Codex login was renewed");
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the renewed Codex login could not be written; it is kept in memory until polywire ends");
                *locked(&self.unwritten) = Some(Unwritten {
                    replaces: refresh.fingerprint(),
                    stored: renewed,
                });
            }
        }
        Ok(access)
    }

    async fn begin(&self) -> Result<Rewrite, LoginError> {
        let path = self.places.file();
        on_a_thread(&self.places, move || Rewrite::begin(&path)).await
    }

    /// Writes under Codex's lock for writing. When another program does not let go of it the file is written all the same: it changes
    /// from old to new at once, and the tokens must not stay unwritten.
    async fn commit(&self, rewrite: Rewrite, text: String) -> Result<(), LoginError> {
        let lock = lock::for_writing(&rewrite::target(&self.places.file()));
        let held = lock::lock(&lock, self.limits.lock_wait).await;
        if let Err(error) = &held {
            tracing::warn!(%error, "writing without the lock");
        }
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
fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
