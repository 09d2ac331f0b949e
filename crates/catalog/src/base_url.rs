//! Base URLs as people paste them.

use crate::Kind;

/// A base URL that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Neither `http://` nor `https://` stands in front.
    #[error("base URL `{0}` must begin with `http://` or `https://`")]
    Scheme(String),
    /// Nothing stands between the scheme and the path.
    #[error("base URL `{0}` names no host")]
    NoHost(String),
    /// A query or fragment, which cannot be kept when a path is appended.
    #[error("base URL `{0}` must not have a query or a fragment (`?` or `#`)")]
    Query(String),
    /// White space or a control character inside.
    #[error("base URL `{0}` has white space in it")]
    Space(String),
    /// A user name or password in front of the host; it would end up in logs.
    #[error("a base URL must not hold a user name or password: use `key` or `headers` instead")]
    Credentials,
}

/// Endpoint paths that people paste with the base URL.
const PASTED_ENDPOINTS: &[&str] = &["/chat/completions", "/responses", "/messages"];

/// Brings a base URL into the one form that everybody relies on: no slash at the end and no pasted endpoint path.
///
/// The demo has no address; anything is accepted for it and nothing is kept.
///
/// # Errors
/// The text is not an `http` or `https` URL that a path can be appended to.
pub fn normalise_base_url(kind: Kind, url: &str) -> Result<String, BaseUrlError> {
    match kind {
        Kind::Demo | Kind::CodexExec | Kind::CodexAppServer => Ok(String::new()),
        Kind::Chat | Kind::Responses | Kind::ChatGpt | Kind::CommandCode => normalise_http(url),
        Kind::Messages => normalise_http(url).map(without_version),
    }
}

/// Anthropic's own clients append `/v1/messages` to a bare host, others `/messages` to an address that ends in `/v1`. Both forms
/// are pasted, so the version is taken off and belongs to the path of the endpoint.
fn without_version(url: String) -> String {
    match url.strip_suffix("/v1") {
        Some(bare) => bare.to_owned(),
        None => url,
    }
}

fn normalise_http(url: &str) -> Result<String, BaseUrlError> {
    let url = url.trim();
    if url.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(BaseUrlError::Space(shown(url).escape_debug().to_string()));
    }
    let rest = after_scheme(url).ok_or_else(|| BaseUrlError::Scheme(shown(url)))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err(BaseUrlError::Credentials);
    }
    if host.is_empty() || host.starts_with(':') {
        return Err(BaseUrlError::NoHost(shown(url)));
    }
    if url.contains(['?', '#']) {
        return Err(BaseUrlError::Query(shown(url)));
    }
    let (server, path) = url.split_at(url.len() - rest.len() + host.len());
    let mut path = path.trim_end_matches('/');
    for endpoint in PASTED_ENDPOINTS {
        if let Some(before) = path.strip_suffix(endpoint) {
            path = before.trim_end_matches('/');
        }
    }
    Ok(format!("{server}{path}"))
}

/// An address without what may be secret in it: what stands in front of the host, and what follows a `?` or `#`.
fn shown(url: &str) -> String {
    let (address, cut) = match url.find(['?', '#']) {
        Some(at) => (&url[..at], &url[at..=at]),
        None => (url, ""),
    };
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let cut = if cut.is_empty() {
        String::new()
    } else {
        format!("{cut}…")
    };
    format!("{scheme}{host}{cut}")
}

fn after_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        let outcome = match normalise_base_url(Kind::Chat, url) {
            Ok(url) => url,
            Err(error) => error.to_string(),
        };
        assert_eq!(outcome, expected, "{url}");
    }

    #[test]
    fn base_urls_take_one_form() {
        check("https://api.example.com/v1", "https://api.example.com/v1");
        check("https://api.example.com/v1//", "https://api.example.com/v1");
        check(" http://127.0.0.1:8000/v1/ ", "http://127.0.0.1:8000/v1");
        check("HTTPS://api.example.com", "HTTPS://api.example.com");
        check(
            "https://api.example.com/v1/chat/completions",
            "https://api.example.com/v1",
        );
        check(
            "https://api.example.com/v1/chat/completions/",
            "https://api.example.com/v1",
        );
        check(
            "https://api.example.com/v1/responses",
            "https://api.example.com/v1",
        );
        check(
            "https://api.example.com/v1/messages",
            "https://api.example.com/v1",
        );
        check("https://chat/completions", "https://chat/completions");
        check(
            "api.example.com/v1",
            "base URL `api.example.com/v1` must begin with `http://` or `https://`",
        );
        check("", "base URL `` must begin with `http://` or `https://`");
        check(
            "ftp://x/v1",
            "base URL `ftp://x/v1` must begin with `http://` or `https://`",
        );
        check("https:///v1", "base URL `https:///v1` names no host");
        check("https://:80/v1", "base URL `https://:80/v1` names no host");
        check(
            "https://a b/v1",
            "base URL `https://a b/v1` has white space in it",
        );
        check(
            "https://a/v1?key=x",
            "base URL `https://a/v1?…` must not have a query or a fragment (`?` or `#`)",
        );
        check(
            "me:secret@a.example/v1?api_key=secret",
            "base URL `a.example/v1?…` must begin with `http://` or `https://`",
        );
        check(
            "https://me:sec ret@a/v1#secret",
            "base URL `https://a/v1#…` has white space in it",
        );
        check(
            "https:///v1?key=secret",
            "base URL `https:///v1?…` names no host",
        );
        check(
            "https://me:secret@a/v1",
            "a base URL must not hold a user name or password: use `key` or `headers` instead",
        );
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for url in [
            "https://a/v1/chat/completions",
            "http://a:1//",
            "https://a/responses",
        ] {
            let once = normalise_base_url(Kind::Chat, url).unwrap();
            assert_eq!(normalise_base_url(Kind::Chat, &once).unwrap(), once);
        }
    }

    #[test]
    fn the_demo_has_no_address() {
        assert_eq!(normalise_base_url(Kind::Demo, "anything").unwrap(), "");
        for url in [
            "https://a.example",
            "https://a.example/v1",
            "https://a.example/v1/messages",
        ] {
            assert_eq!(
                normalise_base_url(Kind::Messages, url).unwrap(),
                "https://a.example"
            );
        }
    }
}
