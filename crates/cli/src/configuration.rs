//! From settings to a gateway: loading, reloading, the token.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use polywire_catalog::Provider;
use polywire_credentials::{Secret, ensure_token};
use polywire_gateway::{
    Configuration, ConfigurationError, ConfigurationSource, Connection, Endpoint, Fixed, Gateway,
    Live, LocalStates, Logins, ResponseStore, RetryLimits, SearchKind, SearchService, Stores,
    Variables,
};
use polywire_login::{CodexLogin, LoginError, Places};
use polywire_server::{Access, App};
use polywire_settings::{
    AuthMode, CodexPlaces, Environment, Overrides, Paths, ProcessEnvironment, SearchProvider,
    Settings, Watch,
};
use polywire_store::{ReceiptSink, Store};

use crate::logging::{note, say};
use crate::state;

/// Reads the settings.
pub(crate) fn load(overrides: &Overrides) -> anyhow::Result<Settings> {
    Ok(polywire_settings::load(overrides, &ProcessEnvironment)?)
}

/// The value of an environment variable.
pub(crate) fn variable(name: &str) -> Option<String> {
    ProcessEnvironment.variable(name)
}

/// The names of the environment variables that begin so.
pub(crate) fn variables_with(prefix: &str) -> Vec<String> {
    ProcessEnvironment.names_with(prefix)
}

/// Tells what the settings have to warn of.
pub(crate) fn tell_warnings(settings: &Settings) {
    for warning in &settings.warnings {
        note(format_args!("warning: {warning}"));
    }
}

/// The token that clients must send: the one of the environment, else the one that was made on first start. `None` when the
/// settings ask for none.
pub(crate) fn token(settings: &Settings) -> anyhow::Result<Option<Secret>> {
    match (settings.server.auth, &settings.token) {
        (AuthMode::None, _) => Ok(None),
        (AuthMode::Token, Some(token)) => Ok(Some(token.clone())),
        (AuthMode::Token, None) => Ok(Some(ensure_token(&settings.paths.token_file)?)),
    }
}

/// `polywire token`.
pub(crate) fn show_token(overrides: &Overrides) -> anyhow::Result<ExitCode> {
    match token(&load(overrides)?)? {
        Some(token) => say(token.reveal()),
        None => note("the settings say `auth = \"none\"`: clients need no token"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the settings for a gateway, together with what follows their files.
pub(crate) fn load_watched(overrides: &Overrides) -> anyhow::Result<(Settings, WatchedSettings)> {
    // Watched before they are read, so that no change falls in between.
    let watch = Watch::new(&Paths::find(overrides, &ProcessEnvironment)?);
    let source = WatchedSettings {
        watch: Mutex::new(watch),
        overrides: overrides.clone(),
    };
    Ok((load(overrides)?, source))
}

/// A gateway with what it keeps.
pub(crate) struct Service {
    /// The gateway and who gets in.
    pub(crate) app: Arc<App>,
    store: Option<Store>,
}

impl Service {
    /// Ends the engines and what goes on beside the turns, and writes what waits to be kept. To be called when the turns have ended.
    pub(crate) async fn close(self) {
        self.app.gateway.close().await;
        if let Some(store) = self.store {
            store.close().await;
        }
    }
}

/// A gateway that listens on `address`, with these settings, and follows their files.
pub(crate) fn service(
    address: SocketAddr,
    settings: &Settings,
    source: WatchedSettings,
    token: Option<Secret>,
) -> anyhow::Result<Service> {
    let store = open_store(settings);
    let stores = Stores {
        responses: store
            .clone()
            .filter(|_| settings.store.responses)
            .map(|store| Arc::new(store) as ResponseStore),
        receipts: store
            .clone()
            .filter(|_| settings.receipts.enabled)
            .map(|store| Arc::new(store) as Arc<dyn ReceiptSink>),
    };
    let gateway = Gateway::new(configuration(settings.clone()), Box::new(source), stores)
        .context("the settings cannot be used")?;
    Ok(Service {
        app: Arc::new(App {
            gateway,
            access: Access::new(address, token),
        }),
        store,
    })
}

/// The models of these settings and what can be done with them, without serving anybody.
pub(crate) fn models(settings: &Settings) -> anyhow::Result<Arc<Live>> {
    Ok(gateway_alone(settings)?.live())
}

/// A gateway that keeps nothing and follows no files, for a moment's use by ourselves.
pub(crate) fn service_alone(
    address: SocketAddr,
    settings: &Settings,
    token: Option<Secret>,
) -> anyhow::Result<Service> {
    Ok(Service {
        app: Arc::new(App {
            gateway: gateway_alone(settings)?,
            access: Access::new(address, token),
        }),
        store: None,
    })
}

fn gateway_alone(settings: &Settings) -> anyhow::Result<Arc<Gateway>> {
    let configuration = configuration(settings.clone());
    Gateway::new(configuration, Box::new(Fixed), Stores::default())
        .context("the settings cannot be used")
}

/// Opens the store, if anything is to be kept. Turns are served without one as well, so that one that cannot be opened is told
/// and not fatal.
fn open_store(settings: &Settings) -> Option<Store> {
    if !settings.store.responses && !settings.receipts.enabled {
        return None;
    }
    match state::open(settings) {
        Ok(store) => Some(store),
        Err(error) => {
            note(format_args!(
                "warning: no responses and no receipts are kept: {error:#}"
            ));
            None
        }
    }
}

fn search(settings: &Settings) -> Option<SearchService> {
    let search = settings.search.as_ref()?;
    let url = |usual: &str| search.url.clone().unwrap_or_else(|| usual.to_owned());
    Some(SearchService {
        kind: match search.provider {
            SearchProvider::Brave => SearchKind::Brave {
                url: url("https://api.search.brave.com"),
            },
            SearchProvider::Tavily => SearchKind::Tavily {
                url: url("https://api.tavily.com"),
            },
            // The settings insist on its address.
            SearchProvider::Searxng => SearchKind::Searxng { url: url("") },
        },
        key: search.key.clone(),
        results_max: usize::try_from(search.max_results).unwrap_or(usize::MAX),
    })
}

/// What of the settings the gateway needs.
pub(crate) fn configuration(settings: Settings) -> Configuration {
    let (strict, search) = (settings.strict, search(&settings));
    Configuration {
        catalog: settings.catalog.clone(),
        keys: settings.keys.clone(),
        engines: settings.engines.clone(),
        proxies: settings.proxies.clone(),
        local: LocalStates::new(),
        logins: logins(&settings),
        variables: Arc::new(move |name| settings.variable(name)),
        strict,
        search,
        patience: RetryLimits::default(),
    }
}

/// A provider made ready for use, without a gateway. An engine has no processes then.
///
/// # Errors
/// Its address, headers or profile cannot be used.
pub(crate) fn endpoint(
    settings: &Settings,
    provider: &Provider,
) -> Result<Endpoint, ConfigurationError> {
    let login = settings.logins.get(&provider.id);
    endpoint_by(
        login.map(|found| CodexLogin::new(places(found))),
        settings,
        provider,
    )
}

/// The same without the login by which it is reached, if it is: a login that is due is renewed when it is used.
///
/// # Errors
/// As [`endpoint`].
pub(crate) fn endpoint_without_login(
    settings: &Settings,
    provider: &Provider,
) -> Result<Endpoint, ConfigurationError> {
    endpoint_by(None, settings, provider)
}

fn endpoint_by(
    login: Option<CodexLogin>,
    settings: &Settings,
    provider: &Provider,
) -> Result<Endpoint, ConfigurationError> {
    let id = &provider.id;
    let connection = Connection {
        key: settings.keys.get(id).cloned(),
        login,
        proxy: settings.proxies.get(id).cloned().unwrap_or_default(),
        ..Connection::default()
    };
    let settings = settings.clone();
    let variables: Variables = Arc::new(move |name| settings.variable(name));
    Endpoint::new(&Arc::new(provider.clone()), connection, &variables)
}

/// The logins by which providers are reached.
fn logins(settings: &Settings) -> Logins {
    let logins = settings.logins.iter();
    logins
        .map(|(provider, found)| (provider.clone(), CodexLogin::new(places(found))))
        .collect()
}

/// Why the login of a provider cannot be used, as far as its file tells. Nothing for a provider that is reached in another way.
pub(crate) fn login_problem(settings: &Settings, provider_id: &str) -> Option<LoginError> {
    let login = CodexLogin::new(places(settings.logins.get(provider_id)?));
    login.state().err()
}

/// Where a login is kept and who renews it: as the settings say, else as Codex has it.
pub(crate) fn places(found: &CodexPlaces) -> Places {
    let usual = Places::new(&found.home);
    Places {
        token_url: found.token_url.clone().unwrap_or(usual.token_url),
        revoke_url: found.revoke_url.clone().unwrap_or(usual.revoke_url),
        issuer: found.issuer.clone().unwrap_or(usual.issuer),
        back_end: found.back_end.clone().unwrap_or(usual.back_end),
        ..usual
    }
}

/// Reads the settings again when their files change. Address, token and log stay as they were: they belong to the running
/// process.
pub(crate) struct WatchedSettings {
    watch: Mutex<Watch>,
    overrides: Overrides,
}

impl ConfigurationSource for WatchedSettings {
    fn changed(&self) -> Option<Result<Configuration, String>> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if !watch.changed() {
            return None;
        }
        let settings = polywire_settings::load(&self.overrides, &ProcessEnvironment);
        Some(
            settings
                .map(configuration)
                .map_err(|error| error.to_string()),
        )
    }
}
