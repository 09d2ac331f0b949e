//! The providers: those of the file, those whose keys are in the environment, the one that is wanted, and the demo.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use polywire_catalog::{Auth, Catalog, Preset, Provider, UnknownModel, demo_provider, presets};

use super::Loading;
use crate::engines::EngineTable;
use crate::file::{self, ConfigFile};
use crate::providers::{
    self, Built, PRIVATE_API, SUPPORTED_WAY, Wrong, is_private_api, usual_key_source,
};
use crate::suggest::{nearest, quoted};
use crate::{CodexPlaces, SettingsError, ValueOrigin};

impl Loading<'_> {
    pub(super) fn catalog(&mut self, config: ConfigFile) -> Result<Catalog, SettingsError> {
        let default_provider = self.first(
            "default_provider",
            ("--provider", self.overrides.default_provider.clone()),
            (
                "POLYWIRE_DEFAULT_PROVIDER",
                self.variable("POLYWIRE_DEFAULT_PROVIDER"),
            ),
            config.default_provider,
        );
        let mut found = self.configured_providers(config.providers)?;
        let configured = found.len();
        self.add_presets_with_keys(&mut found)?;
        if let Some(wanted) = &default_provider {
            self.add_wanted_preset(wanted, &mut found)?;
        }
        let default_provider = match default_provider {
            Some(wanted) => Some(self.check_default(wanted, &found)?),
            None => only_choice(&found, configured),
        };
        if found.iter().all(|provider| provider.id != "demo") {
            self.add_provider(demo_provider(), ValueOrigin::Default, &mut found)?;
        }
        let catalog = Catalog {
            providers: found.into_iter().map(Arc::new).collect(),
            aliases: config.aliases,
            routes: config
                .routes
                .into_iter()
                .map(|(name, route)| (name, route.targets))
                .collect(),
            default_provider,
        };
        self.check_names(&catalog)?;
        Ok(catalog)
    }

    fn configured_providers(
        &mut self,
        tables: BTreeMap<String, file::ProviderTable>,
    ) -> Result<Vec<Provider>, SettingsError> {
        let home = self.environment.home();
        let mut found = Vec::with_capacity(tables.len() + 1);
        for (id, table) in tables {
            let codex_home = table
                .codex_home
                .as_deref()
                .map(|path| providers::expand(path, &self.paths.config_dir, home.as_deref()));
            let built = providers::build(&id, table, self.surroundings(home.as_deref()));
            let Built {
                provider,
                key,
                proxy,
                engine,
            } = built.map_err(|wrong| self.provider_error(&id, wrong))?;
            if is_private_api(provider.kind) {
                let kind = provider.kind.name();
                self.warnings
                    .push(format!("`providers.{id}`: kind `{kind}` {PRIVATE_API}"));
            }
            let engine = self.engine(&id, provider.kind, engine, proxy.as_ref());
            let engine = engine.map_err(|wrong| self.provider_error(&id, wrong))?;
            if let Some(engine) = engine {
                self.engines.insert(id.clone(), engine);
            }
            self.keys.insert(id.clone(), key);
            self.add_login(&provider, codex_home)?;
            let origin = ValueOrigin::File(self.paths.config_file.clone());
            if let Some(proxy) = proxy {
                self.proxies.insert(id.clone(), proxy);
                self.origins
                    .insert(format!("providers.{id}.proxy"), origin.clone());
            }
            self.origins.insert(format!("providers.{id}"), origin);
            found.push(provider);
        }
        Ok(found)
    }

    /// A preset whose usual key variable is set needs no line in the settings file, unless it wants to be named.
    fn add_presets_with_keys(&mut self, found: &mut Vec<Provider>) -> Result<(), SettingsError> {
        for preset in presets() {
            let configured = found.iter().any(|provider| {
                provider.id == preset.id || provider.preset.as_deref() == Some(&preset.id)
            });
            let wanted = !configured && !preset.explicit;
            let Some(name) = preset.key_variable.as_ref().filter(|_| wanted) else {
                continue;
            };
            if self.variable(name).is_some() {
                let origin = ValueOrigin::Environment(name.clone());
                self.add_provider(preset.to_provider(&preset.id), origin, found)?;
            }
        }
        Ok(())
    }

    /// Whoever asks for a preset by its name gets it, key or not: a missing key is told when it is needed.
    fn add_wanted_preset(
        &mut self,
        wanted: &str,
        found: &mut Vec<Provider>,
    ) -> Result<(), SettingsError> {
        if found.iter().any(|provider| provider.id == wanted) {
            return Ok(());
        }
        let Some(preset) = polywire_catalog::preset(wanted) else {
            return Ok(());
        };
        self.check_needs_no_file(preset)?;
        let origin = self
            .origins
            .get("default_provider")
            .cloned()
            .unwrap_or(ValueOrigin::Default);
        let engine = self.engine(wanted, preset.kind, EngineTable::default(), None);
        let engine = engine.map_err(|wrong| self.provider_error(wanted, wrong))?;
        if let Some(engine) = engine {
            self.engines.insert(wanted.to_owned(), engine);
        }
        self.add_provider(preset.to_provider(wanted), origin, found)
    }

    /// Two things only the settings file can say of a preset: an address, and the choice of a private API.
    fn check_needs_no_file(&self, preset: &Preset) -> Result<(), SettingsError> {
        let id = &preset.id;
        let file = self.paths.config_file.display();
        let add = |line: &str| {
            format!("add `[providers.{id}]` with `preset = \"{id}\"` and `{line}` to {file}")
        };
        let (message, hint) = if let Some(form) = &preset.base_url_form {
            (
                format!("preset `{id}` has no `base_url`, because it cannot know yours"),
                add(&format!("base_url = \"{form}\"")),
            )
        } else if is_private_api(preset.kind) {
            (
                format!("kind `{}` {PRIVATE_API}", preset.kind.name()),
                format!(
                    "{SUPPORTED_WAY}; to choose this one, {}",
                    add("private_api = true")
                ),
            )
        } else {
            return Ok(());
        };
        Err(self.value_error("default_provider", message, Some(hint)))
    }

    fn add_provider(
        &mut self,
        provider: Provider,
        origin: ValueOrigin,
        found: &mut Vec<Provider>,
    ) -> Result<(), SettingsError> {
        self.keys
            .insert(provider.id.clone(), usual_key_source(&provider));
        self.add_login(&provider, None)?;
        self.origins
            .insert(format!("providers.{}", provider.id), origin);
        found.push(provider);
        Ok(())
    }

    /// Notes where the login is of a provider that is reached by one: where the table says, else where Codex has its own.
    fn add_login(
        &mut self,
        provider: &Provider,
        codex_home: Option<PathBuf>,
    ) -> Result<(), SettingsError> {
        match provider.auth {
            Auth::Login => {}
            Auth::Bearer | Auth::Header { .. } | Auth::None => return Ok(()),
        }
        let mut places = CodexPlaces::find(self.environment)?;
        if let Some(home) = codex_home {
            places.home = home;
        }
        self.logins.insert(provider.id.clone(), places);
        Ok(())
    }

    fn check_default(&self, wanted: String, found: &[Provider]) -> Result<String, SettingsError> {
        if wanted == "demo" || found.iter().any(|provider| provider.id == wanted) {
            return Ok(wanted);
        }
        let known = || found.iter().map(|provider| provider.id.as_str());
        let presets = presets().iter().map(|preset| preset.id.as_str());
        let others = presets.chain(["demo"]);
        let message = format!("there is no provider `{wanted}`");
        let hint = match nearest(&wanted, known().chain(others)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if found.is_empty() => {
                "no provider is configured; `polywire provider add` adds one, `polywire provider presets` lists those that only need a key".to_owned()
            }
            None => format!("configured are {}", quoted(known())),
        };
        Err(self.value_error("default_provider", message, Some(hint)))
    }

    /// Names that can never work are errors; names that do not work today are worth a word.
    fn check_names(&mut self, catalog: &Catalog) -> Result<(), SettingsError> {
        for name in catalog.aliases.keys().chain(catalog.routes.keys()) {
            let table = if catalog.aliases.contains_key(name) {
                "aliases"
            } else {
                "routes"
            };
            let key = format!("{table}.{name}");
            if catalog.aliases.contains_key(name) && catalog.routes.contains_key(name) {
                let message = "is both an alias and a route".to_owned();
                return Err(self.value_error(&key, message, None));
            }
            match catalog.resolve(name) {
                Ok(_) => {}
                Err(error @ (UnknownModel::Loop { .. } | UnknownModel::EmptyRoute { .. })) => {
                    return Err(self.value_error(&key, error.to_string(), None));
                }
                Err(
                    error @ (UnknownModel::NotListed { .. }
                    | UnknownModel::NoDefaultModel { .. }
                    | UnknownModel::NoDefaultProvider),
                ) => self.warnings.push(format!("`{key}`: {error}")),
            }
            if let Some((prefix, _)) = name.split_once('/')
                && catalog.provider(prefix).is_some()
            {
                self.warnings.push(format!(
                    "`{key}` is never used: a name that begins with `{prefix}/` is a model of provider `{prefix}`"
                ));
            }
        }
        Ok(())
    }

    fn provider_error(&self, id: &str, wrong: Wrong) -> SettingsError {
        let key = if wrong.key.is_empty() {
            format!("providers.{id}")
        } else {
            format!("providers.{id}.{}", wrong.key)
        };
        let place = format!("{} `{key}`", self.paths.config_file.display());
        SettingsError::Value {
            place,
            message: wrong.message,
            hint: wrong.hint,
        }
    }
}

/// The default provider when nobody names one: the only one of the settings file, else the only one with a key in the
/// environment, else the demo when there is nothing at all. Of several none is chosen: it would be a guess.
fn only_choice(found: &[Provider], configured: usize) -> Option<String> {
    let (in_file, in_environment) = found.split_at(configured);
    match (in_file, in_environment) {
        ([only], _) | ([], [only]) => Some(only.id.clone()),
        ([], []) => Some("demo".to_owned()),
        _ => None,
    }
}
