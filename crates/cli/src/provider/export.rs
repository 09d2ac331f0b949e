//! `polywire provider export`: providers, aliases and routes in one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use polywire_bundle::{Bundle, Moment, Randomness, SecretValue};
use polywire_client_files::replace_atomically;
use polywire_settings::{Edit, KeySource, Overrides, ProcessEnvironment, Settings};
use toml::{Table, Value};

use crate::logging::{note, say_part};
use crate::misuse::Misuse;
use crate::provider::find;
use crate::provider::passphrase::PassphraseArguments;

#[derive(Args)]
#[command(after_help = "\
Keys that stand in the settings, passwords of proxies, and headers that name a secret are left out, and the bundle says which. \
References to keys (`env`, `file`, `command`, `keyring`) stay references. docs/bundles.md describes the file.

Exit codes: 0 done, 1 failed, 2 when the command line is wrong.")]
pub(crate) struct ExportArguments {
    /// The providers to export, with the aliases and routes that need no others [default: all of the settings file]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The file to write, which must not be there yet; it gets mode 0600 [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put the secrets in, sealed with a passphrase; keys in files and in the keyring, too
    #[arg(long)]
    with_secrets: bool,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(crate) async fn export(
    arguments: &ExportArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    if arguments.passphrase.is_given() && !arguments.with_secrets {
        return Err(Misuse("a passphrase is for secrets\nhint: add --with-secrets").into());
    }
    let environment = ProcessEnvironment;
    let edit = Edit::begin(overrides, &environment)?;
    let settings = edit.settings()?;
    let root = edit.text().root().clone();
    drop(edit);
    let providers = chosen(arguments, &settings, &root)?;
    let names: Vec<String> = providers.keys().cloned().collect();
    let moment = Moment {
        exported_at: Timestamp::now().to_string(),
        polywire: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (mut bundle, mut secrets) = Bundle::new(moment, providers);
    let all = arguments.names.is_empty();
    let is_exported = |target: &str| {
        let provider = target
            .split_once('/')
            .map_or(target, |(provider, _)| provider);
        all || names.iter().any(|name| name == provider)
    };
    bundle.aliases = kept(&root, "aliases", |alias| {
        alias.as_str().is_some_and(is_exported)
    });
    bundle.routes = kept(&root, "routes", |route| {
        let targets = route.get("targets").and_then(Value::as_array);
        targets.is_some_and(|targets| {
            let mut names = targets.iter().filter_map(Value::as_str);
            names.all(is_exported)
        })
    });
    let default = root.get("default_provider").and_then(Value::as_str);
    bundle.default_provider = default
        .filter(|default| is_exported(default))
        .map(str::to_owned);
    if arguments.with_secrets {
        secrets.extend(kept_elsewhere(&settings, &names, &secrets).await?);
        let passphrase = arguments.passphrase.new_one()?;
        bundle.seal(&secrets, &passphrase, &Randomness(rand::random()))?;
        for place in &bundle.left_out {
            note(format_args!(
                "sealed with the passphrase: {}",
                place.join(".")
            ));
        }
    } else {
        tell_what_stays(&bundle, &settings, &names);
    }
    let text = bundle.render()?;
    match &arguments.output {
        Some(path) => write(path, &text)?,
        None => say_part(&text),
    }
    Ok(ExitCode::SUCCESS)
}

/// The tables of the providers that are wanted. One that came from its key variable has none, and is its preset.
fn chosen(arguments: &ExportArguments, settings: &Settings, root: &Table) -> anyhow::Result<Table> {
    let none = Table::new();
    let tables = root
        .get("providers")
        .and_then(Value::as_table)
        .unwrap_or(&none);
    if arguments.names.is_empty() {
        if tables.is_empty() {
            bail!(
                "there is no provider in {}\nhint: `polywire provider add` makes one; a provider that comes from its key variable is exported by name",
                settings.paths.config_file.display()
            );
        }
        return Ok(tables.clone());
    }
    let mut chosen = Table::new();
    for name in &arguments.names {
        let table = match tables.get(name) {
            Some(table) => table.clone(),
            None => match &find(settings, name)?.preset {
                Some(preset) => {
                    let mut table = Table::new();
                    table.insert("preset".to_owned(), preset.as_str().into());
                    Value::Table(table)
                }
                None => bail!("provider `{name}` is built in, and everybody has it"),
            },
        };
        chosen.insert(name.clone(), table);
    }
    Ok(chosen)
}

fn kept(root: &Table, name: &str, wanted: impl Fn(&Value) -> bool) -> Table {
    let table = root.get(name).and_then(Value::as_table);
    let members = table.into_iter().flatten();
    members
        .filter(|(_, value)| wanted(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The keys that are in files and in the keyring.
async fn kept_elsewhere(
    settings: &Settings,
    names: &[String],
    known: &[(String, SecretValue)],
) -> anyhow::Result<Vec<(String, SecretValue)>> {
    let mut found = Vec::new();
    for name in names {
        let is_known = known
            .iter()
            .any(|(id, secret)| id == name && secret.path == ["key"]);
        let is_elsewhere = match settings.keys.get(name) {
            Some(KeySource::File(_) | KeySource::Keyring(_)) => true,
            Some(
                KeySource::Literal(_) | KeySource::Env(_) | KeySource::Command(_) | KeySource::None,
            )
            | None => false,
        };
        if is_known || !is_elsewhere {
            continue;
        }
        let key = settings.key(name).await.with_context(|| {
            format!("the key of provider `{name}` could not be had, so that nothing is exported")
        })?;
        if let Some(key) = key {
            let secret = SecretValue {
                path: vec!["key".to_owned()],
                value: key.reveal().into(),
            };
            found.push((name.clone(), secret));
        }
    }
    Ok(found)
}

fn tell_what_stays(bundle: &Bundle, settings: &Settings, names: &[String]) {
    for place in &bundle.left_out {
        note(format_args!(
            "left out, because it is a secret: {}",
            place.join(".")
        ));
    }
    for name in names {
        match settings.keys.get(name) {
            Some(KeySource::File(path)) => note(format_args!(
                "the key of `{name}` stays on this machine: it is in {}",
                path.display()
            )),
            Some(KeySource::Keyring(_)) => note(format_args!(
                "the key of `{name}` stays on this machine: it is in the keyring"
            )),
            Some(
                KeySource::Literal(_) | KeySource::Env(_) | KeySource::Command(_) | KeySource::None,
            )
            | None => {}
        }
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.symlink_metadata().is_ok() {
        bail!(
            "{} is there already, and is left alone\nhint: name another file",
            path.display()
        );
    }
    replace_atomically(path, text.as_bytes(), 0o600)?;
    note(format_args!("written to {} (mode 0600)", path.display()));
    Ok(())
}
