//! A provider made ready for use: its address, its key, its wire habits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use polywire_catalog::{Auth, Kind, Model, Provider};
use polywire_conversation::{Fault, FaultClass, Ledger, Loss, ModelFacts, Origin, Request, Retry};
use polywire_credentials::{KeySource, Secret};
use polywire_demo_model as demo_model;
use polywire_dialect_chat as chat;
use polywire_plan::Target;
use polywire_upstream::{HeaderMap, HeaderName, HeaderValue, Incoming, Response, Upstream, Uri};
use tokio::sync::Mutex;

use crate::answer::Source;
use crate::body::outgoing;
use crate::fault::{not_sent, without_key};
use crate::limits::{DRAIN_TIMEOUT, ERROR_BODY_TIMEOUT, WHOLE_BYTES_MAX};
use crate::read::BodyReader;
use crate::state::Variables;

/// Who we are to providers.
const USER_AGENT: &str = concat!("polywire/", env!("CARGO_PKG_VERSION"));

/// A setting of a provider that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("provider `{provider}`: {problem}")]
pub struct ConfigurationError {
    /// The provider's id.
    pub provider: String,
    /// What is wrong with which setting.
    pub problem: String,
}

/// A provider made ready for use.
pub struct Endpoint {
    provider: Arc<Provider>,
    wire: Wire,
    key: Key,
}

/// What is spoken to the provider.
enum Wire {
    Chat(Box<ChatWire>),
    Demo,
}

/// A provider that speaks Chat Completions.
struct ChatWire {
    url: Uri,
    /// What every request carries, but for the key.
    headers: HeaderMap,
    profile: chat::Profile,
    /// Profiles of models that differ from their provider's.
    by_model: HashMap<String, chat::Profile>,
}

/// A key that is looked up when it is first needed and kept until it is refused.
struct Key {
    source: KeySource,
    variables: Variables,
    known: Mutex<Option<Secret>>,
}

/// A request as the provider takes it.
pub struct Encoded {
    /// What goes to the provider.
    pub outgoing: Outgoing,
    /// What could not be carried.
    pub losses: Vec<Loss>,
}

/// What goes to a provider, and what is needed to read the answer.
pub enum Outgoing {
    /// A Chat Completions body.
    Chat {
        /// The body.
        body: Vec<u8>,
        /// What was lowered in it.
        ledger: Ledger,
    },
    /// The demo model's whole answer.
    Demo(Vec<demo_model::Step>),
}

impl Endpoint {
    /// Prepares a provider.
    ///
    /// # Errors
    /// [`ConfigurationError`] when its address, headers or profile cannot be used.
    pub fn new(
        provider: &Arc<Provider>,
        key: KeySource,
        variables: &Variables,
    ) -> Result<Self, ConfigurationError> {
        let wire = match provider.kind {
            Kind::Demo => Wire::Demo,
            Kind::Messages | Kind::Responses | Kind::CommandCode => {
                return Err(ConfigurationError {
                    provider: provider.id.clone(),
                    problem: format!("kind `{}` is not served yet", provider.kind.name()),
                });
            }
            Kind::Chat => chat_wire(provider)
                .map(|wire| Wire::Chat(Box::new(wire)))
                .map_err(|problem| ConfigurationError {
                    provider: provider.id.clone(),
                    problem,
                })?,
        };
        Ok(Self {
            provider: Arc::clone(provider),
            wire,
            key: Key {
                source: key,
                variables: Arc::clone(variables),
                known: Mutex::new(None),
            },
        })
    }

    /// The provider.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The provider's id.
    pub fn provider_id(&self) -> &str {
        &self.provider.id
    }

    /// Puts a request into the provider's form.
    ///
    /// # Errors
    /// A [`Fault`] when the request asks for something that cannot be left out.
    pub fn encode(&self, request: &Request<'_>, target: &Target) -> Result<Encoded, Fault> {
        match &self.wire {
            Wire::Demo => Ok(Encoded {
                outgoing: Outgoing::Demo(demo_model::answer(request)),
                losses: Vec::new(),
            }),
            Wire::Chat(wire) => {
                let by_model = wire.by_model.get(&target.upstream_model);
                let profile = by_model.unwrap_or(&wire.profile);
                // A model that nobody has described is given the benefit of the doubt.
                let known = target.model.as_deref();
                let model = ModelFacts {
                    name: &target.upstream_model,
                    images: known.is_none_or(|model| model.images),
                    output_tokens_max: known.and_then(|model| model.output_tokens_max),
                };
                let rendered = chat::render(request, &model, profile)?;
                Ok(Encoded {
                    outgoing: Outgoing::Chat {
                        body: rendered.body,
                        ledger: rendered.ledger,
                    },
                    losses: rendered.losses,
                })
            }
        }
    }

    /// Sends a request and waits for the beginning of the answer. `seed` makes the ids that the answer may lack.
    ///
    /// # Errors
    /// The [`Fault`] that the provider, the network or the key is to blame for.
    pub async fn send(
        &self,
        outgoing: Outgoing,
        upstream: &Upstream,
        seed: &str,
    ) -> Result<Source, Fault> {
        match (outgoing, &self.wire) {
            (Outgoing::Chat { body, ledger }, Wire::Chat(wire)) => {
                let key = self.key().await?;
                let request = self.request(wire, body, key.as_ref())?;
                let response = upstream.send(request).await.map_err(|error| {
                    not_sent(self.provider_id(), &self.provider.base_url, &error)
                })?;
                let response = self
                    .accepted(response)
                    .await
                    .map_err(|fault| without_key(fault, key.as_ref()))?;
                let reader = chat::ChatReader::new(Arc::new(ledger), seed);
                Ok(Source::Upstream {
                    body: response.into_body(),
                    reader: BodyReader::new(Box::new(reader)),
                    key,
                })
            }
            (Outgoing::Demo(steps), _) => Ok(Source::Script {
                steps: steps.into(),
                pausing: false,
            }),
            (Outgoing::Chat { .. }, Wire::Demo) => Err(crate::fault::ours(
                "a chat body cannot go to the demo model",
            )),
        }
    }

    /// Whether the provider's key can be had, or none is needed.
    pub async fn has_key(&self) -> bool {
        self.key().await.is_ok()
    }

    async fn key(&self) -> Result<Option<Secret>, Fault> {
        match &self.provider.auth {
            Auth::None => Ok(None),
            Auth::Bearer | Auth::Header { .. } => self.key.get(&self.provider).await,
        }
    }

    fn request(
        &self,
        wire: &ChatWire,
        body: Vec<u8>,
        key: Option<&Secret>,
    ) -> Result<http::Request<Full<Bytes>>, Fault> {
        let mut request = http::Request::new(Full::new(outgoing(body)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = wire.url.clone();
        *request.headers_mut() = wire.headers.clone();
        if let Some(key) = key {
            let (name, value) = self.authorization(key)?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    fn authorization(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), Fault> {
        let (name, prefix) = match &self.provider.auth {
            Auth::None | Auth::Bearer => (http::header::AUTHORIZATION, "Bearer "),
            Auth::Header { name } => (header_name(name).map_err(crate::fault::ours)?, ""),
        };
        let mut value =
            HeaderValue::try_from(format!("{prefix}{}", key.reveal())).map_err(|_| {
                no_key(
                    &self.provider,
                    "its key holds characters that no HTTP header can carry",
                )
            })?;
        value.set_sensitive(true);
        Ok((name, value))
    }

    /// The answer if its status says success, else the fault that it tells of.
    async fn accepted(&self, response: Response<Incoming>) -> Result<Response<Incoming>, Fault> {
        let status = response.status();
        if status.is_redirection() {
            return Err(redirected(&self.provider, &response));
        }
        let encoding = encoding(response.headers());
        if status.is_success() {
            return match encoding {
                None => Ok(response),
                Some(encoding) => Err(Fault::new(
                    FaultClass::Protocol,
                    format!(
                        "provider `{}` sent a compressed answer ({encoding}), which was not asked for and is not read",
                        self.provider_id()
                    ),
                )),
            };
        }
        let retry_after = retry_after(response.headers());
        // A body that cannot be read leaves the status to tell the fault.
        let body = match encoding {
            None => error_body(response.into_body()).await,
            Some(_) => Bytes::new(),
        };
        let fault = polywire_wire::read_error(status.as_u16(), retry_after, &body);
        if fault.class == FaultClass::Auth {
            self.key.forget().await;
        }
        Err(self.introduced(fault))
    }

    /// The fault with the provider's name in front of its words.
    fn introduced(&self, mut fault: Fault) -> Fault {
        fault.message = format!("provider `{}`: {}", self.provider_id(), fault.message);
        fault
    }
}

impl Key {
    async fn get(&self, provider: &Provider) -> Result<Option<Secret>, Fault> {
        let mut known = self.known.lock().await;
        if known.is_none() {
            let variables = &*self.variables;
            *known = self
                .source
                .resolve(variables)
                .await
                .map_err(|error| no_key(provider, &error.to_string()))?;
        }
        Ok(known.clone())
    }

    /// The provider refused it: it may have been replaced at its source.
    async fn forget(&self) {
        *self.known.lock().await = None;
    }
}

/// Reads the rest of a finished answer, so that its connection can serve another turn.
pub(crate) async fn read_to_end(mut rest: Incoming) {
    let to_end = async { while let Some(Ok(_)) = rest.frame().await {} };
    // Too slow: dropping the rest closes the connection, which is all that is left to do.
    if tokio::time::timeout(DRAIN_TIMEOUT, to_end).await.is_err() {
        tracing::trace!("a finished answer did not end in time");
    }
}

fn chat_wire(provider: &Provider) -> Result<ChatWire, String> {
    let url = format!("{}{}", provider.base_url, chat::PATH);
    let url = Uri::try_from(&url).map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let by_model = provider
        .models
        .iter()
        .filter(|model| !model.profile.is_empty())
        .map(|model| Ok((model.id.clone(), profile(provider, Some(model))?)))
        .collect::<Result<_, String>>()?;
    Ok(ChatWire {
        url,
        headers: headers(provider)?,
        profile: profile(provider, None)?,
        by_model,
    })
}

fn profile(provider: &Provider, model: Option<&Model>) -> Result<chat::Profile, String> {
    let table = provider.profile_for(model).into_owned();
    table.try_into().map_err(|error: toml::de::Error| {
        let of_model = model.map(|model| format!(" of model `{}`", model.id));
        let of_model = of_model.unwrap_or_default();
        format!("profile{of_model}: {}", error.message())
    })
}

fn headers(provider: &Provider) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let fixed = [
        (http::header::CONTENT_TYPE, "application/json"),
        (http::header::ACCEPT, "text/event-stream"),
        (http::header::ACCEPT_ENCODING, "identity"),
        (http::header::USER_AGENT, USER_AGENT),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in &provider.headers {
        let value = HeaderValue::try_from(value)
            .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
        headers.insert(header_name(name)?, value);
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header name"))
}

/// `Retry-After`: seconds, perhaps with a fraction, or the date of the moment.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    if let Ok(seconds) = value.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let moment = httpdate::parse_http_date(value).ok()?;
    Some(moment.duration_since(SystemTime::now()).unwrap_or_default())
}

/// What the body is compressed with, if it is.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = headers.get(http::header::CONTENT_ENCODING)?;
    (encoding != "identity").then(|| String::from_utf8_lossy(encoding.as_bytes()).into_owned())
}

async fn error_body(body: Incoming) -> Bytes {
    let collected = Limited::new(body, WHOLE_BYTES_MAX).collect();
    match tokio::time::timeout(ERROR_BODY_TIMEOUT, collected).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) | Err(_) => Bytes::new(),
    }
}

fn redirected(provider: &Provider, response: &Response<Incoming>) -> Fault {
    let location = response.headers().get(http::header::LOCATION);
    let to = location
        .and_then(|value| value.to_str().ok())
        .unwrap_or("elsewhere");
    Fault {
        retry: Retry::Elsewhere,
        ..Fault::new(
            FaultClass::Protocol,
            format!(
                "provider `{}` redirects {} to `{to}` (status {}). hint: set `base_url` to the address it means",
                provider.id,
                provider.base_url,
                response.status().as_u16()
            ),
        )
    }
}

fn no_key(provider: &Provider, problem: &str) -> Fault {
    let variable = provider.key_variable.as_deref();
    let hint = match variable {
        Some(variable) => format!("set {variable}, or `key` under [providers.{}]", provider.id),
        None => format!("set `key` under [providers.{}]", provider.id),
    };
    Fault {
        origin: Origin::Credentials,
        ..Fault::new(
            FaultClass::Auth,
            format!(
                "there is no key for provider `{}`: {problem}. hint: {hint}",
                provider.id
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_has_two_forms() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                http::header::RETRY_AFTER,
                HeaderValue::try_from(value).unwrap(),
            );
            retry_after(&headers)
        };
        assert_eq!(check("7"), Some(Duration::from_secs(7)));
        assert_eq!(check(" 0.5 "), Some(Duration::from_millis(500)));
        let soon = check(&httpdate::fmt_http_date(
            SystemTime::now() + Duration::from_secs(90),
        ));
        assert!(
            soon.is_some_and(|wait| (80..=90).contains(&wait.as_secs())),
            "{soon:?}"
        );
        assert_eq!(check("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        for nonsense in ["-1", "soon", "NaN", ""] {
            assert_eq!(check(nonsense), None, "{nonsense}");
        }
    }
}
