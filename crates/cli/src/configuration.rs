//! From settings to a gateway: loading, reloading, the token.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use polywire_credentials::{Secret, ensure_token};
use polywire_gateway::{Configuration, ConfigurationSource, Gateway, Stores};
use polywire_server::{Access, App};
use polywire_settings::{
    AuthMode, Environment, Overrides, Paths, ProcessEnvironment, Settings, Watch,
};

use crate::logging::{note, say};

/// Reads the settings.
pub(crate) fn load(overrides: &Overrides) -> anyhow::Result<Settings> {
    Ok(polywire_settings::load(overrides, &ProcessEnvironment)?)
}

/// The value of an environment variable.
pub(crate) fn variable(name: &str) -> Option<String> {
    ProcessEnvironment.variable(name)
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

/// A gateway that listens on `address`, with these settings, and follows their files.
pub(crate) fn app(
    address: SocketAddr,
    settings: &Settings,
    source: WatchedSettings,
    token: Option<Secret>,
) -> anyhow::Result<Arc<App>> {
    let gateway = Gateway::new(
        configuration(settings.clone()),
        Box::new(source),
        Stores::default(),
    )
    .context("the settings cannot be used")?;
    Ok(Arc::new(App {
        gateway,
        access: Access::new(address, token),
    }))
}

/// What of the settings the gateway needs.
fn configuration(settings: Settings) -> Configuration {
    Configuration {
        catalog: settings.catalog.clone(),
        keys: settings.keys.clone(),
        variables: Arc::new(move |name| settings.variable(name)),
        strict: false,
        search: None,
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
