//! What there is to know about a provider and its models.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::{Price, preset};

/// How a provider is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any service that speaks the `OpenAI` Chat Completions API.
    Chat,
    /// Any service that speaks the Anthropic Messages API.
    Messages,
    /// Any service that speaks the `OpenAI` Responses API.
    Responses,
    /// A Codex on this machine, one process for each turn (`codex exec`). It takes no tools of its clients.
    CodexExec,
    /// A Codex on this machine, in long-lived processes (`codex app-server`).
    CodexAppServer,
    /// The service behind Codex, by the login that Codex keeps on this machine. It speaks the Responses API with habits of its own.
    ChatGpt,
    /// Command Code's private API, by explicit choice only.
    CommandCode,
    /// The scripted model that is built in. It needs no network and no key.
    Demo,
}

/// A kind of provider that this version does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kind `{kind}` is not available in this version; there are: {names}", kind = .0, names = Kind::names())]
pub struct UnknownKind(pub String);

impl Kind {
    /// Every kind, in the order in which it is shown.
    pub const ALL: &'static [Kind] = &[
        Kind::Chat,
        Kind::Messages,
        Kind::Responses,
        Kind::CodexExec,
        Kind::CodexAppServer,
        Kind::ChatGpt,
        Kind::CommandCode,
        Kind::Demo,
    ];

    /// The word for it in settings and presets.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Chat => "chat",
            Kind::Messages => "messages",
            Kind::Responses => "responses",
            Kind::CodexExec => "codex-exec",
            Kind::CodexAppServer => "codex-app-server",
            Kind::ChatGpt => "chatgpt",
            Kind::CommandCode => "command-code",
            Kind::Demo => "demo",
        }
    }

    /// Whether it is a program on this machine, which has no address and no key.
    pub const fn is_engine(self) -> bool {
        match self {
            Kind::CodexExec | Kind::CodexAppServer => true,
            Kind::Chat
            | Kind::Messages
            | Kind::Responses
            | Kind::ChatGpt
            | Kind::CommandCode
            | Kind::Demo => false,
        }
    }

    /// The preset that describes what is special about the kind, for those who name the kind alone.
    pub const fn own_preset(self) -> Option<&'static str> {
        match self {
            Kind::CodexExec => Some("codex-exec"),
            Kind::CodexAppServer => Some("codex-app-server"),
            Kind::ChatGpt => Some("chatgpt"),
            Kind::Chat | Kind::Messages | Kind::Responses | Kind::CommandCode | Kind::Demo => None,
        }
    }

    /// Reads the word for it.
    ///
    /// # Errors
    /// The word names no kind of this version; the error lists those that exist.
    pub fn parse(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == word)
            .ok_or_else(|| UnknownKind(word.to_owned()))
    }

    fn names() -> String {
        let names: Vec<String> = Self::ALL
            .iter()
            .map(|kind| format!("`{}`", kind.name()))
            .collect();
        names.join(", ")
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Kind::parse(&word).map_err(de::Error::custom)
    }
}

/// How a provider wants the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    #[default]
    Bearer,
    /// The key alone in a header of this name, such as `api-key`.
    Header {
        /// The header's name.
        name: String,
    },
    /// The login that Codex keeps on this machine: `Authorization: Bearer <access token>`, and headers that name the account.
    Login,
    /// No key at all, as with most local servers.
    None,
}

/// `"bearer"`, `"login"`, `"none"` or `{ header = "api-key" }`.
impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct HeaderAuth {
            header: String,
        }

        struct AuthVisitor;
        impl<'de> Visitor<'de> for AuthVisitor {
            type Value = Auth;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`\"bearer\"`, `\"login\"`, `\"none\"` or `{ header = \"name\" }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Auth, E> {
                match word {
                    "bearer" => Ok(Auth::Bearer),
                    "login" => Ok(Auth::Login),
                    "none" => Ok(Auth::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Auth, A::Error> {
                let table = HeaderAuth::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Auth::Header { name: table.header })
            }
        }
        deserializer.deserialize_any(AuthVisitor)
    }
}

/// A company or a server that answers turns, as the user configured it.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The name by which settings and model names refer to it: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// How it is reached.
    pub kind: Kind,
    /// Where it is, as [`normalise_base_url`](crate::normalise_base_url) leaves it; empty for the demo.
    pub base_url: String,
    /// How it wants the key.
    pub auth: Auth,
    /// Headers that every request to it carries besides our own, in order.
    pub headers: Vec<(String, String)>,
    /// The models that are known to be there. Others are passed through by name.
    pub models: Vec<Arc<Model>>,
    /// The upstream model for a request that names none.
    pub default_model: Option<String>,
    /// Its wire habits, for the dialect, which knows the keys.
    pub profile: toml::Table,
    /// The environment variable in which people usually keep its key.
    pub key_variable: Option<String>,
    /// The page on which one gets a key.
    pub key_page: Option<String>,
    /// The preset that it was made from.
    pub preset: Option<String>,
    /// Where the list of its models is kept up to date; `None` when the models above are all that is known.
    pub model_list: Option<ModelList>,
    /// Whether requests call themselves Codex's own, in `originator` and `User-Agent`. Only for services whose filters refuse
    /// everybody else, and only by its user's choice.
    pub codex_identity: bool,
}

/// Lists of models that providers give out, by their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelList {
    /// `GET /models?client_version=…` as Codex asks for it: `models[]` with `slug`, `visibility` and what the model can.
    Codex,
}

impl Provider {
    /// The model of this upstream name, when it is listed.
    pub fn model(&self, upstream_model: &str) -> Option<&Arc<Model>> {
        self.models.iter().find(|model| model.id == upstream_model)
    }

    /// The form of the list of models that it gives out, if that is not the usual one. A list by hand in the settings changes nothing
    /// about what the provider has.
    pub fn list_form(&self) -> Option<ModelList> {
        let template = self.preset.as_deref().and_then(preset);
        self.model_list
            .or_else(|| template.and_then(|template| template.model_list))
    }

    /// The address of its list of models: the one that its preset knows, as long as the provider is where the preset says, else the
    /// path of the protocol below its own address.
    pub fn models_url(&self) -> String {
        let template = self.preset.as_deref().and_then(preset);
        let template =
            template.filter(|template| template.base_url.as_ref() == Some(&self.base_url));
        if let Some(url) = template.and_then(|template| template.models_url.clone()) {
            return url;
        }
        let path = match self.kind {
            Kind::Messages => "/v1/models",
            Kind::Chat
            | Kind::Responses
            | Kind::CodexExec
            | Kind::CodexAppServer
            | Kind::ChatGpt
            | Kind::CommandCode
            | Kind::Demo => "/models",
        };
        format!("{}{path}", self.base_url)
    }

    /// The wire habits towards one model: the provider's own, and above them those in which the model differs.
    pub fn profile_for(&self, model: Option<&Model>) -> Cow<'_, toml::Table> {
        match model {
            Some(model) if !model.profile.is_empty() => {
                let mut profile = self.profile.clone();
                profile.extend(model.profile.clone());
                Cow::Owned(profile)
            }
            Some(_) | None => Cow::Borrowed(&self.profile),
        }
    }

    /// The upstream model for a request that names none: the default one, else the first that is listed.
    pub fn usual_model(&self) -> Option<&str> {
        self.default_model
            .as_deref()
            .or_else(|| self.models.first().map(|model| model.id.as_str()))
    }
}

/// A model of a provider, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The name that the provider knows it by.
    pub id: String,
    /// The name for people.
    pub display_name: String,
    /// Tokens of input and output together; `None` when nobody said.
    pub context_window: Option<u64>,
    /// The most tokens that one answer may have; `None` leaves it to the provider.
    pub output_tokens_max: Option<u64>,
    /// Whether it takes pictures. True when only the name is known: refusing beforehand would take pictures away for good.
    pub images: bool,
    /// The reasoning efforts to choose from, least first. Empty when there is no choice.
    pub reasoning_efforts: Vec<String>,
    /// The effort to begin with.
    pub default_effort: Option<String>,
    /// Whether it copes with free-text tools such as `apply_patch`.
    pub freeform_tools: bool,
    /// Whether it can be told how wordy to be.
    pub verbosity: bool,
    /// What it costs, where known.
    pub price: Option<Price>,
    /// Wire habits in which it differs from its provider's profile.
    pub profile: toml::Table,
}

impl Model {
    /// A model of which only the name is known.
    pub fn named(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            display_name: id.clone(),
            id,
            context_window: None,
            output_tokens_max: None,
            images: true,
            reasoning_efforts: Vec::new(),
            default_effort: None,
            freeform_tools: true,
            verbosity: false,
            price: None,
            profile: toml::Table::new(),
        }
    }
}

/// The table form of a model.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelTable {
    id: String,
    display_name: Option<String>,
    context_window: Option<u64>,
    output_tokens_max: Option<u64>,
    #[serde(default)]
    images: bool,
    #[serde(default)]
    reasoning_efforts: Vec<String>,
    default_effort: Option<String>,
    freeform_tools: Option<bool>,
    #[serde(default)]
    verbosity: bool,
    price: Option<Price>,
    #[serde(default)]
    profile: toml::Table,
}

impl From<ModelTable> for Model {
    fn from(table: ModelTable) -> Self {
        Self {
            display_name: table.display_name.unwrap_or_else(|| table.id.clone()),
            id: table.id,
            context_window: table.context_window,
            output_tokens_max: table.output_tokens_max,
            images: table.images,
            reasoning_efforts: table.reasoning_efforts,
            default_effort: table.default_effort,
            freeform_tools: table.freeform_tools.unwrap_or(true),
            verbosity: table.verbosity,
            price: table.price,
            profile: table.profile,
        }
    }
}

/// A name alone, or a table of facts.
impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModelVisitor;
        impl<'de> Visitor<'de> for ModelVisitor {
            type Value = Model;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a model's name, or a table with `id` and what is known of it")
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<Model, E> {
                Ok(Model::named(id))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Model, A::Error> {
                ModelTable::deserialize(de::value::MapAccessDeserializer::new(map)).map(Model::from)
            }
        }
        deserializer.deserialize_any(ModelVisitor)
    }
}
