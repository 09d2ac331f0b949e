//! Connections to providers: pools, proxies, TLS, phase timeouts. Bytes in, bytes out.
//!
//! This crate knows HTTP and nothing about what the bytes mean. It is the only place where an HTTP client is built. Dropping
//! a response body closes its connection, which is how a client that hangs up stops the provider.
//!
//! Start with [`Upstream::send`], then `pool.rs`, `connect.rs`. [`walk`] is for those who ask where a connection fails.

mod connect;
mod pool;
mod walk;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use polywire_credentials::Proxy;

pub use connect::Connector;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
pub use hyper::Error as BodyError;
pub use hyper::body::Incoming;

pub use walk::{Heard, Step, StepError, StepLimits, StepTaken, Stopped, TlsProblem, Walk, walk};

use pool::Pool;

/// How long a connection may take to be made, TLS included. Longer than any healthy network needs.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a provider may take to answer with its headers. Local servers load weights on the first request, and some
/// providers send no headers before the first token of a long thought, so this is generous.
pub const HEADERS_TIMEOUT: Duration = Duration::from_mins(10);

/// The most ways other than the environment's that connections are kept for. More than anybody configures; beyond it, after many
/// changes of the settings, the oldest is forgotten.
const POOLS_MAX: usize = 64;

/// The connections to all providers. Cheap to clone: clones share them.
#[derive(Clone)]
pub struct Upstream {
    /// Made as the environment says.
    usual: Arc<Pool>,
    /// Made as a provider's own setting says.
    others: Arc<Mutex<OtherPools>>,
}

/// Pools by the way out that they take.
type OtherPools = Vec<(Proxy, Arc<Pool>)>;

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
    /// Loopback is never reached through a proxy of the environment.
    pub fn new() -> Self {
        Self {
            usual: Arc::new(Pool::new(Connector::from_environment())),
            others: Arc::default(),
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
        self.usual.send(request).await
    }

    /// The same, on connections that are made as `proxy` says. What is named there holds for loopback too.
    ///
    /// # Errors
    /// As [`send`](Upstream::send).
    pub async fn send_through(
        &self,
        proxy: &Proxy,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        if *proxy == Proxy::Environment {
            return self.send(request).await;
        }
        self.pool(proxy).send(request).await
    }

    /// The same connections with another usual way: [`send`](Upstream::send) goes out as `proxy` says.
    #[must_use]
    pub fn through(&self, proxy: &Proxy) -> Self {
        if *proxy == Proxy::Environment {
            return self.clone();
        }
        Self {
            usual: self.pool(proxy),
            others: Arc::clone(&self.others),
        }
    }

    fn pool(&self, proxy: &Proxy) -> Arc<Pool> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = others.iter().find(|(known, _)| known == proxy) {
            return Arc::clone(pool);
        }
        if others.len() == POOLS_MAX {
            others.remove(0);
        }
        let pool = Arc::new(Pool::new(Connector::new(proxy)));
        others.push((proxy.clone(), Arc::clone(&pool)));
        pool
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
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
