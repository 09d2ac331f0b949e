//! How a connection is made: directly, or through the proxy that a provider's setting or the environment names.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use polywire_credentials::Proxy;
use tokio::net::TcpStream;
use tower::Service;

use crate::{CONNECT_TIMEOUT, Uri};

/// How often the system asks a silent peer whether it is still there. Laptops sleep and networks change while a model thinks.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

type BoxError = Box<dyn Error + Send + Sync>;

/// Makes TCP connections, through a proxy where it was told to.
#[derive(Clone)]
pub struct Connector {
    direct: HttpConnector,
    way: Way,
}

/// The way to a provider.
#[derive(Clone)]
enum Way {
    /// Through whatever the matcher says, but for loopback.
    Environment(Arc<Matcher>),
    Direct,
    /// Through the one proxy of this matcher, loopback included.
    Proxy(Arc<Matcher>),
}

/// Nobody may be reached directly whose settings name a proxy.
#[derive(Debug, thiserror::Error)]
#[error("the proxy's address cannot be used for this destination")]
pub(crate) struct ProxyUnusable;

impl Connector {
    /// A connector that honours `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.
    pub(crate) fn from_environment() -> Self {
        Self {
            direct: direct(),
            way: Way::Environment(Arc::new(Matcher::from_env())),
        }
    }

    /// A connector that does as a setting says.
    pub(crate) fn new(proxy: &Proxy) -> Self {
        let way = match proxy {
            Proxy::Environment => return Self::from_environment(),
            Proxy::Direct => Way::Direct,
            Proxy::Through(url) => {
                Way::Proxy(Arc::new(Matcher::builder().all(url.reveal()).build()))
            }
        };
        Self {
            direct: direct(),
            way,
        }
    }

    /// The proxy on the way to a destination.
    pub(crate) fn proxy_for(&self, destination: &Uri) -> Result<Option<Intercept>, ProxyUnusable> {
        match &self.way {
            Way::Direct => Ok(None),
            Way::Environment(_) if destination.host().is_some_and(is_loopback) => Ok(None),
            Way::Environment(proxies) => Ok(proxies.intercept(destination)),
            Way::Proxy(proxy) => proxy.intercept(destination).map(Some).ok_or(ProxyUnusable),
        }
    }
}

fn direct() -> HttpConnector {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    // Without it the kernel waits for the peer's acknowledgement before it sends a small last piece: 40 ms per turn.
    direct.set_nodelay(true);
    direct.set_keepalive(Some(KEEPALIVE_INTERVAL));
    direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
    direct
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let mut direct = self.direct.clone();
        let proxy = match self.proxy_for(&destination) {
            Ok(Some(proxy)) => proxy,
            Ok(None) => return Box::pin(async move { Ok(direct.call(destination).await?) }),
            Err(error) => return Box::pin(async move { Err(error.into()) }),
        };
        let destination = with_port(destination);
        Box::pin(async move {
            tokio::time::timeout(CONNECT_TIMEOUT, through(direct, &proxy, destination))
                .await
                .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
        })
    }
}

/// The destination with its port in it. The tunnel of `hyper-util` takes one without for port 443, whatever its scheme (seen in 0.1.21).
pub(crate) fn with_port(destination: Uri) -> Uri {
    let port = match (destination.port(), destination.scheme_str()) {
        (None, Some("http")) => 80,
        (None, Some("https")) => 443,
        _ => return destination,
    };
    let host = destination.host().unwrap_or_default();
    let authority = format!("{host}:{port}");
    let mut parts = destination.clone().into_parts();
    parts.authority = authority.parse().ok();
    Uri::from_parts(parts).unwrap_or(destination)
}

/// Makes a connection through a proxy. `direct` connects to the proxy itself.
pub(crate) async fn through<C>(
    direct: C,
    proxy: &Intercept,
    destination: Uri,
) -> Result<TokioIo<TcpStream>, BoxError>
where
    C: Service<Uri, Response = TokioIo<TcpStream>> + Clone + Send + 'static,
    C::Error: Error + Send + Sync + 'static,
    C::Future: Send + 'static,
{
    let is_socks = proxy
        .uri()
        .scheme_str()
        .is_some_and(|scheme| scheme.starts_with("socks5"));
    if is_socks {
        let mut socks = SocksV5::new(proxy.uri().clone(), direct);
        if let Some((user, password)) = proxy.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        return Ok(socks.call(destination).await?);
    }
    let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
    if let Some(authorization) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(authorization.clone());
    }
    Ok(tunnel.call(destination).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_the_scheme() {
        for (destination, expected) in [
            ("http://a.example/v1", "http://a.example:80/v1"),
            ("https://a.example/v1", "https://a.example:443/v1"),
            ("http://a.example:8000/", "http://a.example:8000/"),
            ("https://[::1]/", "https://[::1]:443/"),
        ] {
            let destination = with_port(Uri::from_static(destination));
            assert_eq!(destination, Uri::from_static(expected));
        }
    }

    #[test]
    fn a_proxy_of_ones_own_is_never_passed_by() {
        let own = Connector::new(&Proxy::parse("http://127.0.0.1:1").unwrap());
        let none = Connector::new(&Proxy::parse("none").unwrap());
        for destination in ["http://localhost:1/", "https://a.example/"] {
            let destination = Uri::from_static(destination);
            assert!(own.proxy_for(&destination).unwrap().is_some());
            assert!(none.proxy_for(&destination).unwrap().is_none());
        }
        assert!(
            own.proxy_for(&Uri::from_static("ftp://a.example/"))
                .is_err()
        );
    }

    #[test]
    fn loopback_is_recognised() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.com", "10.0.0.1", "localhost.example.com", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
