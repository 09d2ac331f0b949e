//! A provider made ready for use: its address, its key, its wire habits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use polywire_catalog::{Auth, Provider};
use polywire_conversation::envelope::Minter;
use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_credentials::{KeySource, Proxy, Secret};
use polywire_engine::Engine;
use polywire_upstream::{HeaderMap, HeaderName, HeaderValue, Incoming, Response, Upstream, Uri};
use tokio::sync::Mutex;

use crate::answer::Source;
use crate::body::outgoing;
use crate::fault::{not_sent, without_key};
use crate::limits::{DRAIN_TIMEOUT, ERROR_BODY_TIMEOUT, WHOLE_BYTES_MAX};
use crate::phases::{Phase, Phases};
use crate::provider::{Outgoing, ProviderDialect};
use crate::read::BodyReader;
use crate::readiness::{EngineState, LocalState, Problem};
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
    dialect: ProviderDialect,
    /// Where requests go; nothing for the demo.
    url: Uri,
    /// What every request carries, but for the key.
    headers: HeaderMap,
    key: Key,
    engine: Option<Arc<Engine>>,
    /// How it is reached.
    proxy: Proxy,
    /// What it has on this machine, if it needs anything there.
    local: Option<Arc<dyn LocalState>>,
}

/// A key that is looked up when it is first needed and kept until it is refused.
struct Key {
    source: KeySource,
    variables: Variables,
    known: Mutex<Option<Secret>>,
}

impl Endpoint {
    /// Prepares a provider.
    ///
    /// # Errors
    /// [`ConfigurationError`] when its address, headers or profile cannot be used.
    pub fn new(
        provider: &Arc<Provider>,
        key: KeySource,
        proxy: Proxy,
        variables: &Variables,
        engine: Option<Arc<Engine>>,
    ) -> Result<Self, ConfigurationError> {
        let unusable = |problem| ConfigurationError {
            provider: provider.id.clone(),
            problem,
        };
        let dialect = ProviderDialect::new(provider).map_err(unusable)?;
        Ok(Self {
            provider: Arc::clone(provider),
            url: url(provider, &dialect).map_err(unusable)?,
            headers: headers(provider, &dialect).map_err(unusable)?,
            dialect,
            key: Key {
                source: key,
                variables: Arc::clone(variables),
                known: Mutex::new(None),
            },
            proxy,
            local: None,
            engine,
        })
    }

    /// The program on this machine that it is, if it is one.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.as_ref()
    }

    /// The same with whoever tells what the provider has on this machine.
    #[must_use]
    pub fn with_local_state(mut self, local: Option<Arc<dyn LocalState>>) -> Self {
        self.local = local;
        self
    }

    /// The provider.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The provider's id.
    pub fn provider_id(&self) -> &str {
        &self.provider.id
    }

    /// How it is reached. Engines hand it on to their processes.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// What keeps it from serving turns and can be mended on this machine. Nothing for providers that are reached over HTTP: whether
    /// they answer is known when they are asked.
    pub fn problems(&self) -> Vec<Problem> {
        let local = self.local.as_ref();
        local.map_or_else(Vec::new, |local| local.problems())
    }

    /// What its engine is doing, if it has one.
    pub fn engine_state(&self) -> Option<EngineState> {
        self.local.as_ref()?.engine()
    }

    /// What is spoken to it.
    pub(crate) fn dialect(&self) -> &ProviderDialect {
        &self.dialect
    }

    /// Who mints the reasoning state of a model's answers.
    ///
    /// # Errors
    /// A [`Fault`] when the provider's key cannot be had: state belongs to the account.
    pub(crate) async fn minter(&self, upstream_model: &str) -> Result<Minter, Fault> {
        let account = match &self.engine {
            Some(engine) => engine.account().map(Secret::new),
            None => self.key().await?,
        };
        Ok(Minter {
            provider: self.provider.id.clone(),
            account: account.map_or_else(String::new, |account| account.fingerprint()),
            model: upstream_model.to_owned(),
        })
    }

    /// Sends a request and waits for the beginning of the answer.
    ///
    /// # Errors
    /// The [`Fault`] that the provider, the network or the key is to blame for.
    pub(crate) async fn send(
        &self,
        outgoing: Outgoing,
        upstream: &Upstream,
        phases: &Phases,
    ) -> Result<Source, Fault> {
        let (body, headers, reader) = match outgoing {
            Outgoing::Body {
                body,
                headers,
                reader,
            } => (body, headers, reader),
            Outgoing::Engine { body, cwd, reader } => {
                let Some(engine) = &self.engine else {
                    let message = format!("provider `{}` has no engine", self.provider_id());
                    return Err(crate::fault::ours(message));
                };
                let answer = engine.ask(&body, cwd.as_deref());
                let answer = answer.map_err(|fault| self.introduced(fault))?;
                return Ok(Source::Engine { answer, reader });
            }
            Outgoing::Demo(steps) => {
                return Ok(Source::Script {
                    steps: steps.into(),
                    pausing: false,
                });
            }
        };
        let key = self.key().await?;
        let request = self.request(body, &headers, key.as_ref())?;
        let sending = phases.timer(Phase::Send);
        let response = upstream.send_through(&self.proxy, request).await;
        drop(sending);
        let response = response.map_err(|error| not_sent(&self.provider, &self.proxy, &error))?;
        let response = self
            .accepted(response)
            .await
            .map_err(|fault| without_key(fault, key.as_ref()))?;
        Ok(Source::Upstream {
            body: response.into_body(),
            reader: BodyReader::new(reader, self.dialect.framing()),
            key,
        })
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
        body: Vec<u8>,
        headers: &[(String, String)],
        key: Option<&Secret>,
    ) -> Result<http::Request<Full<Bytes>>, Fault> {
        let mut request = http::Request::new(Full::new(outgoing(body)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        for (name, value) in headers {
            let value = HeaderValue::try_from(value)
                .map_err(|_| crate::fault::ours(format!("header `{name}` cannot be sent")))?;
            let name = header_name(name).map_err(crate::fault::ours)?;
            request.headers_mut().insert(name, value);
        }
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
        let fault = self.dialect.read_error(status.as_u16(), retry_after, &body);
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

fn url(provider: &Provider, dialect: &ProviderDialect) -> Result<Uri, String> {
    if let ProviderDialect::Demo | ProviderDialect::Engine(_) = dialect {
        return Ok(Uri::default());
    }
    let url = format!("{}{}", provider.base_url, dialect.path());
    Uri::try_from(&url).map_err(|error| format!("`{url}` is no URL: {error}"))
}

fn headers(provider: &Provider, dialect: &ProviderDialect) -> Result<HeaderMap, String> {
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
    for (name, value) in dialect.headers() {
        headers.insert(*name, HeaderValue::from_static(value));
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
