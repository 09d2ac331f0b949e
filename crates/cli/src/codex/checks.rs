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
        if provider.get("wire_api").and_then(Value::as_str) == Some("chat") {
            anyhow::bail!(
                "{}: `wire_api = \"chat\"` of provider `{id}` keeps Codex from starting, even when the provider is not used\nhint: remove that provider, and add it to polywire, which translates for it",
                place(&["model_providers", id, "wire_api"])
            );
        }
    }
    Ok(())
}

fn check_profile(base: &Path, text: &TomlText, name: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        text.get(&["profiles", name]).is_none(),
        "{} has a table [profiles.{name}] of the old form, and Codex refuses `--profile {name}` as long as it is there\nhint: move what is in it to {name}.config.toml, or choose another name",
        base.display()
    );
    Ok(())
}
