//! The lists of models that providers give out to those who are logged in.
//!
//! Fetched when somebody needs them, in the background: no turn waits for one but the first that names a model which nobody knows.
//! An old list serves until the new one is there, and whatever goes wrong leaves the one before, or the configured one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use polywire_catalog::{Model, ModelList, Provider};
use tokio::sync::watch;

use crate::endpoint::Endpoint;
use crate::limits::{LIST_AGE_MAX, LIST_PAUSE, LIST_TIMEOUT, LIST_WAIT};
use crate::listing::{ListError, Listing, fetch_models};
use crate::state::{Gateway, Live};

/// What providers have told of their models.
pub(crate) struct ModelLists {
    known: Mutex<BTreeMap<String, Known>>,
    /// Changes when a try has ended, whichever and however.
    ended: watch::Sender<()>,
}

/// What is known of one provider's list.
struct Known {
    base_url: String,
    /// Whose list it is, as a fingerprint; `None` as long as nobody has asked.
    account: Option<String>,
    models: Option<Vec<Arc<Model>>>,
    came_at: Option<Instant>,
    tried_at: Option<Instant>,
    is_under_way: bool,
}

impl Default for ModelLists {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            ended: watch::Sender::new(()),
        }
    }
}

impl Known {
    fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            account: None,
            models: None,
            came_at: None,
            tried_at: None,
            is_under_way: false,
        }
    }

    fn is_due(&self) -> bool {
        let older =
            |moment: Option<Instant>, age| moment.is_none_or(|moment| moment.elapsed() >= age);
        !self.is_under_way && older(self.came_at, LIST_AGE_MAX) && older(self.tried_at, LIST_PAUSE)
    }
}

impl ModelLists {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider with the models that it has told of; nothing when it has not.
    pub(crate) fn applied_to(&self, provider: &Provider) -> Option<Provider> {
        provider.model_list?;
        let known = self.known();
        let known = known.get(&provider.id)?;
        let models = known.models.as_ref()?;
        if known.base_url != provider.base_url || models.is_empty() {
            return None;
        }
        let is_listed = |id: &String| models.iter().any(|model| model.id == *id);
        Some(Provider {
            models: models.clone(),
            default_model: provider.default_model.clone().filter(is_listed),
            ..provider.clone()
        })
    }

    /// Whether a try is to be made now; it then counts as begun. An account other than the one before makes what is known void.
    fn begin(&self, endpoint: &Endpoint, account: Option<&str>) -> Begun {
        let provider = endpoint.provider();
        let mut all = self.known();
        let known = all
            .entry(provider.id.clone())
            .or_insert_with(|| Known::new(&provider.base_url));
        let mut is_void = known.base_url != provider.base_url;
        if let (Some(before), Some(now)) = (&known.account, account) {
            is_void |= before != now;
        }
        if is_void && !known.is_under_way {
            *known = Known::new(&provider.base_url);
        }
        let is_due = known.is_due();
        if is_due {
            known.is_under_way = true;
            known.tried_at = Some(Instant::now());
        }
        Begun { is_due, is_void }
    }

    fn end(&self, provider: &Provider, outcome: Result<Listing, ListError>) {
        let mut all = self.known();
        if let Some(known) = all.get_mut(&provider.id) {
            known.is_under_way = false;
            match outcome {
                Ok(Listing {
                    models, account, ..
                }) => {
                    tracing::debug!(
                        provider = provider.id,
                        models = models.len(),
                        "the list of models came"
                    );
                    known.account = Some(account);
                    known.models = Some(models.into_iter().map(Arc::new).collect());
                    known.came_at = Some(Instant::now());
                }
                Err(error) => {
                    tracing::info!(
                        provider = provider.id,
                        "the list of models did not come; the one before stays: {error}"
                    );
                }
            }
        }
        drop(all);
        self.ended.send_replace(());
    }

    /// Whether somebody's first list has not come yet, though it is under way.
    fn awaits_first(&self) -> bool {
        let known = self.known();
        known
            .values()
            .any(|known| known.is_under_way && known.came_at.is_none())
    }
}

struct Begun {
    is_due: bool,
    is_void: bool,
}

impl Gateway {
    /// Has the list of a provider fetched, if it gives one out and it is time. `account` is who uses the provider now, where that is
    /// known.
    pub(crate) fn look_after_list(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        account: Option<&str>,
    ) {
        match endpoint.provider().model_list {
            Some(ModelList::Codex) => {}
            None => return,
        }
        let begun = self.model_lists.begin(endpoint, account);
        if begun.is_void {
            self.install_lists();
        }
        if !begun.is_due {
            return;
        }
        let (gateway, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
        self.tasks.spawn(async move {
            let upstream = gateway.upstream();
            let outcome = fetch_models(&endpoint, &upstream, LIST_TIMEOUT, |_| {}).await;
            gateway.model_lists.end(endpoint.provider(), outcome);
            gateway.install_lists();
        });
    }

    /// The configuration in force with every list of models that can be had within the time that somebody waits for one.
    pub async fn live_with_lists(self: &Arc<Self>) -> Arc<Live> {
        let live = self.live();
        let mut ended = self.model_lists.ended.subscribe();
        for endpoint in live.endpoints() {
            self.look_after_list(endpoint, None);
        }
        let all_there = async {
            while self.model_lists.awaits_first() {
                if ended.changed().await.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(LIST_WAIT, all_there).await.is_err() {
            tracing::debug!("a list of models takes long; those that are known serve meanwhile");
        }
        // The task that ended a list installs it right after.
        self.install_lists();
        self.live()
    }
}
