//! Web pages where an answer was expected: whose they are.

use polywire_upstream::{HeaderMap, Heard};
use polywire_wire::clean;

/// The most characters of a page's title that are shown.
const TITLE_CHARS_MAX: usize = 120;

/// A web page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its title, when it has one.
    pub(crate) title: Option<String>,
}

/// What a filter in front of a service did. Cloudflare's, which stands in front of most: its pages, headers and codes are documented
/// at developers.cloudflare.com (challenges, 1xxx errors).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A riddle for browsers ("Just a moment…"), which no program can solve.
    Challenge,
    /// Error 1010: the request does not look like a browser or a client that the site knows.
    Signature,
    /// Error 1006, 1007, 1008 or 1106: this address is banned.
    Address,
    /// Error 1009: this country or region is banned.
    Region,
    /// Error 1015: too many requests.
    Rate,
    /// Error 1020 and "you have been blocked": a rule of the site.
    Rule,
    /// The service behind the filter does not answer: 520 to 530.
    Origin,
}

impl Filter {
    /// The word for it: `challenge`, `signature`, `address`, `region`, `rate`, `rule`, `origin`.
    pub const fn name(self) -> &'static str {
        match self {
            Filter::Challenge => "challenge",
            Filter::Signature => "signature",
            Filter::Address => "address",
            Filter::Region => "region",
            Filter::Rate => "rate",
            Filter::Rule => "rule",
            Filter::Origin => "origin",
        }
    }
}

/// Whether an answer comes from Cloudflare's filter rather than from the service behind it.
pub(crate) fn filter(heard: &Heard) -> Option<Filter> {
    if header(&heard.headers, "cf-mitigated") == Some("challenge") {
        return Some(Filter::Challenge);
    }
    let text = String::from_utf8_lossy(&heard.body).to_lowercase();
    if let Some(filter) = error_code(&text).and_then(filter_of_code) {
        return Some(filter);
    }
    let from_edge = heard.headers.contains_key("cf-ray")
        || header(&heard.headers, "server").is_some_and(|server| server == "cloudflare")
        || text.contains("cloudflare");
    let page = looks_like_page(&text);
    if page && (text.contains("/cdn-cgi/challenge-platform/") || text.contains("just a moment")) {
        return Some(Filter::Challenge);
    }
    if page && from_edge && text.contains("you have been blocked") {
        return Some(Filter::Rule);
    }
    (page && from_edge && (520..=530).contains(&heard.status.as_u16())).then_some(Filter::Origin)
}

/// The page that an answer is, if it is one.
pub(crate) fn page(heard: &Heard) -> Option<Page> {
    let text = String::from_utf8_lossy(&heard.body);
    let declared = header(&heard.headers, "content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
    (declared || looks_like_page(&text.to_lowercase())).then(|| Page {
        title: title(&text),
    })
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn looks_like_page(lower: &str) -> bool {
    let start = lower.trim_start();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// The code of Cloudflare's own errors: in plain text (`error code: 1010`), on a page (`Error 1020`), or in its JSON form
/// (`"cloudflare_error": true, "error_code": 1010`).
fn error_code(lower: &str) -> Option<u16> {
    let plain = lower.trim().strip_prefix("error code:");
    let in_json = || {
        let json: serde_json::Value = serde_json::from_str(lower).ok()?;
        let theirs = json["cloudflare_error"] == true;
        let code = json["error_code"].as_u64().filter(|_| theirs)?;
        u16::try_from(code).ok()
    };
    let on_page = || {
        let known = looks_like_page(lower)
            && (lower.contains("cf-error-details") || lower.contains("cloudflare"));
        let after = lower.find("error code").or_else(|| lower.find("error 1"));
        let rest = lower.get(after.filter(|_| known)?..)?;
        number(rest)
    };
    plain.and_then(number).or_else(in_json).or_else(on_page)
}

/// The first number of three or four digits.
fn number(text: &str) -> Option<u16> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .find(|digits| matches!(digits.len(), 3 | 4))?
        .parse()
        .ok()
}

const fn filter_of_code(code: u16) -> Option<Filter> {
    match code {
        1006 | 1007 | 1008 | 1106 => Some(Filter::Address),
        1009 => Some(Filter::Region),
        1010 => Some(Filter::Signature),
        1015 => Some(Filter::Rate),
        1000..=1999 => Some(Filter::Rule),
        520..=530 => Some(Filter::Origin),
        _ => None,
    }
}

fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let opened = lower.find("<title")?;
    let start = opened + lower[opened..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let words: Vec<&str> = page[start..end].split_whitespace().collect();
    let title = clean(&words.join(" "), TITLE_CHARS_MAX);
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use polywire_upstream::StatusCode;

    use super::*;

    fn heard(status: u16, headers: &[(&str, &str)], body: &str) -> Heard {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = http::HeaderName::try_from(*name).unwrap();
            map.insert(name, value.parse().unwrap());
        }
        Heard {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn filters_are_recognised_in_every_form() {
        let challenge = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>";
        let blocked = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title><h1>Sorry, you have been blocked</h1>";
        let firewall = "<!DOCTYPE html><title>Access denied | a.example used Cloudflare to restrict access</title><span class=\"cf-error-details\">Error code 1020</span>";
        for (heard, expected) in [
            (heard(403, &[], challenge), Some(Filter::Challenge)),
            (
                heard(403, &[("cf-mitigated", "challenge")], ""),
                Some(Filter::Challenge),
            ),
            (heard(403, &[], "error code: 1010"), Some(Filter::Signature)),
            (heard(403, &[], "error code: 1009\n"), Some(Filter::Region)),
            (heard(429, &[], "error code: 1015"), Some(Filter::Rate)),
            (heard(522, &[], "error code: 522"), Some(Filter::Origin)),
            (heard(502, &[], "error code: 502"), None),
            (
                heard(
                    403,
                    &[],
                    r#"{"cloudflare_error": true, "error_code": 1010}"#,
                ),
                Some(Filter::Signature),
            ),
            (
                heard(403, &[("server", "cloudflare")], blocked),
                Some(Filter::Rule),
            ),
            (heard(403, &[], firewall), Some(Filter::Rule)),
            (
                heard(
                    522,
                    &[("cf-ray", "1")],
                    "<html><title>a | 522: Connection timed out</title>",
                ),
                Some(Filter::Origin),
            ),
            // A service's own words, though it stands behind the filter.
            (
                heard(
                    403,
                    &[("server", "cloudflare"), ("cf-ray", "1")],
                    r#"{"error":{"message":"no","code":1010}}"#,
                ),
                None,
            ),
            (
                heard(200, &[("server", "cloudflare")], r#"{"data":[]}"#),
                None,
            ),
            (heard(200, &[], "<html><title>Sign in</title></html>"), None),
        ] {
            assert_eq!(filter(&heard), expected, "{heard:?}");
        }
    }

    #[test]
    fn pages_have_titles() {
        let declared = heard(
            200,
            &[("content-type", "text/html; charset=utf-8")],
            "hello",
        );
        assert_eq!(page(&declared), Some(Page { title: None }));
        let titled = heard(200, &[], "<html><TITLE>\n Sign  in\u{7} </title>");
        let title = page(&titled).unwrap().title;
        assert_eq!(title.as_deref().map(str::trim), Some("Sign in"));
        assert_eq!(page(&heard(200, &[], "{\"data\":[]}")), None);
    }
}
