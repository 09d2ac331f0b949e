//! Who gets in: the token, and the `Host` and `Origin` headers.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, Uri, header};
use polywire_credentials::{Secret, tokens_equal};

use crate::error_page::Refusal;

/// What a request must show.
pub struct Access {
    token: Option<Secret>,
    loopback_only: bool,
}

impl Access {
    /// The check for a gateway that listens on `listen`. Without a token everybody on this machine gets in, which `settings`
    /// allows on loopback only.
    pub fn new(listen: SocketAddr, token: Option<Secret>) -> Self {
        Self {
            token,
            loopback_only: listen.ip().is_loopback(),
        }
    }

    /// Refuses requests that a web page may have caused.
    ///
    /// A page can make a browser call any address, by a name that it lets point to this machine. Such a call carries that name
    /// as `Host`, and the page as `Origin`.
    ///
    /// # Errors
    /// A refusal with status 403.
    pub(crate) fn check_source(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
            .unwrap_or_default();
        if self.loopback_only && !is_loopback(host_name(host)) {
            return Err(forbidden(format!(
                "the Host header `{host}` is not this machine. hint: call the gateway as 127.0.0.1 or localhost"
            )));
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let origin_host = origin.split_once("://").map(|(_, rest)| rest);
        let own = origin_host.is_some_and(|name| name == host || is_loopback(host_name(name)));
        if own {
            Ok(())
        } else {
            Err(forbidden(format!(
                "web pages of `{origin}` may not call the gateway"
            )))
        }
    }

    /// Refuses requests without the token, in `Authorization: Bearer` or `x-api-key`.
    ///
    /// # Errors
    /// A refusal with status 401.
    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (scheme, rest) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
            })
            .or_else(|| {
                headers
                    .get("x-api-key")
                    .and_then(|value| value.to_str().ok())
            });
        match given {
            Some(given) if tokens_equal(given, token.reveal()) => Ok(()),
            Some(_) => Err(unauthorised("the token is not this gateway's")),
            None => Err(unauthorised("the request carries no token")),
        }
    }
}

/// A host without its port.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn forbidden(message: String) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, message)
}

fn unauthorised(problem: &str) -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        format!("{problem}. hint: send `Authorization: Bearer <token>`; `polywire token` shows it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    fn source(pairs: &[(&'static str, &'static str)]) -> bool {
        let access = Access::new("127.0.0.1:4891".parse().unwrap(), None);
        access
            .check_source(&headers(pairs), &Uri::from_static("/"))
            .is_ok()
    }

    #[test]
    fn hosts_and_origins() {
        for host in [
            "127.0.0.1:4891",
            "localhost",
            "LOCALHOST:1",
            "[::1]:4891",
            "127.1.2.3",
        ] {
            assert!(source(&[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:4891",
            "10.0.0.1",
            "",
            "0.0.0.0",
        ] {
            assert!(!source(&[("host", host)]), "{host}");
        }
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:80",
        ] {
            assert!(
                source(&[("host", "localhost"), ("origin", origin)]),
                "{origin}"
            );
        }
        for origin in [
            "https://evil.example",
            "null",
            "",
            "http://localhost.evil.example",
        ] {
            assert!(
                !source(&[("host", "localhost"), ("origin", origin)]),
                "{origin}"
            );
        }
        assert!(!source(&[]));
    }

    #[test]
    fn tokens() {
        let access = Access::new(
            "127.0.0.1:1".parse().unwrap(),
            Some(Secret::new("pw-right")),
        );
        let check =
            |pairs: &[(&'static str, &'static str)]| access.check_token(&headers(pairs)).is_ok();
        assert!(check(&[("authorization", "Bearer pw-right")]));
        assert!(check(&[("authorization", "bearer pw-right")]));
        assert!(check(&[("x-api-key", "pw-right")]));
        assert!(!check(&[("authorization", "Bearer pw-wrong")]));
        assert!(!check(&[("authorization", "Basic pw-right")]));
        assert!(!check(&[("authorization", "pw-right")]));
        assert!(!check(&[]));
    }
}
