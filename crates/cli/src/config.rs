//! `polywire config show`: the settings in force, and where each comes from.

use std::process::ExitCode;

use clap::Subcommand;
use polywire_settings::{AuthMode, KeySource, Overrides, Settings};

use crate::configuration::{self, login_problem};
use crate::logging::say;

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting in force and where it comes from; keys are never shown
    Show,
}

pub(crate) fn config(command: &ConfigCommand, overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Show = command;
    let settings = configuration::load(overrides)?;
    configuration::tell_warnings(&settings);
    let rows = rows(&settings);
    let width = |column: fn(&Row) -> usize| rows.iter().map(column).max().unwrap_or_default();
    let (names, values) = (
        width(|row| row.name.len()),
        width(|row| row.value.chars().count()),
    );
    for Row {
        name,
        value,
        origin,
    } in &rows
    {
        say(format_args!("{name:<names$}  {value:<values$}  {origin}"));
    }
    Ok(ExitCode::SUCCESS)
}

struct Row {
    name: String,
    value: String,
    origin: String,
}

fn rows(settings: &Settings) -> Vec<Row> {
    let auth = match settings.server.auth {
        AuthMode::Token => "token",
        AuthMode::None => "none",
    };
    let default_provider = settings.catalog.default_provider.as_deref();
    let mut rows = vec![
        row(
            settings,
            "server.listen",
            settings.server.listen.to_string(),
        ),
        row(settings, "server.auth", auth.to_owned()),
        row(
            settings,
            "log",
            settings.log.clone().unwrap_or_else(|| "info".to_owned()),
        ),
        row(
            settings,
            "log_format",
            settings.log_format.name().to_owned(),
        ),
        row(
            settings,
            "default_provider",
            default_provider.unwrap_or("(none)").to_owned(),
        ),
    ];
    rows.extend(kept(settings));
    rows.extend(search(settings));
    for provider in &settings.catalog.providers {
        let key = if login_problem(settings, &provider.id).is_some() {
            ", login missing"
        } else if settings.key_is_present(&provider.id) {
            ""
        } else {
            ", key missing"
        };
        let value = match provider.base_url.as_str() {
            "" => provider.kind.name().to_owned(),
            base_url => format!("{} {base_url}{key}", provider.kind.name()),
        };
        rows.push(row(settings, &format!("providers.{}", provider.id), value));
        if let Some(proxy) = settings.proxies.get(&provider.id) {
            let name = format!("providers.{}.proxy", provider.id);
            rows.push(row(settings, &name, proxy.to_string()));
        }
    }
    let file = settings.paths.config_file.display().to_string();
    for (name, target) in &settings.catalog.aliases {
        rows.push(Row {
            name: format!("aliases.{name}"),
            value: target.clone(),
            origin: file.clone(),
        });
    }
    for (name, targets) in &settings.catalog.routes {
        rows.push(Row {
            name: format!("routes.{name}"),
            value: targets.join(", "),
            origin: file.clone(),
        });
    }
    rows
}

/// How strict turns are, and what is kept of them.
fn kept(settings: &Settings) -> Vec<Row> {
    let (store, receipts) = (&settings.store, &settings.receipts);
    let values = [
        ("strict", settings.strict.to_string()),
        ("store.path", store.path.display().to_string()),
        ("store.responses", store.responses.to_string()),
        ("store.max_age_days", store.max_age_days.to_string()),
        ("store.max_mb", store.max_mb.to_string()),
        ("receipts.enabled", receipts.enabled.to_string()),
        ("receipts.max_age_days", receipts.max_age_days.to_string()),
        ("receipts.max_count", receipts.max_count.to_string()),
    ];
    values
        .map(|(name, value)| row(settings, name, value))
        .into()
}

fn search(settings: &Settings) -> Vec<Row> {
    let Some(search) = &settings.search else {
        let nobody = "(nobody)".to_owned();
        return vec![row(settings, "search.provider", nobody)];
    };
    let key = match &search.key {
        KeySource::None => "none needed",
        _ if !settings.search_key_is_present() => "missing",
        KeySource::Literal(_)
        | KeySource::Env(_)
        | KeySource::File(_)
        | KeySource::Command(_)
        | KeySource::Keyring(_) => "present",
    };
    let url = search.url.as_deref().unwrap_or("(the service's own)");
    let values = [
        ("search.provider", search.provider.name().to_owned()),
        ("search.url", url.to_owned()),
        ("search.key", key.to_owned()),
        ("search.max_results", search.max_results.to_string()),
    ];
    values
        .map(|(name, value)| row(settings, name, value))
        .into()
}

fn row(settings: &Settings, name: &str, value: String) -> Row {
    let origin = settings
        .origins
        .get(name)
        .map_or_else(|| "default".to_owned(), ToString::to_string);
    Row {
        name: name.to_owned(),
        value,
        origin,
    }
}
