//! The connections that are made in one way: directly, or through one proxy.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::builderstates::WantsProtocols1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::{Connector, HEADERS_TIMEOUT, Incoming, Request, Response, SendError, send_error};

/// How long an unused connection is kept. Below the 60 s after which common load balancers close theirs.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(50);

/// The most unused connections kept per provider.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// The most bytes of a response head, and of one read from a provider. Providers behind several proxies send heads of some
/// kilobytes; larger buffers would cost every open stream memory.
const READ_BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Connections to any number of providers, all made by one connector.
pub(crate) struct Pool {
    connector: Connector,
    plain: Client<Connector, Full<Bytes>>,
    /// Made at the first request over TLS: loading the system's root certificates takes time and memory that a gateway in
    /// front of a local server never needs.
    secure: OnceLock<Client<HttpsConnector<Connector>, Full<Bytes>>>,
}

impl Pool {
    pub(crate) fn new(connector: Connector) -> Self {
        let plain = builder().build(connector.clone());
        Self {
            connector,
            plain,
            secure: OnceLock::new(),
        }
    }

    /// Sends a request and waits for the headers of the answer. Dropping the future closes the connection.
    pub(crate) async fn send(
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
        let connector = secured(self.connector.clone())?;
        // Two first requests at once make two clients; the second is dropped unused.
        Ok(self.secure.get_or_init(|| builder().build(connector)))
    }
}

/// Connections over TLS, or plain ones where the address says so, on those of `connector`. The system's own root certificates count.
///
/// # Errors
/// The system's root certificates cannot be had.
fn secured<C>(connector: C) -> Result<HttpsConnector<C>, std::io::Error> {
    Ok(trusting()?.enable_all_versions().wrap_connector(connector))
}

/// The same for whoever speaks HTTP/1.1 only: no other version is offered to the server.
///
/// # Errors
/// As [`secured`].
pub(crate) fn secured_http1<C>(connector: C) -> Result<HttpsConnector<C>, std::io::Error> {
    Ok(trusting()?.enable_http1().wrap_connector(connector))
}

fn trusting() -> Result<HttpsConnectorBuilder<WantsProtocols1>, std::io::Error> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(provider)?
        .https_or_http())
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
