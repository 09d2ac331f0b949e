//! A connection made step by step, for those who ask where one fails.
//!
//! A turn's connection is made by the pool, which tells that it failed and why. Whoever looks for the reason wants to know how far it
//! came and how long each step took. The steps are the same ones: the proxy that would be taken, the same TLS, one request.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::uri::Scheme;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use polywire_credentials::Proxy;
use rustls::CertificateError;
use tokio::net::TcpStream;
use tower::Service;

use crate::connect::{Connector, through, with_port};
use crate::pool::secured_http1;
use crate::{HeaderMap, Incoming, Request, Response, StatusCode, Uri, root_cause, sources};

/// One step on the way to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The name becomes addresses: the provider's, or the proxy's where there is one.
    Name,
    /// A TCP connection to one of them.
    Connect,
    /// The proxy connects to the provider. Only where there is a proxy.
    Tunnel,
    /// TLS with the provider. Only for `https`.
    Secure,
    /// The request goes out, and an answer comes.
    Answer,
}

impl Step {
    /// The word for it: `dns`, `tcp`, `proxy`, `tls`, `http`.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Name => "dns",
            Step::Connect => "tcp",
            Step::Tunnel => "proxy",
            Step::Secure => "tls",
            Step::Answer => "http",
        }
    }
}

/// A step that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTaken {
    /// Which one.
    pub step: Step,
    /// How long it took.
    pub took: Duration,
    /// What is known afterwards: an address, the protocol's version, a status.
    pub found: String,
}

/// How long the steps may take.
#[derive(Clone, Copy, Debug)]
pub struct StepLimits {
    /// Each of those up to the request.
    pub each: Duration,
    /// The answer.
    pub answer: Duration,
    /// The most bytes of the answer's body that are kept; the rest is not waited for.
    pub body_bytes_max: usize,
}

/// How far a request came.
#[derive(Debug)]
pub struct Walk {
    /// The proxy on the way, without its password.
    pub proxy: Option<String>,
    /// The steps that succeeded, in order.
    pub steps: Vec<StepTaken>,
    /// What came of it.
    pub end: Result<Heard, Stopped>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Heard {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Bytes,
}

/// The step that failed.
#[derive(Debug)]
pub struct Stopped {
    /// Which one.
    pub step: Step,
    /// How long it took to fail.
    pub took: Duration,
    /// Why.
    pub error: StepError,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It took too long.
    #[error("nothing came within {:.1} s", .limit.as_secs_f32())]
    TimedOut {
        /// The limit that was passed.
        limit: Duration,
    },
    /// The address cannot be asked.
    #[error("`{url}` is no address that can be asked")]
    Address {
        /// The address.
        url: String,
    },
    /// The proxy cannot be used for this destination.
    #[error("the proxy cannot be used for this destination")]
    ProxyUnusable,
    /// The name could not be looked up.
    #[error("the name `{host}` cannot be looked up: {source}")]
    Name {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// No address of the name took the connection.
    #[error("{address} does not take the connection: {source}")]
    Connect {
        /// The address that was tried last.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy did not connect.
    #[error("the proxy does not connect: {0}")]
    Tunnel(String),
    /// The two ends did not agree on TLS.
    #[error("{0}")]
    Secure(TlsProblem),
    /// The connection broke, or what came is no HTTP.
    #[error("{0}")]
    Answer(String),
}

/// Why TLS could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// The certificate was good once.
    #[error("the server's certificate has expired")]
    Expired,
    /// The certificate will be good one day.
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    /// The certificate is somebody else's.
    #[error("the server's certificate is for another name")]
    WrongName,
    /// Nobody whom this machine trusts has signed the certificate.
    #[error("the server's certificate is signed by nobody whom this machine trusts")]
    UnknownIssuer,
    /// The certificate is bad in another way.
    #[error("the server's certificate is not valid: {0}")]
    OtherCertificate(String),
    /// The server answers in something that is not TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// The server closed the connection in the middle.
    #[error("the server broke the connection off while TLS was being set up: {0}")]
    Broken(String),
    /// The two ends have no way in common.
    #[error("TLS could not be agreed on: {0}")]
    Refused(String),
    /// This machine has no root certificates, or none that can be read.
    #[error("TLS cannot be used on this machine: {0}")]
    Unusable(String),
}

/// A connection up to the point where requests go out.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Goes the way of a request step by step, on a connection of its own, as `proxy` says. HTTP/1.1 is spoken, which every server of
/// `https` and `http` addresses speaks. No redirect is followed.
pub async fn walk(proxy: &Proxy, request: Request<Full<Bytes>>, limits: &StepLimits) -> Walk {
    let mut walk = Walking {
        limits,
        proxy: None,
        steps: Vec::new(),
    };
    // In a box: TLS on the stack is twenty kilobytes that every caller's future would carry.
    let end = Box::pin(walk.go(proxy, request)).await;
    Walk {
        proxy: walk.proxy,
        steps: walk.steps,
        end,
    }
}

struct Walking<'w> {
    limits: &'w StepLimits,
    proxy: Option<String>,
    steps: Vec<StepTaken>,
}

impl Walking<'_> {
    async fn go(&mut self, proxy: &Proxy, request: Request<Full<Bytes>>) -> Result<Heard, Stopped> {
        let destination = with_port(request.uri().clone());
        let at_once = |error| Stopped {
            step: Step::Name,
            took: Duration::ZERO,
            error,
        };
        let intercept = Connector::new(proxy)
            .proxy_for(&destination)
            .map_err(|_| at_once(StepError::ProxyUnusable))?;
        let first = intercept.as_ref().map_or(&destination, |proxy| proxy.uri());
        let (host, port) = host_and_port(first).ok_or_else(|| {
            at_once(StepError::Address {
                url: destination.to_string(),
            })
        })?;
        self.proxy = intercept.as_ref().map(|proxy| shown(proxy.uri()));
        let addresses = self.step(Step::Name, look_up(&host, port)).await?;
        let tcp = self.step(Step::Connect, connect(addresses)).await?;
        let tcp = match &intercept {
            Some(proxy) => {
                self.step(Step::Tunnel, tunnel(tcp, proxy, destination.clone()))
                    .await?
            }
            None => tcp,
        };
        let stream = if destination.scheme() == Some(&Scheme::HTTPS) {
            self.step(Step::Secure, secure(tcp, destination)).await?
        } else {
            MaybeHttpsStream::Http(tcp)
        };
        let bytes_max = self.limits.body_bytes_max;
        self.step(Step::Answer, ask(stream, request, bytes_max))
            .await
    }

    /// Takes a step, and notes how long it took and what was found.
    async fn step<T>(
        &mut self,
        step: Step,
        taking: impl Future<Output = Result<(T, String), StepError>>,
    ) -> Result<T, Stopped> {
        let limit = match step {
            Step::Name | Step::Connect | Step::Tunnel | Step::Secure => self.limits.each,
            Step::Answer => self.limits.answer,
        };
        let begun = Instant::now();
        let taken = tokio::time::timeout(limit, taking).await;
        let took = begun.elapsed();
        let stopped = |error| Stopped { step, took, error };
        let (value, found) = taken
            .map_err(|_| stopped(StepError::TimedOut { limit }))?
            .map_err(stopped)?;
        self.steps.push(StepTaken { step, took, found });
        Ok(value)
    }
}

fn host_and_port(uri: &Uri) -> Option<(String, u16)> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let usual = match uri.scheme_str()? {
        "http" => Some(80),
        "https" => Some(443),
        scheme if scheme.starts_with("socks5") => Some(1080),
        _ => None,
    };
    let port = uri.port_u16().or(usual)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// A proxy's address without what stands before `@`.
fn shown(proxy: &Uri) -> String {
    let scheme = proxy.scheme_str().unwrap_or("http");
    let host = proxy.host().unwrap_or_default();
    match proxy.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

async fn look_up(host: &str, port: u16) -> Result<(Vec<SocketAddr>, String), StepError> {
    let failed = |source| StepError::Name {
        host: host.to_owned(),
        source,
    };
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(failed)?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::other("it has no address")));
    }
    let mut shown: Vec<String> = Vec::new();
    for address in addresses.iter().map(|address| address.ip().to_string()) {
        if !shown.contains(&address) {
            shown.push(address);
        }
    }
    Ok((addresses, shown.join(", ")))
}

/// Connects to the first address that takes the connection.
async fn connect(addresses: Vec<SocketAddr>) -> Result<(TokioIo<TcpStream>, String), StepError> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((TokioIo::new(stream), address.to_string())),
            Err(source) => last = Some(StepError::Connect { address, source }),
        }
    }
    Err(last.unwrap_or_else(|| StepError::Answer("there is no address".to_owned())))
}

/// A connector that gives away the one connection that is there already.
fn only(
    stream: TokioIo<TcpStream>,
) -> impl Service<
    Uri,
    Response = TokioIo<TcpStream>,
    Error = io::Error,
    Future = std::future::Ready<io::Result<TokioIo<TcpStream>>>,
> + Clone
+ Send
+ 'static {
    let stream = Arc::new(Mutex::new(Some(stream)));
    tower::service_fn(move |_: Uri| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(stream.ok_or_else(|| io::Error::other("the connection is used already")))
    })
}

async fn tunnel(
    stream: TokioIo<TcpStream>,
    proxy: &Intercept,
    destination: Uri,
) -> Result<(TokioIo<TcpStream>, String), StepError> {
    let found = destination
        .authority()
        .map_or_else(String::new, ToString::to_string);
    match through(only(stream), proxy, destination).await {
        Ok(stream) => Ok((stream, found)),
        Err(error) => Err(StepError::Tunnel(root_cause(&*error))),
    }
}

async fn secure(
    stream: TokioIo<TcpStream>,
    destination: Uri,
) -> Result<(Stream, String), StepError> {
    let unusable = |error: io::Error| TlsProblem::Unusable(error.to_string());
    let mut connector =
        secured_http1(only(stream)).map_err(|error| StepError::Secure(unusable(error)))?;
    let stream = connector
        .call(destination)
        .await
        .map_err(|error| StepError::Secure(tls_problem(&*error)))?;
    let found = match &stream {
        MaybeHttpsStream::Https(stream) => {
            let (_, session) = stream.inner().get_ref();
            match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
                Some(_) | None => "TLS".to_owned(),
            }
        }
        MaybeHttpsStream::Http(_) => String::new(),
    };
    Ok((stream, found))
}

async fn ask(
    stream: Stream,
    request: Request<Full<Bytes>>,
    body_bytes_max: usize,
) -> Result<(Heard, String), StepError> {
    let failed = |error: hyper::Error| StepError::Answer(in_words(&error));
    let (mut sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    let request = in_origin_form(request);
    let answer = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        Ok(heard(response, body_bytes_max).await)
    };
    tokio::pin!(answer);
    // The connection moves only as long as somebody asks it to.
    let heard = tokio::select! {
        heard = &mut answer => heard?,
        ended = connection => match ended {
            Ok(()) => answer.await?,
            Err(error) => return Err(failed(error)),
        },
    };
    let found = heard.status.as_u16().to_string();
    Ok((heard, found))
}

/// The path alone in the first line, and the host in a header: what a pool does by itself.
fn in_origin_form(request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    if let Some(host) = parts.uri.authority()
        && let Ok(host) = http::HeaderValue::try_from(host.as_str())
    {
        parts.headers.entry(http::header::HOST).or_insert(host);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if let Ok(path) = Uri::try_from(path) {
        parts.uri = path;
    }
    Request::from_parts(parts, body)
}

/// The head and the beginning of the body. A body that breaks off still tells who answered.
async fn heard(response: Response<Incoming>, bytes_max: usize) -> Heard {
    let (head, mut rest) = response.into_parts();
    let mut body = BytesMut::new();
    while body.len() < bytes_max {
        let Some(Ok(frame)) = rest.frame().await else {
            break;
        };
        if let Ok(chunk) = frame.into_data() {
            let room = bytes_max - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }
    Heard {
        status: head.status,
        headers: head.headers,
        body: body.freeze(),
    }
}

fn in_words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "the server closed the connection without an answer".to_owned();
    }
    let cause = root_cause(error);
    let broke = sources(error).any(<dyn Error>::is::<io::Error>);
    if broke {
        return format!("the connection broke: {cause}");
    }
    // Also what a server says that speaks first, as those of mail do.
    format!("what came is no HTTP: {cause}")
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enum, which grows; what has no word of its own is told in the library's"
)]
fn tls_problem(error: &(dyn Error + 'static)) -> TlsProblem {
    let Some(found) = rustls_error(error) else {
        return TlsProblem::Broken(root_cause(error));
    };
    match found {
        rustls::Error::InvalidCertificate(problem) => certificate_problem(problem),
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => {
            TlsProblem::NotTls
        }
        other => TlsProblem::Refused(other.to_string()),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enum, which grows; what has no word of its own is told in the library's"
)]
fn certificate_problem(problem: &CertificateError) -> TlsProblem {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsProblem::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsProblem::WrongName
        }
        CertificateError::UnknownIssuer => TlsProblem::UnknownIssuer,
        other => TlsProblem::OtherCertificate(format!("{other:?}")),
    }
}

/// The TLS library's own error, through the layers of I/O errors around it, which do not count as its sources.
fn rustls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut layer = Some(error);
    while let Some(error) = layer {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        layer = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_hosts_are_found() {
        for (url, expected) in [
            ("http://a.example/v1", Some(("a.example", 80))),
            ("https://[::1]/", Some(("::1", 443))),
            ("socks5://127.0.0.1:9", Some(("127.0.0.1", 9))),
            ("ftp://a.example/", None),
            ("/only/a/path", None),
        ] {
            let found = host_and_port(&Uri::from_static(url));
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn proxies_are_shown_without_their_passwords() {
        let with_password = Uri::from_static("http://user:secret@proxy.example:3128");
        assert_eq!(shown(&with_password), "http://proxy.example:3128");
    }
}
