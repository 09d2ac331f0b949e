//! A provider made ready for use: its address, its key or login, its wire habits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use polywire_catalog::{Auth, Provider};
use polywire_conversation::envelope::Minter;
use polywire_conversation::{Fault, FaultClass, Retry};
use polywire_credentials::{KeySource, Proxy, Secret, names_secret};
use polywire_engine::Engine;
use polywire_login::CodexLogin;
use polywire_upstream::{
    HeaderMap, HeaderName, HeaderValue, Incoming, Method, Request, Response, StatusCode, Upstream,
    Uri,
};
use polywire_wire::html_fault;

use crate::answer::Source;
use crate::credential::{self, Credential, Credentials};
use crate::fault::{not_sent, without_secrets};
use crate::identity::introduce;
use crate::limits::{DRAIN_TIMEOUT, ERROR_BODY_TIMEOUT, WHOLE_BYTES_MAX};
use crate::phases::{Phase, Phases};
use crate::plan_limits;
use crate::provider::{Outgoing, ProviderDialect};
use crate::read::BodyReader;
use crate::readiness::{EngineState, LocalState, Problem};
use crate::state::Variables;

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
    /// What every request carries, but for what lets it in.
    headers: HeaderMap,
    way: Way,
}

/// How a provider is reached, whatever is known of its models.
#[derive(Clone)]
struct Way {
    /// What lets requests in.
    credentials: Arc<Credentials>,
    /// How they go out.
    proxy: Proxy,
    /// The program on this machine that answers instead.
    engine: Option<Arc<Engine>>,
    /// What the provider has on this machine, if it needs anything there.
    local: Option<Arc<dyn LocalState>>,
}

/// What the configuration says of the way to a provider.
#[derive(Default)]
pub struct Connection {
    /// Where its key comes from.
    pub key: Option<KeySource>,
    /// The login by which it is reached, for a provider that wants one.
    pub login: Option<CodexLogin>,
    /// How requests go out.
    pub proxy: Proxy,
    /// The program on this machine that it is.
    pub engine: Option<Arc<Engine>>,
    /// Who tells what it has on this machine. An engine tells of itself.
    pub local: Option<Arc<dyn LocalState>>,
}

impl Endpoint {
    /// Prepares a provider.
    ///
    /// # Errors
    /// [`ConfigurationError`] when its address, headers or profile cannot be used.
    pub fn new(
        provider: &Arc<Provider>,
        connection: Connection,
        variables: &Variables,
    ) -> Result<Self, ConfigurationError> {
        let Connection {
            key,
            login,
            proxy,
            engine,
            local,
        } = connection;
        let key = key.unwrap_or(KeySource::None);
        let way = Way {
            proxy,
            local: local
                .or_else(|| Some(Arc::clone(engine.as_ref()?) as Arc<dyn LocalState>))
                .or_else(|| Some(Arc::new(login.clone()?) as Arc<dyn LocalState>)),
            credentials: Arc::new(Credentials::new(provider, key, login, variables)),
            engine,
        };
        Self::by_way(provider, way)
    }

    /// The same endpoint for a provider of which more is known now.
    ///
    /// # Errors
    /// [`ConfigurationError`] when what is known now cannot be used.
    pub(crate) fn of(&self, provider: &Arc<Provider>) -> Result<Self, ConfigurationError> {
        Self::by_way(provider, self.way.clone())
    }

    fn by_way(provider: &Arc<Provider>, way: Way) -> Result<Self, ConfigurationError> {
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
            way,
        })
    }

    /// The program on this machine that it is, if it is one.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.way.engine.as_ref()
    }

    /// The provider.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// The provider's id.
    pub fn provider_id(&self) -> &str {
        &self.provider.id
    }

    /// How it is reached. Engines hand it on to their processes.
    pub fn proxy(&self) -> &Proxy {
        &self.way.proxy
    }

    /// What keeps it from serving turns and can be mended on this machine. Nothing for providers that are reached over HTTP: whether
    /// they answer is known when they are asked.
    pub fn problems(&self) -> Vec<Problem> {
        let local = self.way.local.as_ref();
        local.map_or_else(Vec::new, |local| local.problems())
    }

    /// What its engine is doing, if it has one.
    pub fn engine_state(&self) -> Option<EngineState> {
        self.way.local.as_ref()?.engine()
    }

    /// What is spoken to it.
    pub(crate) fn dialect(&self) -> &ProviderDialect {
        &self.dialect
    }

    /// Who mints the reasoning state of a model's answers.
    ///
    /// # Errors
    /// A [`Fault`] when the provider's key or login cannot be had: state belongs to the account.
    pub(crate) async fn minter(
        &self,
        upstream_model: &str,
        upstream: &Upstream,
    ) -> Result<Minter, Fault> {
        let account = match &self.way.engine {
            Some(engine) => engine
                .account()
                .map_or_else(String::new, |account| Secret::new(account).fingerprint()),
            None => self.credential(upstream).await?.account(),
        };
        Ok(Minter {
            provider: self.provider.id.clone(),
            account,
            model: upstream_model.to_owned(),
        })
    }

    /// Sends a request and waits for the beginning of the answer.
    ///
    /// # Errors
    /// The [`Fault`] that the provider, the network, the key or the login is to blame for.
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
                let Some(engine) = &self.way.engine else {
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
        let body = crate::body::outgoing(body);
        let request = self.request(body, &headers)?;
        let sending = phases.timer(Phase::Send);
        let sent = self.let_in(request, upstream).await;
        drop(sending);
        let (response, credential) = sent?;
        let response = self
            .accepted(response)
            .await
            .map_err(|fault| with_way_out(fault, &credential))
            .map_err(|fault| without_secrets(fault, &self.secrets(&credential)))?;
        Ok(Source::Upstream {
            body: response.into_body(),
            reader: BodyReader::new(reader, self.dialect.framing()),
            secrets: self.secrets(&credential),
        })
    }

    /// Sends a request with what lets it in. One that is refused for its login goes out once more with what can be had then: another
    /// program may have renewed the login, or it is renewed now.
    ///
    /// # Errors
    /// No answer came, or nothing that lets it in can be had.
    pub(crate) async fn let_in(
        &self,
        request: Request<Full<Bytes>>,
        upstream: &Upstream,
    ) -> Result<(Response<Incoming>, Credential), Fault> {
        let credential = self.credential(upstream).await?;
        let again = match &credential {
            Credential::Login(_) => Some(request.clone()),
            // Large bodies are let go as soon as they are sent.
            Credential::None | Credential::Key(_) => None,
        };
        let response = self.ask(request, &credential, upstream).await?;
        plan_limits::note(self.provider_id(), response.headers());
        let Some(again) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
            return Ok((response, credential));
        };
        let provider = self.provider_id();
        tracing::info!(
            provider,
            "the login was refused; asked again with what is there now"
        );
        let renewed = self
            .way
            .credentials
            .after_refusal(
                &credential,
                &self.provider,
                &upstream.through(&self.way.proxy),
            )
            .await;
        let credential = match renewed {
            Ok(renewed) => renewed.unwrap_or(credential),
            Err(no_other) => {
                let refused = self.accepted(response).await.err();
                let refused =
                    refused.map(|fault| without_secrets(fault, &self.secrets(&credential)));
                return Err(refused_for_good(no_other, refused));
            }
        };
        let response = self.ask(again, &credential, upstream).await?;
        Ok((response, credential))
    }

    async fn ask(
        &self,
        mut request: Request<Full<Bytes>>,
        credential: &Credential,
        upstream: &Upstream,
    ) -> Result<Response<Incoming>, Fault> {
        credential::show(credential, &self.provider, request.headers_mut())?;
        let proxy = &self.way.proxy;
        let sent = upstream.send_through(proxy, request).await;
        sent.map_err(|error| not_sent(&self.provider, proxy, &error))
    }

    /// What a request shows that must not be told to anybody: the key, and headers of which that is known.
    pub(crate) fn secrets(&self, credential: &Credential) -> Vec<Secret> {
        let headers = self.headers.values();
        let headers = headers.filter(|value| value.is_sensitive());
        let headers = headers.filter_map(|value| value.to_str().ok());
        let mut secrets: Vec<Secret> = credential.secret().into_iter().cloned().collect();
        for value in headers {
            secrets.push(Secret::new(value));
            // Behind `Bearer` and the like.
            if let Some((_, last)) = value.rsplit_once(' ') {
                secrets.push(Secret::new(last));
            }
        }
        secrets
    }

    /// Whether the provider's key or login can be had, or none is needed.
    pub async fn has_key(&self) -> bool {
        self.way.credentials.are_there(&self.provider).await
    }

    pub(crate) async fn credential(&self, upstream: &Upstream) -> Result<Credential, Fault> {
        // A login is renewed by the way on which it is used.
        let upstream = upstream.through(&self.way.proxy);
        self.way.credentials.get(&self.provider, &upstream).await
    }

    fn request(
        &self,
        body: Bytes,
        headers: &[(String, String)],
    ) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        for (name, value) in headers {
            let value = HeaderValue::try_from(value)
                .map_err(|_| crate::fault::ours(format!("header `{name}` cannot be sent")))?;
            let name = header_name(name).map_err(crate::fault::ours)?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    /// A request for something else than an answer.
    ///
    /// # Errors
    /// A fault of ours when this is no URL.
    pub(crate) fn get(&self, url: &str) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = Uri::try_from(url)
            .map_err(|error| crate::fault::ours(format!("`{url}` is no URL: {error}")))?;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        headers.remove(http::header::CONTENT_TYPE);
        headers.insert(
            http::header::ACCEPT,
            HeaderValue::from_static("application/json"),
        );
        Ok(request)
    }

    /// The answer if its status says success, else the fault that it tells of.
    pub(crate) async fn accepted(
        &self,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>, Fault> {
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
            self.way.credentials.forget().await;
        }
        let fault = match self.provider.auth {
            Auth::Login => refused_by_filter(&self.provider, status, &body).unwrap_or(fault),
            Auth::Bearer | Auth::Header { .. } | Auth::None => fault,
        };
        Err(self.introduced(fault))
    }

    /// The fault with the provider's name in front of its words.
    fn introduced(&self, mut fault: Fault) -> Fault {
        fault.message = format!("provider `{}`: {}", self.provider_id(), fault.message);
        fault
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
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    introduce(provider, &mut headers);
    for (name, value) in dialect.headers() {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    for (name, value) in &provider.headers {
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
        value.set_sensitive(names_secret(name));
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

/// A login that is refused although it is as new as can be is not valid any more.
fn with_way_out(mut fault: Fault, credential: &Credential) -> Fault {
    match credential {
        Credential::Login(_) if fault.class == FaultClass::Auth => {
            fault.message.push_str(". hint: run `polywire login`");
            fault
        }
        Credential::Login(_) | Credential::Key(_) | Credential::None => fault,
    }
}

/// The service refuses a login, and no other can be had: both are worth knowing.
fn refused_for_good(no_other: Fault, refused: Option<Fault>) -> Fault {
    match refused {
        Some(refused) => Fault {
            message: format!("{}; {}", refused.message, no_other.message),
            ..refused
        },
        None => no_other,
    }
}

/// The filter in front of a service has refused the request: with a page, or with the status for "not found" and nothing else, while the
/// service itself always says something (seed-behaviours.md D3).
fn refused_by_filter(provider: &Provider, status: StatusCode, body: &[u8]) -> Option<Fault> {
    let body = body.trim_ascii();
    let what = match status {
        StatusCode::FORBIDDEN if body.starts_with(b"<") => {
            html_fault(status.as_u16(), &String::from_utf8_lossy(body)).message
        }
        StatusCode::NOT_FOUND if body.is_empty() => {
            "HTTP 404 and not a word, which is how the filter in front of the service refuses"
                .to_owned()
        }
        _ => return None,
    };
    let hint = if provider.codex_identity {
        "the filter may dislike this network; try another, or wait".to_owned()
    } else {
        format!(
            "the filter may want requests that call themselves Codex's: `codex_identity = true` under [providers.{}]",
            provider.id
        )
    };
    let fault = Fault::new(FaultClass::Server, format!("{what}. hint: {hint}"));
    Some(
        fault
            .with_retry(Retry::Elsewhere)
            .with_status(status.as_u16()),
    )
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
