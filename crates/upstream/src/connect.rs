//! How a connection is made: directly, or through the proxy that the environment names.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use crate::{CONNECT_TIMEOUT, Uri};

/// How often the system asks a silent peer whether it is still there. Laptops sleep and networks change while a model thinks.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

type BoxError = Box<dyn Error + Send + Sync>;

/// Makes TCP connections, through a proxy where the environment says so.
#[derive(Clone)]
pub struct Connector {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Connector {
    /// A connector that honours `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.
    pub(crate) fn from_environment() -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        // Without it the kernel waits for the peer's acknowledgement before it sends a small last piece: 40 ms per turn.
        direct.set_nodelay(true);
        direct.set_keepalive(Some(KEEPALIVE_INTERVAL));
        direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self {
            direct,
            proxies: Arc::new(Matcher::from_env()),
        }
    }

    fn proxy_for(&self, destination: &Uri) -> Option<Intercept> {
        if destination.host().is_some_and(is_loopback) {
            return None;
        }
        self.proxies.intercept(destination)
    }
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
        let Some(proxy) = self.proxy_for(&destination) else {
            return Box::pin(async move { Ok(direct.call(destination).await?) });
        };
        Box::pin(async move {
            let through_proxy = async {
                if proxy
                    .uri()
                    .scheme_str()
                    .is_some_and(|scheme| scheme.starts_with("socks5"))
                {
                    through_socks(direct, &proxy, destination).await
                } else {
                    through_tunnel(direct, &proxy, destination).await
                }
            };
            tokio::time::timeout(CONNECT_TIMEOUT, through_proxy)
                .await
                .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
        })
    }
}

async fn through_socks(
    direct: HttpConnector,
    proxy: &Intercept,
    destination: Uri,
) -> Result<TokioIo<TcpStream>, BoxError> {
    let mut socks = SocksV5::new(proxy.uri().clone(), direct);
    if let Some((user, password)) = proxy.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    Ok(socks.call(destination).await?)
}

async fn through_tunnel(
    direct: HttpConnector,
    proxy: &Intercept,
    destination: Uri,
) -> Result<TokioIo<TcpStream>, BoxError> {
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
    fn loopback_is_recognised() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.com", "10.0.0.1", "localhost.example.com", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
