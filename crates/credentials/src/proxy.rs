//! The proxy that a provider is reached through. It is kept with the secrets because its address may hold a password.

use std::fmt;

use http::Uri;

use crate::Secret;

/// How a provider is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As the environment says (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`); loopback directly.
    #[default]
    Environment,
    /// Directly, whatever the environment says.
    Direct,
    /// Through this proxy, whatever the environment says, to loopback too.
    Through(ProxyUrl),
}

/// The address of a proxy: `http://`, `socks5://` or `socks5h://`, perhaps a user and a password, a host and a port.
///
/// Prints with `***` in place of user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    url: Secret,
    shown: String,
    has_password: bool,
}

/// Why a text is no proxy. The message says nothing of the text, because it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It does not begin with a scheme that is known.
    #[error(
        "a proxy is `none`, or an address that begins with `http://`, `socks5://` or `socks5h://`"
    )]
    Scheme,
    /// There is no port behind the host.
    #[error("the proxy's address ends with a host and a port, such as `http://proxy.example:3128`")]
    HostAndPort,
    /// It holds what no address can.
    #[error(
        "the proxy's address has characters that must be written with `%` and two digits, such as `%40` for `@`"
    )]
    Characters,
}

impl Proxy {
    /// Reads `none`, or the address of a proxy.
    ///
    /// # Errors
    /// [`ProxyError`] says what is missing. An address that is half understood is never taken: it would let requests go out
    /// directly.
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        if text == "none" {
            return Ok(Proxy::Direct);
        }
        ProxyUrl::parse(text).map(Proxy::Through)
    }

    /// Whether a user or a password is in it.
    pub fn has_password(&self) -> bool {
        match self {
            Proxy::Environment | Proxy::Direct => false,
            Proxy::Through(url) => url.has_password,
        }
    }
}

/// `environment`, `none`, or the address without its password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proxy::Environment => f.write_str("environment"),
            Proxy::Direct => f.write_str("none"),
            Proxy::Through(url) => url.fmt(f),
        }
    }
}

impl ProxyUrl {
    fn parse(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        if !["http", "socks5", "socks5h"].contains(&scheme.as_str()) {
            return Err(ProxyError::Scheme);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.matches('@').count() > 1 {
            return Err(ProxyError::Characters);
        }
        let (user, host) = match authority.split_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) || host.contains(['/', '?', '#']) {
            return Err(ProxyError::HostAndPort);
        }
        let url = format!("{scheme}://{authority}");
        // Whoever connects reads it in the same way; what it cannot read it would pass by.
        let parsed = Uri::try_from(&url).map_err(|_| ProxyError::Characters)?;
        if parsed.host().is_none_or(str::is_empty) || parsed.port().is_none() {
            return Err(ProxyError::HostAndPort);
        }
        Ok(Self {
            shown: match user {
                Some(_) => format!("{scheme}://***@{host}"),
                None => url.clone(),
            },
            url: Secret::new(url),
            has_password: user.is_some(),
        })
    }

    /// The address itself, password included, for whoever connects.
    pub fn reveal(&self) -> &str {
        self.url.reveal()
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_shown_without_their_password() {
        for (text, shown, revealed) in [
            ("none", "none", None),
            (
                "http://127.0.0.1:3128",
                "http://127.0.0.1:3128",
                Some("http://127.0.0.1:3128"),
            ),
            (
                " HTTP://user:pass%40@proxy.example:80/ ",
                "http://***@proxy.example:80",
                Some("http://user:pass%40@proxy.example:80"),
            ),
            (
                "socks5h://[::1]:1080",
                "socks5h://[::1]:1080",
                Some("socks5h://[::1]:1080"),
            ),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.to_string(), shown);
            assert!(!format!("{proxy:?} {proxy:#?}").contains("pass"));
            assert_eq!(proxy.has_password(), shown.contains("***"));
            let url = match &proxy {
                Proxy::Through(url) => Some(url.reveal()),
                Proxy::Environment | Proxy::Direct => None,
            };
            assert_eq!(url, revealed, "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_never_taken_for_one() {
        for (text, error) in [
            ("", ProxyError::Scheme),
            ("environment", ProxyError::Scheme),
            ("proxy.example:3128", ProxyError::Scheme),
            ("https://proxy.example:3128", ProxyError::Scheme),
            ("socks4://proxy.example:1080", ProxyError::Scheme),
            ("http://proxy.example", ProxyError::HostAndPort),
            ("http://proxy.example:0", ProxyError::HostAndPort),
            ("http://proxy.example:x", ProxyError::HostAndPort),
            ("http://proxy.example:80/path", ProxyError::HostAndPort),
            ("http://:80", ProxyError::HostAndPort),
            ("http://user:p@ss@proxy.example:80", ProxyError::Characters),
            ("http://user:p ss@proxy.example:80", ProxyError::Characters),
            (
                "http://user:p\u{e4}ss@proxy.example:80",
                ProxyError::Characters,
            ),
        ] {
            assert_eq!(Proxy::parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("ss@"));
        }
    }
}
