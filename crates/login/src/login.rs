//! A login that many requests use at once.

use std::sync::Arc;

use jiff::Timestamp;
use polywire_credentials::Secret;
use polywire_upstream::Upstream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::file::Stored;
use crate::shared::{Flight, Shared, locked};
use crate::{Access, Limits, LoginError, LoginState, Places};

/// How often a request asks for a token in place of one that was refused. The second round is for the case that the renewal it had
/// joined was begun for another reason and left the refused token in place.
const ROUNDS_MAX: usize = 2;

/// A Codex login in a file. Cheap to clone: all clones share renewals and what is remembered of them.
#[derive(Clone, Debug)]
pub struct CodexLogin {
    shared: Arc<Shared>,
}

impl CodexLogin {
    /// The login of these places. Nothing is read yet.
    pub fn new(places: Places) -> Self {
        Self::with_limits(places, Limits::default())
    }

    /// The same with other limits.
    pub fn with_limits(places: Places, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared::new(places, limits)),
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
        match self.renewed(&stored, serves, upstream).await {
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
            let flight = self.join(Some(&refused.token), upstream);
            current = self.landing(flight).await?;
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
        let unwritten = self.shared.is_unwritten(&stored);
        Ok(stored.state(self.shared.places.file(), refused, unwritten))
    }

    /// Waits until no renewal is under way, and tries again to write what could not be written. To be called before the process ends: a
    /// renewal that is cut off, and tokens that are in memory only, cost the login.
    pub async fn settled(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.tasks.reopen();
        if let Err(error) = self.shared.write_again().await {
            tracing::error!(%error, "the renewed Codex login could not be written");
        }
    }

    /// What takes the place of a token that is due: its own self, when that still serves and the renewal takes long.
    async fn renewed(
        &self,
        due: &Stored,
        serves: bool,
        upstream: &Upstream,
    ) -> Result<Access, LoginError> {
        if let Some(objection) = self.shared.objection(due, serves) {
            return Err(objection);
        }
        let flight = self.join(None, upstream);
        if !serves {
            return self.landing(flight).await;
        }
        let patience_ends = flight.began + self.shared.limits.patience;
        timeout_at(patience_ends, self.landing(flight))
            .await
            .unwrap_or_else(|_| Ok(due.access.clone()))
    }

    /// The outcome of a renewal.
    async fn landing(&self, mut flight: Flight) -> Result<Access, LoginError> {
        let outcome = flight.outcome.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            Ok(None) | Err(_) => Err(LoginError::NotRenewed {
                path: self.shared.places.file(),
                reason: "the renewal was cut off".to_owned(),
            }),
        }
    }

    /// The renewal that is under way, else a new one.
    fn join(&self, refused: Option<&Secret>, upstream: &Upstream) -> Flight {
        let mut last = locked(&self.shared.flight);
        let flies = |flight: &&Flight| flight.outcome.has_changed().is_ok();
        if let Some(under_way) = last.as_ref().filter(flies) {
            return under_way.clone();
        }
        let (tell, outcome) = watch::channel(None);
        let (shared, upstream) = (Arc::clone(&self.shared), upstream.clone());
        let refused = refused.cloned();
        // A task of its own, which outlives the requests that wait for it: a client that hangs up must not cut off the answer that
        // holds the next refresh token.
        self.shared.tasks.spawn(async move {
            let renewed = shared.renew(refused.as_ref(), &upstream).await;
            tell.send_replace(Some(renewed));
        });
        let flight = Flight {
            began: Instant::now(),
            outcome,
        };
        *last = Some(flight.clone());
        flight
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
