//! Connections to providers: pools, proxies, TLS, phase timeouts. Bytes in, bytes out.
//!
//! This crate knows HTTP and nothing about what the bytes mean. It is the only place where an HTTP client is built. Dropping
//! a response body closes its connection, which is how a client that hangs up stops the provider.
//!
//! Start with [`Upstream::send`].

mod connect;

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use connect::Connector;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
pub use hyper::Error as BodyError;
pub use hyper::body::Incoming;

/// How long a connection may take to be made, TLS included. Longer than any healthy network needs.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a provider may take to answer with its headers. Local servers load weights on the first request, and some
/// providers send no headers before the first token of a long thought, so this is generous.
pub const HEADERS_TIMEOUT: Duration = Duration::from_mins(10);

/// How long an unused connection is kept. Below the 60 s after which common load balancers close theirs.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(50);

/// The most unused connections kept per provider.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// The most bytes of a response head, and of one read from a provider. Providers behind several proxies send heads of some
/// kilobytes; larger buffers would cost every open stream memory.
const READ_BUFFER_BYTES_MAX: usize = 32 * 1024;

/// The connections to all providers. Cheap to clone: clones share their connections, but for those over TLS when the clone was made
/// before the first of them.
#[derive(Clone)]
pub struct Upstream {
    connector: Connector,
    plain: Client<Connector, Full<Bytes>>,
    /// Made at the first request over TLS: loading the system's root certificates takes time and memory that a gateway in
    /// front of a local server never needs.
    secure: OnceLock<Client<HttpsConnector<Connector>, Full<Bytes>>>,
}

/// A request that brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("could not connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No connection could be made in [`CONNECT_TIMEOUT`], or no headers came in [`HEADERS_TIMEOUT`].
    #[error("{authority} did not answer within {} s", .timeout.as_secs())]
    Timeout {
        /// Host and port.
        authority: String,
        /// The limit that was passed.
        timeout: Duration,
    },
    /// The connection broke before the answer began.
    #[error("the connection to {authority} broke before the answer began")]
    Broken {
        /// Host and port.
        authority: String,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS could not be set up on this machine.
    #[error("TLS cannot be used on this machine")]
    Tls(#[source] std::io::Error),
}

impl Upstream {
    /// Connections that honour the proxy variables of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    /// Loopback is never reached through a proxy.
    pub fn new() -> Self {
        let connector = Connector::from_environment();
        let plain = builder().build(connector.clone());
        Self {
            connector,
            plain,
            secure: OnceLock::new(),
        }
    }

    /// Sends a request and waits for the headers of the answer. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`SendError`] when no headers came. An answer with an error status is not an error here.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        let authority = request
            .uri()
            .authority()
            .map_or_else(String::new, ToString::to_string);
        let answer = if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            self.secure().map_err(SendError::Tls)?.request(request)
        } else {
            self.plain.request(request)
        };
        match tokio::time::timeout(HEADERS_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| send_error(authority, error)),
            Err(_) => Err(SendError::Timeout {
                authority,
                timeout: HEADERS_TIMEOUT,
            }),
        }
    }

    fn secure(&self) -> Result<&Client<HttpsConnector<Connector>, Full<Bytes>>, std::io::Error> {
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(provider)?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(self.connector.clone());
        // Two first requests at once make two clients; the second is dropped unused.
        Ok(self.secure.get_or_init(|| builder().build(connector)))
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

fn builder() -> legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .http1_max_buf_size(READ_BUFFER_BYTES_MAX)
        .http2_adaptive_window(true);
    builder
}

fn send_error(authority: String, error: legacy::Error) -> SendError {
    if error.is_connect() {
        let timed_out = sources(&error).any(|source| {
            source
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
        });
        if timed_out {
            return SendError::Timeout {
                authority,
                timeout: CONNECT_TIMEOUT,
            };
        }
        return SendError::Connect {
            authority,
            source: error.into(),
        };
    }
    SendError::Broken {
        authority,
        source: error.into(),
    }
}

fn sources<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The innermost reason of an error: what the system said, without the layers around it.
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    sources(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}
