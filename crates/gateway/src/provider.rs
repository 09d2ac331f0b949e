//! The provider's side of a turn: which dialect it speaks, with which habits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use polywire_catalog::{Kind, Model, Provider};
use polywire_conversation::envelope::Minter;
use polywire_conversation::{Fault, Loss, ModelFacts, ReadStream, Rendered, Request, Text, Tool};
use polywire_demo_model as demo_model;
use polywire_dialect_chat as chat;
use polywire_dialect_command_code as command_code;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;
use serde::de::DeserializeOwned;

use crate::engine;
use crate::private;
use crate::read::Framing;
use crate::sealing::{open_state, seal_one};
use crate::settle::lowered;

/// What is spoken to a provider.
pub(crate) enum ProviderDialect {
    /// OpenAI Chat Completions.
    Chat(Profiles<chat::Profile>),
    /// Anthropic Messages.
    Messages(Profiles<messages::Profile>),
    /// OpenAI Responses.
    Responses(Profiles<responses::Profile>),
    /// A Codex on this machine, which is asked in the form of OpenAI Responses.
    Engine(Profiles<responses::Profile>),
    /// Command Code's private API.
    CommandCode(Profiles<command_code::Profile>),
    /// The built-in model, which is asked without HTTP.
    Demo,
}

/// A provider's habits, and those of its models that differ.
pub(crate) struct Profiles<P> {
    usual: P,
    by_model: HashMap<String, P>,
}

/// A request on its way to a provider.
pub(crate) struct Ask<'a> {
    /// What the client asks for, with its envelopes opened for this provider.
    pub(crate) request: &'a Request<'a>,
    /// The model.
    pub(crate) model: ModelFacts<'a>,
    /// The body that the client sent, when it is to go out as it is: the provider speaks the same protocol, and
    /// [takes it](ProviderDialect::takes_bytes).
    pub(crate) body: Option<&'a [u8]>,
    /// The provider's own state goes back to it; not when it has refused that.
    pub(crate) opens: bool,
    /// Who mints the state of the answer.
    pub(crate) home: &'a Minter,
    /// Makes the ids that the answer may lack.
    pub(crate) seed: &'a str,
    /// The working directory that the client wants; only a program on this machine has one.
    pub(crate) cwd: Option<&'a str>,
}

/// A request as a provider takes it, and what is needed to read the answer.
pub(crate) struct Encoded {
    /// What goes out.
    pub(crate) outgoing: Outgoing,

    /// The names under which tools are offered.
    pub(crate) tools: Vec<String>,
    /// How many tools go out under another name or in another form.
    pub(crate) lowered: usize,
    /// The form of the answer is told to the model in words only.
    pub(crate) format_in_words: bool,
    /// The provider stops at the client's stop texts by itself.
    pub(crate) stops: bool,
    /// The client's own protocol passes as it is.
    pub(crate) native: bool,
    /// What could not be carried.
    pub(crate) losses: Vec<Loss>,
}

/// What goes to a provider.
pub(crate) enum Outgoing {
    /// A JSON body.
    Body {
        /// The body.
        body: Vec<u8>,
        /// Headers of this request alone.
        headers: Vec<(String, String)>,
        /// What reads the answer.
        reader: Box<dyn ReadStream>,
    },
    /// A request to a Codex on this machine.
    Engine {
        /// A body of the Responses protocol.
        body: Vec<u8>,
        /// The working directory that the client wants.
        cwd: Option<String>,
        /// What reads the frames of the answer.
        reader: Box<dyn ReadStream>,
    },
    /// The demo model's whole answer.
    Demo(Vec<demo_model::Step>),
}

impl ProviderDialect {
    /// The dialect of a provider, with its profiles read.
    ///
    /// # Errors
    /// What is wrong with which profile.
    pub(crate) fn new(provider: &Provider) -> Result<Self, String> {
        Ok(match provider.kind {
            Kind::Chat => ProviderDialect::Chat(Profiles::read(provider)?),
            Kind::Responses | Kind::ChatGpt => {
                ProviderDialect::Responses(Profiles::read(provider)?)
            }
            Kind::Demo => ProviderDialect::Demo,
            Kind::Messages => ProviderDialect::Messages(Profiles::read(provider)?),
            Kind::CommandCode => ProviderDialect::CommandCode(Profiles::read(provider)?),
            Kind::CodexExec | Kind::CodexAppServer => {
                ProviderDialect::Engine(Profiles::read(provider)?)
            }
        })
    }

    /// The path of the endpoint below the provider's base URL.
    pub(crate) fn path(&self) -> &'static str {
        match self {
            ProviderDialect::Chat(_) => chat::PATH,
            ProviderDialect::Messages(_) => messages::PATH,
            ProviderDialect::CommandCode(_) => command_code::PATH,
            ProviderDialect::Responses(_) => responses::PATH,
            ProviderDialect::Engine(_) | ProviderDialect::Demo => "",
        }
    }

    /// Headers that every request of the protocol carries. A provider's own come above them.
    pub(crate) fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            // The only version there is; a request without one is refused.
            ProviderDialect::Messages(_) => &[("anthropic-version", "2023-06-01")],
            ProviderDialect::Chat(_)
            | ProviderDialect::Responses(_)
            | ProviderDialect::CommandCode(_)
            | ProviderDialect::Engine(_)
            | ProviderDialect::Demo => &[],
        }
    }

    /// How the answer is cut into frames.
    pub(crate) fn framing(&self) -> Framing {
        match self {
            ProviderDialect::Chat(_)
            | ProviderDialect::Messages(_)
            | ProviderDialect::Responses(_)
            | ProviderDialect::Engine(_)
            | ProviderDialect::Demo => Framing::Events,
            ProviderDialect::CommandCode(_) => Framing::Lines,
        }
    }

    /// Reads the answer to a request that failed as a whole.
    pub(crate) fn read_error(
        &self,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> Fault {
        match self {
            ProviderDialect::CommandCode(_) => command_code::read_error(status, retry_after, body),
            ProviderDialect::Chat(_)
            | ProviderDialect::Messages(_)
            | ProviderDialect::Responses(_)
            | ProviderDialect::Engine(_)
            | ProviderDialect::Demo => polywire_wire::read_error(status, retry_after, body),
        }
    }

    /// Whether the provider may pause in the middle of its turn. Messages and Command Code do so while their own tools are at work,
    /// Responses says at any time that a turn is not over (`end_turn`). Chat Completions has no pause; a service in front of
    /// one that has may pass it on when the client had hosted tools.
    pub(crate) fn pauses(&self, request: &Request<'_>) -> bool {
        match self {
            ProviderDialect::Responses(_)
            | ProviderDialect::Messages(_)
            | ProviderDialect::CommandCode(_) => true,
            ProviderDialect::Chat(_) => {
                request.compact
                    || request
                        .all_tools()
                        .any(|tool| matches!(tool, Tool::Hosted { .. }))
            }
            // An engine's turn goes on by itself until it is over.
            ProviderDialect::Engine(_) | ProviderDialect::Demo => false,
        }
    }

    /// Whether the provider carries out hosted tools of this wire type itself.
    pub(crate) fn takes_hosted(&self, model: &str, tag: &str) -> bool {
        match self {
            ProviderDialect::Chat(_) | ProviderDialect::CommandCode(_) | ProviderDialect::Demo => {
                false
            }
            ProviderDialect::Messages(profiles) => {
                tag.starts_with("web_search") && profiles.of(model).hosted_web_search.is_some()
            }
            ProviderDialect::Responses(profiles) | ProviderDialect::Engine(profiles) => {
                profiles.of(model).carries_out(tag)
            }
        }
    }

    /// Whether the client's own bytes can go to the provider.
    pub(crate) fn takes_bytes(&self, request: &Request<'_>, model: &str) -> bool {
        match self {
            ProviderDialect::Messages(profiles) => {
                messages::native::is_plain(request, profiles.of(model))
            }
            ProviderDialect::Responses(profiles) => {
                responses::is_plain(request, profiles.of(model))
            }
            ProviderDialect::Chat(_)
            | ProviderDialect::CommandCode(_)
            | ProviderDialect::Engine(_)
            | ProviderDialect::Demo => false,
        }
    }

    /// Puts a request into the provider's form.
    ///
    /// # Errors
    /// A [`Fault`] when the request asks for something that cannot be left out.
    pub(crate) fn encode(&self, ask: &Ask<'_>) -> Result<Encoded, Fault> {
        match self {
            ProviderDialect::Demo => Ok(Encoded {
                outgoing: Outgoing::Demo(demo_model::answer(ask.request)),
                tools: own_names(ask.request),
                lowered: 0,
                format_in_words: false,
                stops: false,
                native: false,
                losses: Vec::new(),
            }),
            ProviderDialect::Responses(profiles) => {
                let profile = profiles.of(ask.model.name);
                if let Some(body) = ask.body {
                    return native_responses(ask, body, profile);
                }
                let rendered = responses::render(ask.request, &ask.model, profile)?;
                let headers = cache_key_headers(ask.request, profile);
                Ok(encoded(rendered, headers, |ledger| {
                    Box::new(responses::ResponsesReader::new(ledger, ask.seed))
                }))
            }
            ProviderDialect::Engine(profiles) => engine::encode(ask, profiles.of(ask.model.name)),
            ProviderDialect::CommandCode(profiles) => {
                let profile = profiles.of(ask.model.name);
                private::encode(ask, profile)
            }
            ProviderDialect::Messages(profiles) => {
                let profile = profiles.of(ask.model.name);
                if let Some(body) = ask.body {
                    return native_messages(ask, body, profile);
                }
                let rendered = messages::render(ask.request, &ask.model, profile)?;
                Ok(encoded(rendered, Vec::new(), |ledger| {
                    Box::new(messages::MessagesReader::new(ledger, ask.seed))
                }))
            }
            ProviderDialect::Chat(profiles) => {
                let profile = profiles.of(ask.model.name);
                let rendered = chat::render(ask.request, &ask.model, profile)?;
                Ok(encoded(rendered, Vec::new(), |ledger| {
                    Box::new(chat::ChatReader::new(ledger, ask.seed).with_profile(profile))
                }))
            }
        }
    }
}

/// A request that keeps its bytes, because client and provider speak the same protocol.
fn native_messages(
    ask: &Ask<'_>,
    body: &[u8],
    profile: &messages::Profile,
) -> Result<Encoded, Fault> {
    let edited = messages::native::edit(
        &String::from_utf8_lossy(body),
        messages::native::NativeEdits {
            model: ask.model.name,
            profile,
            open: &|sealed| open_state(sealed, ask.home).ok().filter(|_| ask.opens),
        },
    )?;
    let reader = messages::native::NativeReader::new(Arc::default(), ask.seed, sealing(ask));
    Ok(native(edited.body, edited.losses, Box::new(reader), ask))
}

/// What seals the state of an answer that keeps its bytes.
fn sealing(ask: &Ask<'_>) -> messages::native::Seal {
    let home = ask.home.clone();
    Box::new(move |kind, state| seal_one(&home, kind, state))
}

/// The same for the other protocol of which there are both sides.
fn native_responses(
    ask: &Ask<'_>,
    body: &[u8],
    profile: &responses::Profile,
) -> Result<Encoded, Fault> {
    let edited = responses::edit(
        &String::from_utf8_lossy(body),
        &responses::NativeEdits {
            model: ask.model.name,
            profile,
            open: &|sealed| open_state(sealed, ask.home).ok().filter(|_| ask.opens),
        },
    )?;
    let reader = responses::NativeReader::new(Arc::default(), ask.seed, sealing(ask));
    let mut encoded = native(
        edited.body.into_bytes(),
        edited.losses,
        Box::new(reader),
        ask,
    );
    if let Outgoing::Body { headers, .. } = &mut encoded.outgoing {
        headers.extend(cache_key_headers(ask.request, profile));
    }
    Ok(encoded)
}

/// The headers that repeat the key of the prompt cache. A key that no header can carry stands in the body only.
fn cache_key_headers(request: &Request<'_>, profile: &responses::Profile) -> Vec<(String, String)> {
    let Some(key) = request.cache_key.as_ref().map(Text::to_plain) else {
        return Vec::new();
    };
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Vec::new();
    }
    let names = profile.cache_key_headers.iter();
    names
        .map(|name| (name.clone(), key.clone().into_owned()))
        .collect()
}

fn native(body: Vec<u8>, losses: Vec<Loss>, reader: Box<dyn ReadStream>, ask: &Ask<'_>) -> Encoded {
    Encoded {
        outgoing: Outgoing::Body {
            body,
            headers: Vec::new(),
            reader,
        },
        tools: own_names(ask.request),
        lowered: 0,
        format_in_words: false,
        stops: true,
        native: true,
        losses,
    }
}

/// The names of all tools, in order; empty for those that have none.
fn own_names(request: &Request<'_>) -> Vec<String> {
    let name = |tool: &Tool<'_>| match tool {
        Tool::Function(function) => function.name.clone().into_owned(),
        Tool::Freeform { name, .. } | Tool::Namespace { name, .. } => name.clone().into_owned(),
        Tool::Search { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => String::new(),
    };
    request.all_tools().map(name).collect()
}

pub(crate) fn encoded(
    rendered: Rendered,
    headers: Vec<(String, String)>,
    reader: impl FnOnce(Arc<polywire_conversation::Ledger>) -> Box<dyn ReadStream>,
) -> Encoded {
    let Rendered {
        body,
        ledger,
        tools,
        format_in_words,
        stops,
        losses,
    } = rendered;
    Encoded {
        lowered: lowered(&ledger),
        outgoing: Outgoing::Body {
            body,
            headers,
            reader: reader(Arc::new(ledger)),
        },
        tools,
        format_in_words,
        stops,
        native: false,
        losses,
    }
}

impl<P: DeserializeOwned> Profiles<P> {
    fn read(provider: &Provider) -> Result<Self, String> {
        let by_model = provider
            .models
            .iter()
            .filter(|model| !model.profile.is_empty())
            .map(|model| Ok((model.id.clone(), profile(provider, Some(model))?)))
            .collect::<Result<_, String>>()?;
        Ok(Self {
            usual: profile(provider, None)?,
            by_model,
        })
    }

    fn of(&self, model: &str) -> &P {
        self.by_model.get(model).unwrap_or(&self.usual)
    }
}

fn profile<P: DeserializeOwned>(provider: &Provider, model: Option<&Model>) -> Result<P, String> {
    let table = provider.profile_for(model).into_owned();
    table.try_into().map_err(|error: toml::de::Error| {
        let of_model = model.map(|model| format!(" of model `{}`", model.id));
        let of_model = of_model.unwrap_or_default();
        format!("profile{of_model}: {}", error.message())
    })
}
