//! What in Codex's configuration would keep it from starting, or is in our way.

use std::path::Path;

use anyhow::Context;
use polywire_client_files::TomlText;
use toml::Value;

use super::PROVIDER;
use super::configuration_file::ConfigurationFile;

/// Refuses a configuration with which Codex would not start (0.169, by its own words), or that has a provider of our name which is not
/// ours.
pub(crate) fn check(file: &ConfigurationFile, has_our_edit: bool) -> anyhow::Result<()> {
    if let Some(base) = &file.base {
        let text = read(base)?;
        check_starts(base, &text)?;
        if let Some(name) = &file.profile {
            check_profile(base, &text, name)?;
        }
    }
    let text = read(&file.path)?;
    check_starts(&file.path, &text)?;
    anyhow::ensure!(
        has_our_edit || text.get(&["model_providers", PROVIDER]).is_none(),
        "{} has a provider `{PROVIDER}` already, and there is no record that polywire wrote it\nhint: give it another name, or remove the table [model_providers.{PROVIDER}] if polywire wrote it",
        file.path.display()
    );
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<TomlText> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("{} could not be read", path.display()));
        }
    };
    TomlText::parse(&bytes).map_err(|error| {
        anyhow::anyhow!(
            "{}, {error}\nhint: Codex would not start with it either; correct it there, then try again",
            path.display()
        )
    })
}

fn check_starts(path: &Path, text: &TomlText) -> anyhow::Result<()> {
    let place = |keys: &[&str]| match text.line(keys) {
        Some(line) => format!("{}, line {line}", path.display()),
        None => path.display().to_string(),
    };
    if text.get(&["profile"]).is_some() {
        anyhow::bail!(
            "{}: Codex does not start with a top-level `profile` any more\nhint: remove the line, and use `codex --profile NAME` with a file NAME.config.toml",
            place(&["profile"])
        );
    }
    let providers = text.get(&["model_providers"]).and_then(Value::as_table);
    for (id, provider) in providers.into_iter().flatten() {
        if let Some(key) = second_token(provider) {
            anyhow::bail!(
                "{}: provider `{id}` has `auth` and `{key}`, and Codex does not start with both\nhint: remove one of them",
                place(&["model_providers", id, key])
            );
        }
        if provider.get("wire_api").and_then(Value::as_str) == Some("chat") {
            anyhow::bail!(
                "{}: `wire_api = \"chat\"` of provider `{id}` keeps Codex from starting, even when the provider is not used\nhint: remove that provider, and add it to polywire, which translates for it",
                place(&["model_providers", id, "wire_api"])
            );
        }
    }
    Ok(())
}

/// What a provider must not have beside `auth`: Codex does not start with both. Names of Codex's, kept as data.
pub(crate) fn not_beside_auth() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("not-beside-auth.txt").lines();
    lines.filter(|line| !line.starts_with('#'))
}

fn second_token(provider: &Value) -> Option<&'static str> {
    provider.get("auth")?;
    let is_set = |key: &str| {
        let value = provider.get(key);
        value.is_some_and(|value| value.as_bool() != Some(false))
    };
    not_beside_auth().find(|key| is_set(key))
}

/// What of a configuration makes Codex use polywire, in words.
pub(crate) fn what_is_ours(file: &ConfigurationFile) -> anyhow::Result<Option<&'static str>> {
    let text = read(&file.path)?;
    let is_chosen = text
        .get(&["model_provider"])
        .is_some_and(|id| id.as_str() == Some(PROVIDER));
    let is_named = text.get(&["model_providers", PROVIDER]).is_some();
    Ok(match (is_chosen, is_named) {
        (true, true) => Some("`model_provider` and a provider of polywire's"),
        (true, false) => Some("a `model_provider` of polywire's"),
        (false, true) => Some("a provider of polywire's"),
        (false, false) => None,
    })
}

fn check_profile(base: &Path, text: &TomlText, name: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        text.get(&["profiles", name]).is_none(),
        "{} has a table [profiles.{name}] of the old form, and Codex refuses `--profile {name}` as long as it is there\nhint: move what is in it to {name}.config.toml, or choose another name",
        base.display()
    );
    Ok(())
}
