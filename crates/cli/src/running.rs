//! Whether a gateway runs already, and whether it can be used.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use polywire_catalog::Provider;
use polywire_credentials::Secret;
use polywire_upstream::Upstream;
use serde_json::Value;

/// How long a gateway on this machine may take to answer a question. It takes a millisecond; another program on that port may
/// never answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The most bytes of such an answer. A list of a thousand models is below 2 MB.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An address by which a gateway can be called from this machine: one that listens everywhere is called on loopback.
pub(crate) fn callable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Whether polywire answers at this address.
pub(crate) async fn is_polywire(address: SocketAddr) -> bool {
    match get(address, "/health", None).await {
        Some((StatusCode::OK, body)) => {
            let health: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            health["service"] == "polywire"
        }
        Some(_) | None => false,
    }
}

/// Whether polywire answers at this address, takes our token, and can serve this provider: the same address and a key at hand.
pub(crate) async fn serves_provider(
    address: SocketAddr,
    token: Option<&Secret>,
    provider: &Provider,
) -> bool {
    if !is_polywire(address).await {
        return false;
    }
    let path = format!("/api/providers/{}", provider.id);
    let Some((StatusCode::OK, body)) = get(address, &path, token).await else {
        return false;
    };
    let running: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    running["base_url"] == provider.base_url.as_str() && running["has_key"] == true
}

/// What a gateway counts, when it takes our token.
pub(crate) async fn counters(address: SocketAddr, token: Option<&Secret>) -> Option<Value> {
    let (status, body) = get(address, "/metrics", token).await?;
    let body = (status == StatusCode::OK).then_some(body)?;
    serde_json::from_slice(&body).ok()
}

/// Whether a gateway has all that its providers need, and what it says of that.
pub(crate) async fn readiness(address: SocketAddr) -> Option<(bool, Value)> {
    let (status, body) = get(address, "/ready", None).await?;
    let said = serde_json::from_slice(&body).unwrap_or_default();
    Some((status == StatusCode::OK, said))
}

/// Whether a gateway lets its turns end and begins none: it was asked to stop.
pub(crate) async fn is_stopping(address: SocketAddr) -> bool {
    let said = readiness(address).await;
    said.is_some_and(|(_, said)| says_stopping(&said))
}

/// Whether a gateway says so of its readiness.
pub(crate) fn says_stopping(said: &Value) -> bool {
    said["status"] == "stopping"
}

async fn get(
    address: SocketAddr,
    path: &str,
    token: Option<&Secret>,
) -> Option<(StatusCode, Bytes)> {
    let mut request =
        Request::get(format!("http://{address}{path}")).header("accept", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.reveal()));
    }
    let request = request.body(Full::default()).ok()?;
    let answer = async {
        let response = Upstream::new().send(request).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .ok()?;
        Some((status, body.to_bytes()))
    };
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.ok()?
}

#[cfg(test)]
mod tests {
    use super::callable;

    #[test]
    fn a_gateway_that_listens_everywhere_is_called_on_loopback() {
        for (listens, called) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.1:1", "192.0.2.1:1"),
        ] {
            assert_eq!(callable(listens.parse().unwrap()).to_string(), called);
        }
    }
}
