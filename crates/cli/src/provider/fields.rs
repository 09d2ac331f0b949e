//! What can be said of a provider on the command line.

use anyhow::{Context, bail};
use clap::Args;
use polywire_catalog::{Kind, normalise_base_url};
use polywire_credentials::{names_secret, secret_places};
use polywire_settings::{Edit, KeyPath, TomlValue, parse_value, toml_text};

use crate::misuse::Misuse;
use crate::provider::key::check_variable;
use crate::provider::model_names;

#[derive(Args, Default)]
pub(crate) struct Fields {
    /// The protocol: chat, messages, responses, chatgpt, codex-app-server, codex-exec, demo
    #[arg(long, value_parser = Kind::parse)]
    pub(crate) kind: Option<Kind>,
    /// The address; a trailing slash or a pasted path of the protocol is taken off
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The name for people
    #[arg(long = "name", value_name = "TEXT")]
    display_name: Option<String>,
    /// How the key is sent: `bearer`, `header:NAME`, `login` or `none`
    #[arg(long, value_name = "WAY")]
    auth: Option<String>,
    /// The model for requests that name none
    #[arg(long, value_name = "MODEL")]
    default_model: Option<String>,
    /// The models, with commas or line ends between them
    #[arg(long, value_name = "LIST")]
    models: Option<String>,
    /// A further header of every request; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// The way to it: `http://HOST:PORT`, `socks5://HOST:PORT` or `none`
    #[arg(long, value_name = "PROXY")]
    proxy: Option<String>,
    /// Any other setting of the provider, such as `profile.stop_max=1`; can be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

impl Fields {
    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        let texts = [
            &self.base_url,
            &self.display_name,
            &self.auth,
            &self.default_model,
            &self.models,
            &self.proxy,
        ];
        self.kind.is_none()
            && texts.into_iter().all(Option::is_none)
            && self.header.is_empty()
            && self.set.is_empty()
    }

    /// Takes an address that was asked for.
    pub(crate) fn with_base_url(&mut self, url: String) {
        self.base_url = Some(url);
    }

    /// Whether an address was given.
    pub(crate) fn has_base_url(&self) -> bool {
        self.base_url.is_some()
    }

    /// Takes a model that was asked for.
    pub(crate) fn with_default_model(&mut self, model: String) {
        self.default_model = Some(model);
    }

    /// Writes what is said into the table of a provider. `kind` is how it is reached, which decides what its address looks like.
    ///
    /// # Errors
    /// A value makes no sense, or is a secret.
    pub(crate) fn write(&self, edit: &mut Edit<'_>, id: &str, kind: Kind) -> anyhow::Result<()> {
        let at = |key: &'static str| ["providers", id, key];
        if let Some(name) = &self.display_name {
            edit.set(&at("name"), name.as_str())?;
        }
        if let Some(kind) = self.kind {
            edit.set(&at("kind"), kind.name())?;
        }
        if let Some(url) = &self.base_url {
            edit.set(&at("base_url"), normalise_base_url(kind, url)?)?;
        }
        if let Some(auth) = &self.auth {
            edit.set_raw(&at("auth"), &auth_value(auth))?;
        }
        if let Some(model) = &self.default_model {
            edit.set(&at("default_model"), model.as_str())?;
        }
        if let Some(models) = &self.models {
            let models = model_names::parse(models)?;
            model_names::write(edit, &at("models"), models)?;
        }
        if let Some(proxy) = &self.proxy {
            refuse_secret(&["proxy"], proxy)?;
            edit.set(&at("proxy"), proxy.as_str())?;
        }
        for header in &self.header {
            let (name, value) = header.split_once('=').ok_or(Misuse(
                "--header wants `NAME=VALUE`\nhint: `--header \"x-title=polywire\"`",
            ))?;
            refuse_secret(&["headers", name], value)?;
            edit.set(&["providers", id, "headers", name.trim()], value.trim())?;
        }
        self.set.iter().try_for_each(|set| write_any(edit, id, set))
    }
}

/// `header:api-key` is `{ header = "api-key" }`; other words are as they are, and the settings know which there are.
fn auth_value(auth: &str) -> String {
    match auth.split_once(':') {
        Some(("header", name)) => format!("{{ header = {} }}", toml_text(name)),
        Some(_) | None => toml_text(auth),
    }
}

fn write_any(edit: &mut Edit<'_>, id: &str, set: &str) -> anyhow::Result<()> {
    let (path, value) = set.split_once('=').ok_or(Misuse(
        "--set wants `PATH=VALUE`\nhint: `--set profile.stop_max=1`",
    ))?;
    let path = parse_path(path)?;
    let keys = path.keys();
    refuse_secret(&keys, value)?;
    let whole: Vec<&str> = ["providers", id].into_iter().chain(keys).collect();
    edit.set_typed(&whole, value)?;
    Ok(())
}

/// Reads the path of a setting.
pub(crate) fn parse_path(path: &str) -> anyhow::Result<KeyPath> {
    KeyPath::parse(path).with_context(|| {
        format!("`{path}` is no path of keys\nhint: write it as in TOML: `profile.stop_max`, `headers.\"x y\"`")
    })
}

/// A secret in an argument can be read by every user of the machine. It is not repeated.
fn refuse_secret(keys: &[&str], text: &str) -> anyhow::Result<()> {
    let value = parse_value(text);
    let variable = value.as_ref().and_then(|value| value.get("env")?.as_str());
    match (keys, variable) {
        (["key", "env"], _) => return check_variable(text.trim().trim_matches(['"', '\''])),
        (["key"], Some(variable)) => return check_variable(variable),
        _ => {}
    }
    let Some(what) = secret_in_words(keys, text, value) else {
        return Ok(());
    };
    bail!(
        "{what} is not taken as an argument, because every user of this machine can read those\nhint: keys come by --key-stdin; write others with `polywire provider edit NAME`, which opens an editor"
    );
}

/// What of a value for this place is a secret, if anything is.
fn secret_in_words(keys: &[&str], text: &str, value: Option<TomlValue>) -> Option<&'static str> {
    // What is not TOML is taken as a text, and may have been meant as a table.
    let may_hold_secret =
        value.is_none() && matches!(keys, ["headers" | "profile" | "codex_config", ..]);
    let is_table = value.as_ref().is_some_and(TomlValue::is_table);
    let table = nested(keys, value.unwrap_or_else(|| text.into()));
    let places = secret_places(&table);
    match (keys, places.first().map(Vec::as_slice)) {
        (["key"], _) if !is_table => Some("a key"),
        (["proxy"], _) if text.contains('@') => Some("the password of a proxy"),
        (_, Some([first, ..])) if first == "headers" => Some("the value of such a header"),
        (_, Some(_)) => Some("such a value"),
        (_, None) if may_hold_secret && names_secret(text) => Some("such a value"),
        (_, None) => None,
    }
}

/// A table with a value at this place.
fn nested(keys: &[&str], value: TomlValue) -> toml::Table {
    let Some((first, rest)) = keys.split_first() else {
        return toml::Table::new();
    };
    let value = match rest {
        [] => value,
        rest => nested(rest, value).into(),
    };
    toml::Table::from_iter([((*first).to_owned(), value)])
}
