//! What the gateway holds between turns: connections, the configuration in force, the tasks it has started.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use polywire_catalog::{Catalog, Resolved};
use polywire_conversation::Fault;
use polywire_credentials::{KeySource, Proxy, Secret};
use polywire_engine::Engine;
use polywire_plan::{RetryLimits, Target};
use polywire_store::ReceiptSink;
use polywire_upstream::{Incoming, Upstream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::answer::Drain;
use crate::endpoint::{ConfigurationError, Connection, Endpoint, read_to_end};
use crate::engine::{self, Engines};
use crate::limits::{ENGINES_CLOSE_TIMEOUT, TURNS_MAX};
use crate::logins::{KnownLogins, Logins};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::model_lists::ModelLists;
use crate::readiness::LocalStates;
use crate::search::SearchService;
use crate::stored::ResponseStore;

/// A provider, and where its key comes from.
pub type Keys = BTreeMap<String, KeySource>;

/// How providers are reached whose settings say so, by provider id.
pub type Proxies = std::collections::BTreeMap<String, Proxy>;

/// Looks up an environment variable; the environment itself belongs to `settings`.
pub type Variables = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// What the gateway needs to know to serve turns.
#[derive(Clone)]
pub struct Configuration {
    /// Providers, models, aliases, routes.
    pub catalog: Catalog,
    /// The key sources, by provider id.
    pub keys: Keys,
    /// The programs on this machine that are providers, by provider id.
    pub engines: Engines,
    /// How providers are reached; those that are not named as the environment says.
    pub proxies: Proxies,
    /// Who tells what a provider has on this machine. Providers that need nothing there are not named.
    pub local: LocalStates,
    /// The logins, by provider id.
    pub logins: Logins,
    /// Where key sources of the kind "variable" look.
    pub variables: Variables,
    /// Turns with a severe loss are refused.
    pub strict: bool,
    /// Who searches the web for models whose provider cannot.
    pub search: Option<SearchService>,
    /// How long a turn waits for a provider that fails, before its first byte.
    pub patience: RetryLimits,
}

/// Tells when the configuration has changed. Asked at the beginning of every turn, so it must be quick.
pub trait ConfigurationSource: Send + Sync {
    /// The new configuration, if there is one since the last call. A new one that cannot be read is an error text; the
    /// old one then stays in force.
    fn changed(&self) -> Option<Result<Configuration, String>>;
}

/// A configuration that never changes.
pub struct Fixed;

impl ConfigurationSource for Fixed {
    fn changed(&self) -> Option<Result<Configuration, String>> {
        None
    }
}

/// What the gateway keeps beyond its own life. Nothing is kept where there is no place for it.
#[derive(Clone, Default)]
pub struct Stores {
    /// Where responses go that clients want stored.
    pub responses: Option<ResponseStore>,
    /// Where the receipts of turns go.
    pub receipts: Option<Arc<dyn ReceiptSink>>,
}

/// The gateway: everything that outlives a turn.
pub struct Gateway {
    live: RwLock<Arc<Live>>,
    source: Box<dyn ConfigurationSource>,
    upstream: Arc<Upstream>,
    stores: Stores,
    /// What led to calls, for clients that do not send it back.
    pub(crate) memory: Memory,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The lists of models that providers have given out.
    pub(crate) model_lists: ModelLists,
    /// One permit per turn at work.
    pub turns: Arc<Semaphore>,
    /// Owns every task that is started for a turn; shutdown waits for it.
    pub tasks: TaskTracker,
    /// The turns at work are being cut off.
    pub(crate) is_cut: Arc<AtomicBool>,
    /// What the configurations that come and go have in common.
    lasting: Lasting,
}

/// What the endpoints of one configuration leave to those of the next.
#[derive(Default)]
struct Lasting {
    /// Owns the tasks of the engines, which end when the engines are closed.
    engine_tasks: TaskTracker,
    logins: KnownLogins,
}

/// A configuration in force, prepared for use.
pub struct Live {
    /// As it was configured.
    configured: Catalog,
    /// The same with the models that providers have told of.
    catalog: Catalog,
    endpoints: Vec<Arc<Endpoint>>,
    variables: Variables,
    strict: bool,
    search: Option<SearchService>,
    patience: RetryLimits,
}

impl Gateway {
    /// A gateway with a configuration, and where a newer one comes from.
    ///
    /// # Errors
    /// [`ConfigurationError`] names the provider and the setting that cannot be used.
    pub fn new(
        configuration: Configuration,
        source: Box<dyn ConfigurationSource>,
        stores: Stores,
    ) -> Result<Arc<Self>, ConfigurationError> {
        let lasting = Lasting::default();
        Ok(Arc::new(Self {
            live: RwLock::new(Arc::new(Live::new(configuration, None, &lasting)?)),
            source,
            upstream: Arc::new(Upstream::new()),
            stores,
            memory: Memory::default(),
            metrics: Arc::default(),
            model_lists: ModelLists::default(),
            turns: Arc::new(Semaphore::new(TURNS_MAX)),
            tasks: TaskTracker::new(),
            is_cut: Arc::default(),
            lasting,
        }))
    }

    /// Ends the engines and waits until their processes are gone and no login is being renewed. To be called when the turns have
    /// ended.
    pub async fn close(&self) {
        let live = Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner));
        let engines = live
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.engine());
        engines.for_each(|engine| engine.close());
        self.lasting.engine_tasks.close();
        let ended = self.lasting.engine_tasks.wait();
        if tokio::time::timeout(ENGINES_CLOSE_TIMEOUT, ended)
            .await
            .is_err()
        {
            tracing::warn!("some engine processes have not ended in time");
        }
        self.lasting.logins.settled().await;
    }

    /// Where receipts go, if they are kept.
    pub(crate) fn receipts(&self) -> Option<Arc<dyn ReceiptSink>> {
        self.stores.receipts.clone()
    }

    /// Where responses are kept, if they are.
    pub fn responses(&self) -> Option<&ResponseStore> {
        self.stores.responses.as_ref()
    }

    /// The configuration in force, after a look whether a newer one is there. A newer one that is broken is logged and left
    /// alone: turns go on with the old one.
    pub fn live(&self) -> Arc<Live> {
        if let Some(changed) = self.source.changed() {
            let before = Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner));
            let prepared = changed.and_then(|new| {
                let live = Live::new(new, Some(&before), &self.lasting);
                live.map_err(|error| error.to_string())
            });
            match prepared {
                Ok(live) => {
                    tracing::info!("the changed configuration is in force");
                    let live = live.with_lists(&self.model_lists);
                    *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
                }
                Err(error) => tracing::error!(
                    "the changed configuration cannot be used, the one before stays in force: {error}"
                ),
            }
        }
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the lists of models in force that have come.
    pub(crate) fn install_lists(&self) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        *live = Arc::new(live.with_lists(&self.model_lists));
    }

    /// The connections to providers.
    pub fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.upstream)
    }

    /// How many turns are at work.
    pub fn turns_at_work(&self) -> usize {
        TURNS_MAX.saturating_sub(self.turns.available_permits())
    }

    /// From here on a turn that ends without its end was cut off by us, and its client has not left. To be called before what it runs on
    /// is taken away.
    pub fn cut_off(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// What reads finished provider answers to their end.
    pub fn drain(self: &Arc<Self>) -> Drain {
        let gateway = Arc::clone(self);
        Box::new(move |rest: Incoming| {
            gateway.tasks.spawn(read_to_end(rest));
        })
    }
}

impl Live {
    fn new(
        configuration: Configuration,
        before: Option<&Live>,
        lasting: &Lasting,
    ) -> Result<Self, ConfigurationError> {
        let Configuration {
            catalog,
            mut keys,
            mut engines,
            mut proxies,
            mut local,
            mut logins,
            variables,
            strict,
            search,
            patience,
        } = configuration;
        let endpoints = catalog
            .providers
            .iter()
            .map(|provider| {
                let id = &provider.id;
                let engine = engines.remove(id).map(|settings| {
                    let running = before.and_then(|before| before.engine(id));
                    engine::engine(settings, running, &lasting.engine_tasks)
                });
                let connection = Connection {
                    key: keys.remove(id),
                    login: logins.remove(id).map(|login| lasting.logins.in_use(login)),
                    proxy: proxies.remove(id).unwrap_or_default(),
                    engine,
                    local: local.remove(id),
                };
                Endpoint::new(provider, connection, &variables).map(Arc::new)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            configured: catalog.clone(),
            catalog,
            endpoints,
            variables,
            strict,
            search,
            patience,
        })
    }

    fn engine(&self, provider_id: &str) -> Option<&Arc<Engine>> {
        let mut endpoints = self.endpoints.iter();
        endpoints
            .find(|endpoint| endpoint.provider_id() == provider_id)?
            .engine()
    }

    /// The same configuration with the models that providers have told of, each list in the place of the configured one.
    fn with_lists(&self, lists: &ModelLists) -> Self {
        let mut catalog = self.configured.clone();
        let mut endpoints = Vec::with_capacity(self.endpoints.len());
        for (provider, endpoint) in catalog.providers.iter_mut().zip(&self.endpoints) {
            if let Some(listed) = lists.applied_to(provider) {
                *provider = Arc::new(listed);
            }
            if Arc::ptr_eq(provider, endpoint.provider()) {
                endpoints.push(Arc::clone(endpoint));
                continue;
            }
            match endpoint.of(provider) {
                Ok(changed) => endpoints.push(Arc::new(changed)),
                Err(error) => {
                    tracing::warn!("the list of models cannot be used: {error}");
                    *provider = Arc::clone(endpoint.provider());
                    endpoints.push(Arc::clone(endpoint));
                }
            }
        }
        Self {
            configured: self.configured.clone(),
            catalog,
            endpoints,
            variables: Arc::clone(&self.variables),
            strict: self.strict,
            search: self.search.clone(),
            patience: self.patience,
        }
    }

    /// Providers, models, aliases, routes.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Whether turns with a severe loss are refused.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// Who searches the web for models whose provider cannot.
    pub fn search(&self) -> Option<&SearchService> {
        self.search.as_ref()
    }

    /// How long a turn waits for a provider that fails.
    pub(crate) fn patience(&self) -> &RetryLimits {
        &self.patience
    }

    /// Whether a web search that a model asks for is carried out by its provider or by polywire.
    pub fn can_search(&self, target: &Resolved) -> bool {
        let native = || {
            let mut endpoints = self.endpoints.iter();
            endpoints
                .find(|endpoint| endpoint.provider_id() == target.provider.id)
                .is_some_and(|endpoint| {
                    endpoint
                        .dialect()
                        .takes_hosted(&target.upstream_model, "web_search")
                })
        };
        self.search.is_some() || native()
    }

    /// Whether all is known of the models that a name stands for: each is listed by its provider, or no provider gives out a list.
    pub(crate) fn knows_model(&self, name: &str) -> bool {
        let mut providers = self.configured.providers.iter();
        if providers.all(|provider| provider.model_list.is_none()) {
            // Nobody could say more of it.
            return true;
        }
        let targets = self.catalog.resolve(name);
        targets.is_ok_and(|targets| targets.iter().all(|target| target.model.is_some()))
    }

    /// Where key sources of the kind "variable" look.
    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Every provider, ready for use.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// Where a target is reached.
    ///
    /// # Errors
    /// A [`Fault`] of ours when the target is not of this configuration.
    pub fn endpoint(&self, target: &Target) -> Result<Arc<Endpoint>, Fault> {
        let found = self
            .endpoints
            .iter()
            .find(|endpoint| endpoint.provider_id() == target.provider.id);
        found.cloned().ok_or_else(|| {
            crate::fault::ours(format!("provider `{}` has no endpoint", target.provider.id))
        })
    }
}
