//! From tables to providers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polywire_catalog::{Auth, Kind, Model, Preset, Provider, normalise_base_url, preset, presets};

use polywire_credentials::{Keyring, KeyringEntry};

use crate::engines::EngineTable;
use crate::file::{KeyForm, ProviderTable};
use crate::suggest::{nearest, quoted};
use crate::{KeySource, Proxy};

/// A value of a provider's table that makes no sense: the key below `providers.<id>`, what is wrong, and the way out.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) key: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Wrong {
    pub(crate) fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self {
            key,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a table says.
pub(crate) struct Built {
    pub(crate) provider: Provider,
    pub(crate) key: KeySource,
    /// How it is reached, when that is not the environment's business.
    pub(crate) proxy: Option<Proxy>,
    /// What it says of an engine; nothing for other kinds.
    pub(crate) engine: EngineTable,
}

/// Where the settings are read, as far as keys and paths depend on it.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// What relative paths are relative to.
    pub(crate) config_dir: &'a Path,
    pub(crate) home: Option<&'a Path>,
    pub(crate) keyring: Keyring,
}

/// The provider that a table describes, where its key comes from, and how it is reached.
pub(crate) fn build(
    id: &str,
    mut table: ProviderTable,
    surroundings: Surroundings<'_>,
) -> Result<Built, Wrong> {
    check_id(id)?;
    let named = table.preset.as_deref();
    // A kind with habits of its own brings them along, whether its preset is named or not.
    let named = named.or_else(|| table.kind.and_then(Kind::own_preset));
    let template = named.map(find_preset).transpose()?;
    let mut provider = match template {
        Some(template) => {
            check_address(template, &table)?;
            template.to_provider(id)
        }
        None => bare(id, &table)?,
    };
    if let Some(kind) = table.kind {
        provider.kind = kind;
    }
    check_choice(provider.kind, table.private_api)?;
    let engine = EngineTable::take(&mut table, provider.kind)?;
    if provider.kind == Kind::Demo && table.proxy.is_some() {
        return Err(
            Wrong::new("proxy", "the demo is built in and needs no way out").hint("leave it out"),
        );
    }
    if let Some(name) = table.name {
        provider.name = name;
    }
    if let Some(url) = &table.base_url {
        provider.base_url = normalise_base_url(provider.kind, url)
            .map_err(|error| Wrong::new("base_url", error.to_string()))?;
    }
    if let Some(auth) = table.auth {
        provider.auth = auth;
    } else if table.key.is_some() && provider.auth == Auth::None {
        // A local server that was started with a key.
        provider.auth = Auth::Bearer;
    }
    check_login(
        &provider.auth,
        table.key.as_ref(),
        // An engine takes the login of this folder, whatever lets its own clients in.
        table
            .codex_home
            .as_ref()
            .filter(|_| !provider.kind.is_engine()),
        table.codex_identity,
    )?;
    provider.codex_identity = table.codex_identity.unwrap_or(false);
    for (name, value) in table.headers {
        check_header(&name, &value)?;
        provider
            .headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        provider.headers.push((name, value));
    }
    if let Some(models) = table.models {
        provider.models = chosen_models(models, template);
        // A list by hand is one that nobody else is to change.
        provider.model_list = None;
    }
    if table.default_model.is_some() {
        provider.default_model = table.default_model;
    }
    provider.profile.extend(table.profile);
    let key = match table.key {
        Some(form) => {
            let entry = KeyringEntry::of_provider(surroundings.keyring, id);
            key_source(form, surroundings, entry)
        }
        None => usual_key_source(&provider),
    };
    Ok(Built {
        engine,
        provider,
        key,
        proxy: table.proxy,
    })
}

/// A provider without a preset. Without a key and a word about it, it is taken to need none.
fn bare(id: &str, table: &ProviderTable) -> Result<Provider, Wrong> {
    let Some(kind) = table.kind else {
        let wrong = Wrong::new("", "has neither `preset` nor `kind`");
        return Err(match preset(id) {
            Some(_) => wrong.hint(format!("add `preset = \"{id}\"`")),
            None => wrong.hint("add `kind = \"chat\"` and `base_url`, or `preset`"),
        });
    };
    if kind != Kind::Demo && table.base_url.is_none() {
        return Err(Wrong::new("", "has no `base_url`")
            .hint("give the URL that the path of the protocol (`/chat/completions`, `/v1/messages`, `/responses`) is appended to"));
    }
    Ok(Provider {
        id: id.to_owned(),
        name: id.to_owned(),
        kind,
        base_url: String::new(),
        auth: Auth::None,
        headers: Vec::new(),
        models: Vec::new(),
        default_model: None,
        profile: toml::Table::new(),
        key_variable: None,
        key_page: None,
        preset: None,
        model_list: None,
        codex_identity: false,
    })
}

/// A preset may leave the address to its user.
fn check_address(template: &Preset, table: &ProviderTable) -> Result<(), Wrong> {
    if template.kind.is_engine() {
        return match table.base_url {
            Some(_) => Err(Wrong::new(
                "base_url",
                "means nothing to a program on this machine",
            )),
            None => Ok(()),
        };
    }
    if template.base_url.is_some() || table.base_url.is_some() {
        return Ok(());
    }
    let wrong = Wrong::new("", "has no `base_url`");
    Err(match &template.base_url_form {
        Some(form) => wrong.hint(format!(
            "preset `{}` cannot know yours; add it, as in `base_url = \"{form}\"`",
            template.id
        )),
        None => wrong,
    })
}

/// What a kind is that its vendor does not offer to others. Said in the error and in the warning.
pub(crate) const PRIVATE_API: &str = "is an API that its vendor keeps for its own client: what is sent imitates that client, it can stop working on any day, and \
     it may break the vendor's terms";

/// The way out for whoever asked for a private API without choosing it.
pub(crate) const SUPPORTED_WAY: &str = "`preset = \"command-code\"` is the supported way";

/// Whether a provider of this kind is there only by explicit choice.
pub(crate) const fn is_private_api(kind: Kind) -> bool {
    match kind {
        Kind::CommandCode => true,
        Kind::Chat
        | Kind::Messages
        | Kind::Responses
        | Kind::CodexExec
        | Kind::CodexAppServer
        | Kind::ChatGpt
        | Kind::Demo => false,
    }
}

/// A private API is never used by accident, and the choice of one means nothing elsewhere.
fn check_choice(kind: Kind, private_api: Option<bool>) -> Result<(), Wrong> {
    match (is_private_api(kind), private_api) {
        (true, Some(true)) | (false, None | Some(false)) => Ok(()),
        (true, None | Some(false)) => {
            let message = format!("kind `{}` {PRIVATE_API}", kind.name());
            let hint = format!("{SUPPORTED_WAY}; `private_api = true` chooses this one");
            Err(Wrong::new("", message).hint(hint))
        }
        (false, Some(true)) => {
            let message = format!("kind `{}` is no private API", kind.name());
            Err(Wrong::new("private_api", message).hint("leave it out"))
        }
    }
}

/// A login and a key are two ways in, and what is said of the one means nothing for the other.
fn check_login(
    auth: &Auth,
    key: Option<&KeyForm>,
    codex_home: Option<&PathBuf>,
    codex_identity: Option<bool>,
) -> Result<(), Wrong> {
    let by_login = match auth {
        Auth::Login => true,
        Auth::Bearer | Auth::Header { .. } | Auth::None => false,
    };
    let unused = match (by_login, key) {
        (true, Some(_)) => {
            let wrong = Wrong::new(
                "key",
                "is not used: the provider is reached by the login of Codex",
            );
            return Err(
                wrong.hint("leave it out, or set `auth = \"bearer\"` if the server wants a key")
            );
        }
        (true, None) => return Ok(()),
        (false, _) if codex_home.is_some() => "codex_home",
        (false, _) if codex_identity == Some(true) => "codex_identity",
        (false, _) => return Ok(()),
    };
    Err(Wrong::new(
        unused,
        "is for providers that are reached by the login of Codex",
    )
    .hint("leave it out"))
}

/// The slash of `provider/model` must not be in the name, nor anything that makes the name hard to type.
fn check_id(id: &str) -> Result<(), Wrong> {
    let legal = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        // Files are named after providers, and these two are folders.
        && !matches!(id, "." | "..");
    if legal {
        Ok(())
    } else {
        Err(Wrong::new(
            "",
            "a provider's name has letters, digits, `-`, `_` and `.` only",
        ))
    }
}

fn find_preset(id: &str) -> Result<&'static Preset, Wrong> {
    preset(id).ok_or_else(|| {
        let known = || presets().iter().map(|preset| preset.id.as_str());
        let wrong = Wrong::new("preset", format!("there is no preset `{id}`"));
        match nearest(id, known()) {
            Some(meant) => wrong.hint(format!("did you mean `{meant}`?")),
            None => wrong.hint(format!("there are {}", quoted(known()))),
        }
    })
}

/// Headers that belong to the connection or to us; setting them would break requests in ways that are hard to find.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

fn check_header(name: &str, value: &str) -> Result<(), Wrong> {
    let legal_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !legal_name {
        return Err(Wrong::new(
            "headers",
            format!("`{name}` cannot be a header's name"),
        ));
    }
    if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(Wrong::new("headers", format!("`{name}` cannot be set")));
    }
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Wrong::new(
            "headers",
            format!("the value of `{name}` has characters that no header can hold"),
        ));
    }
    Ok(())
}

/// The user's list stands in place of the preset's. A name alone keeps what the preset knows about that model.
fn chosen_models(models: Vec<Model>, template: Option<&Preset>) -> Vec<Arc<Model>> {
    let known = |model: &Model| {
        let template = template?;
        let only_named = *model == Model::named(&model.id);
        let known = template.models.iter().find(|known| known.id == model.id)?;
        only_named.then(|| known.clone())
    };
    models
        .into_iter()
        .map(|model| Arc::new(known(&model).unwrap_or(model)))
        .collect()
}

/// Where a key comes from that stands in the settings file, in whichever form. `entry` is its name in the keyring.
pub(crate) fn key_source(
    form: KeyForm,
    surroundings: Surroundings<'_>,
    entry: KeyringEntry,
) -> KeySource {
    let Surroundings {
        config_dir,
        home,
        keyring,
    } = surroundings;
    match form {
        KeyForm::Literal(key) => KeySource::Literal(key),
        KeyForm::Env(name) => KeySource::Env(name),
        KeyForm::File(path) => KeySource::File(expand(&path, config_dir, home)),
        KeyForm::Command(command) => KeySource::Command(command),
        KeyForm::Keyring(None) => KeySource::Keyring(entry),
        KeyForm::Keyring(Some(name)) => KeySource::Keyring(KeyringEntry::named(keyring, name)),
    }
}

/// Where the key of a provider is when nobody says: in its usual variable.
pub(crate) fn usual_key_source(provider: &Provider) -> KeySource {
    match (&provider.auth, &provider.key_variable) {
        (Auth::Login | Auth::None, _) => KeySource::None,
        (Auth::Bearer | Auth::Header { .. }, Some(name)) => KeySource::Env(name.clone()),
        (Auth::Bearer | Auth::Header { .. }, None) => {
            KeySource::Env(conventional_variable(&provider.id))
        }
    }
}

/// `my-house` keeps its key in `MY_HOUSE_API_KEY`.
fn conventional_variable(id: &str) -> String {
    let stem: String = id
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("{stem}_API_KEY")
}

/// `~/` is the home folder; other relative paths start at the settings file.
pub(crate) fn expand(path: &Path, config_dir: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => config_dir.join(path),
    }
}
