//! How the gateway was started last, and how that is said again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use polywire_daemon::StartOptions;
use polywire_settings::{
    Environment, KeySource, LogFormat, NETWORK_VARIABLES, Overrides, PLAIN_VARIABLES,
    ProcessEnvironment, Settings, TOKEN_VARIABLE,
};

/// The environment as a gateway with these options sees it: of the variables of ours that hold no secret, it has those of the options.
pub(super) struct WithOptions<'a>(pub(super) &'a BTreeMap<String, String>);

impl Environment for WithOptions<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        if PLAIN_VARIABLES.contains(&name) {
            return self.0.get(name).cloned();
        }
        ProcessEnvironment.variable(name)
    }

    fn home(&self) -> Option<PathBuf> {
        ProcessEnvironment.home()
    }
}

/// What was said on this command line and in this environment.
pub(crate) fn said_now(overrides: &Overrides) -> anyhow::Result<StartOptions> {
    let config = overrides.config.as_ref().map(std::path::absolute);
    let mut variables = BTreeMap::new();
    for name in PLAIN_VARIABLES {
        let value = ProcessEnvironment.variable(name);
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            variables.insert(name.to_owned(), from_anywhere(name, value)?);
        }
    }
    Ok(StartOptions {
        config: config.transpose().context("the current folder is gone")?,
        listen: overrides.listen.clone(),
        provider: overrides.default_provider.clone(),
        strict: overrides.strict,
        log: overrides.log.clone(),
        log_format: overrides.log_format.map(|format| format.name().to_owned()),
        variables,
        secret_variables: BTreeSet::new(),
        network_variables: network_variables(),
    })
}

/// The variables that name a place. Relative ones are meant from the folder in which they are set.
const PLACES: [&str; 3] = ["CODEX_HOME", "POLYWIRE_CONFIG", "POLYWIRE_STORE"];

/// A value that means the same in another folder.
fn from_anywhere(name: &str, value: String) -> anyhow::Result<String> {
    if !PLACES.contains(&name) {
        return Ok(value);
    }
    let absolute = std::path::absolute(&value)
        .with_context(|| format!("`{name}` holds `{value}`, and the current folder is gone"))?;
    Ok(absolute.to_str().map_or(value, str::to_owned))
}

/// The names of the variables that are set and that these settings take secrets from.
pub(crate) fn secret_variables(settings: &Settings) -> BTreeSet<String> {
    let keys = settings.keys.values();
    let keys = keys.chain(settings.search.iter().map(|search| &search.key));
    let names = keys.filter_map(|key| {
        let KeySource::Env(name) = key else {
            return None;
        };
        Some(name.as_str())
    });
    names
        .chain([TOKEN_VARIABLE])
        .filter(|name| ProcessEnvironment.variable(name).is_some())
        .map(str::to_owned)
        .collect()
}

/// The names of the variables that are set and say how the network is reached.
pub(crate) fn network_variables() -> BTreeSet<String> {
    let is_set = |name: &&str| {
        let value = ProcessEnvironment.variable(name);
        value.is_some_and(|value| !value.is_empty())
    };
    let names = NETWORK_VARIABLES.into_iter().filter(is_set);
    names.map(str::to_owned).collect()
}

/// The same as a command line says it.
pub(super) fn overrides(options: &StartOptions) -> anyhow::Result<Overrides> {
    let log_format = options.log_format.as_deref().map(LogFormat::parse);
    Ok(Overrides {
        config: options.config.clone(),
        listen: options.listen.clone(),
        default_provider: options.provider.clone(),
        strict: options.strict,
        log: options.log.clone(),
        log_format: log_format.transpose()?,
        ..Overrides::default()
    })
}

/// The same as arguments of `polywire serve`.
pub(crate) fn arguments(options: &StartOptions) -> Vec<String> {
    let config = options
        .config
        .as_ref()
        .map(|path| path.display().to_string());
    let with_values = [
        ("--config", config.as_ref()),
        ("--listen", options.listen.as_ref()),
        ("--provider", options.provider.as_ref()),
        ("--log", options.log.as_ref()),
        ("--log-format", options.log_format.as_ref()),
    ];
    let mut arguments: Vec<String> = with_values
        .into_iter()
        .filter_map(|(option, value)| Some([option.to_owned(), value?.clone()]))
        .flatten()
        .collect();
    if options.strict {
        arguments.push("--strict".to_owned());
    }
    arguments
}

/// The same for people, variables included.
pub(super) fn in_words(options: &StartOptions) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for argument in arguments(options) {
        match words.last_mut() {
            Some(option) if !argument.starts_with("--") => *option = format!("{option} {argument}"),
            Some(_) | None => words.push(argument),
        }
    }
    let variables = options.variables.iter();
    words.extend(variables.map(|(name, value)| format!("{name}={value}")));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_can_be_said_again() {
        let options = StartOptions {
            config: Some("/a b/config.toml".into()),
            listen: Some("127.0.0.1:1".into()),
            strict: true,
            log_format: Some("json".into()),
            variables: [("POLYWIRE_STORE".to_owned(), "/x".to_owned())].into(),
            ..StartOptions::default()
        };
        let words = [
            "--config /a b/config.toml",
            "--listen 127.0.0.1:1",
            "--log-format json",
            "--strict",
            "POLYWIRE_STORE=/x",
        ];
        assert_eq!(in_words(&options), words);
        assert_eq!(
            arguments(&options)[..3],
            ["--config", "/a b/config.toml", "--listen"]
        );
        let said = overrides(&options).unwrap();
        assert_eq!(said.log_format, Some(LogFormat::Json));
        assert!(said.strict && said.default_provider.is_none());
    }
}
