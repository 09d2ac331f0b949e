//! What came of asking a provider: how far it went, what it means, what to do.

use std::io::ErrorKind;

use polywire_conversation::FaultClass;
use polywire_upstream::{Heard, StatusCode, Step, StepError, Stopped, TlsProblem};
use polywire_wire::{clean, read_error};

use crate::page::{Filter, filter, page};

/// The most characters of a provider's own words that are shown.
const WORDS_CHARS_MAX: usize = 300;

/// What came of asking a provider for its list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It answered with JSON, as it should.
    Works {
        /// How many models its list has; `None` when the answer is no list.
        models: Option<usize>,
    },
    /// It is there, and has no list of models at the usual place. Turns may work all the same.
    NoList {
        /// The status.
        status: u16,
    },
    /// It does not let us in.
    KeyRefused {
        /// 401 or 403.
        status: u16,
        /// The provider's own words.
        words: String,
    },
    /// The account has no money left, or its limit is reached.
    Limited {
        /// The status.
        status: u16,
        /// The provider's own words.
        words: String,
    },
    /// A filter in front of it stopped the request.
    Filtered {
        /// The status.
        status: u16,
        /// What the filter did.
        filter: Filter,
    },
    /// A web page came where JSON is expected.
    Page {
        /// The status.
        status: u16,
        /// The page's title, when it has one.
        title: Option<String>,
    },
    /// It says that it is elsewhere.
    Moved {
        /// The status.
        status: u16,
        /// Where it is.
        to: String,
    },
    /// It answered with an error.
    Failing {
        /// The status.
        status: u16,
        /// The provider's own words.
        words: String,
    },
    /// No answer came.
    Stopped {
        /// The step that failed: `dns`, `tcp`, `proxy`, `tls`, `http`.
        step: &'static str,
        /// Why.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl Finding {
    /// Whether the provider itself answered, with whatever.
    pub const fn is_reached(&self) -> bool {
        match self {
            Finding::Works { .. }
            | Finding::NoList { .. }
            | Finding::KeyRefused { .. }
            | Finding::Limited { .. }
            | Finding::Failing { .. } => true,
            Finding::Filtered { .. }
            | Finding::Page { .. }
            | Finding::Moved { .. }
            | Finding::Stopped { .. } => false,
        }
    }

    /// A word for programs: `works`, `no_list`, `key_refused`, `limited`, `filtered`, `page`, `moved`, `failing`, `stopped`.
    pub const fn name(&self) -> &'static str {
        match self {
            Finding::Works { .. } => "works",
            Finding::NoList { .. } => "no_list",
            Finding::KeyRefused { .. } => "key_refused",
            Finding::Limited { .. } => "limited",
            Finding::Filtered { .. } => "filtered",
            Finding::Page { .. } => "page",
            Finding::Moved { .. } => "moved",
            Finding::Failing { .. } => "failing",
            Finding::Stopped { .. } => "stopped",
        }
    }

    /// What happened, in a sentence.
    pub fn message(&self) -> String {
        match self {
            Finding::Works { models: Some(1) } => "it answers, and lists 1 model".to_owned(),
            Finding::Works {
                models: Some(models),
            } => format!("it answers, and lists {models} models"),
            Finding::Works { models: None } => "it answers".to_owned(),
            Finding::NoList { status } => {
                format!("it answers, and has no list of models (HTTP {status})")
            }
            Finding::KeyRefused { status, words } => {
                format!("it does not let us in (HTTP {status}): {words}")
            }
            Finding::Limited { status, words } | Finding::Failing { status, words } => {
                format!("it answers with an error (HTTP {status}): {words}")
            }
            Finding::Filtered { status, filter } => {
                format!("{} (HTTP {status})", filtered(*filter))
            }
            Finding::Page { status, title } => match title {
                Some(title) => {
                    format!("a web page came where JSON is expected (HTTP {status}): {title}")
                }
                None => format!("a web page came where JSON is expected (HTTP {status})"),
            },
            Finding::Moved { status, to } => format!("it says that it is at {to} (HTTP {status})"),
            Finding::Stopped { message, .. } => message.clone(),
        }
    }

    /// What to do about it; nothing when there is nothing to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Finding::Works { .. } => return None,
            Finding::NoList { .. } => {
                "name its models in the settings, as in `models = [\"name\"]`; if turns fail as well, `base_url` is wrong"
                    .to_owned()
            }
            Finding::KeyRefused { status, .. } => {
                match status {
                    401 => "is the key right, whole, and for this address? Services with several addresses have a key for each",
                    _ => "the key is known but may not be used here: look at its rights and at the account's plan",
                }
                .to_owned()
            }
            Finding::Limited { .. } => {
                "wait, or look at the account's balance and plan on the provider's site".to_owned()
            }
            Finding::Filtered { filter, .. } => way_around(*filter).to_owned(),
            Finding::Page { status, .. } => match status {
                200..300 => "`base_url` is probably wrong: it must be the API's address, not the site's; or a network with a sign-in page is in between",
                _ => "something in front of the provider answers: a proxy, a filter, or a network with a sign-in page",
            }
            .to_owned(),
            Finding::Moved { to, .. } => {
                format!("set `base_url` to the address that it means (it answered with {to})")
            }
            Finding::Failing { status, .. } => match status {
                500.. => "the provider has trouble; try later",
                _ => "look at `base_url` and `headers` of the provider",
            }
            .to_owned(),
            Finding::Stopped { hint, .. } => hint.clone(),
        })
    }

    /// What an answer means. `words` of the provider are taken through `masked`, because some repeat the key that was sent.
    pub(crate) fn of_answer(heard: &Heard, masked: impl Fn(&str) -> String) -> Self {
        let status = heard.status.as_u16();
        if let Some(filter) = filter(heard) {
            return Finding::Filtered { status, filter };
        }
        if heard.status.is_redirection() {
            let to = heard.headers.get(http::header::LOCATION);
            let to = to.and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
            let to = clean(&masked(to), WORDS_CHARS_MAX);
            return Finding::Moved { status, to };
        }
        if let Some(page) = page(heard) {
            let title = page.title.map(|title| masked(&title));
            return Finding::Page { status, title };
        }
        if heard.status.is_success() {
            return Finding::Works {
                models: listed(&heard.body),
            };
        }
        let fault = read_error(status, None, &heard.body);
        let words = clean(&masked(&fault.message), WORDS_CHARS_MAX);
        match (heard.status, fault.class) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) | (_, FaultClass::Auth) => {
                Finding::KeyRefused { status, words }
            }
            (_, FaultClass::Quota | FaultClass::RateLimit) => Finding::Limited { status, words },
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => {
                Finding::NoList { status }
            }
            _ => Finding::Failing { status, words },
        }
    }

    /// What a step means that failed. `proxy` is the proxy on the way.
    pub(crate) fn of_failure(stopped: &Stopped, proxy: Option<&str>) -> Self {
        Finding::Stopped {
            step: stopped.step.name(),
            message: failure(stopped, proxy),
            hint: way_out(stopped, proxy),
        }
    }
}

/// How many models a list has, in any of the shapes that providers use: `data`, `models`, or a bare array.
fn listed(body: &[u8]) -> Option<usize> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let list = json
        .as_array()
        .or_else(|| json["data"].as_array())
        .or_else(|| json["models"].as_array())?;
    Some(list.len())
}

const fn filtered(filter: Filter) -> &'static str {
    match filter {
        Filter::Challenge => {
            "Cloudflare's filter in front of it wants a browser to solve a challenge"
        }
        Filter::Signature => {
            "Cloudflare's filter in front of it refuses programs of our kind (error 1010)"
        }
        Filter::Address => "Cloudflare's filter in front of it has banned this network's address",
        Filter::Region => {
            "Cloudflare's filter in front of it refuses this country or region (error 1009)"
        }
        Filter::Rate => "Cloudflare's filter in front of it counts too many requests (error 1015)",
        Filter::Rule => "a rule of Cloudflare's filter in front of it refuses the request",
        Filter::Origin => "Cloudflare answers, but the provider behind it does not",
    }
}

const fn way_around(filter: Filter) -> &'static str {
    match filter {
        Filter::Challenge | Filter::Rule => {
            "the key is not at fault. Check that `base_url` is the API's address; try another network or `proxy`; if only this program is refused, `headers = { User-Agent = \"…\" }` under the provider sets another name"
        }
        Filter::Signature => {
            "the key is not at fault. The filter dislikes the name that requests carry: `headers = { User-Agent = \"…\" }` under the provider sets one that it lets pass"
        }
        Filter::Address | Filter::Region => {
            "the key is not at fault. Try another network, or set `proxy` for this provider"
        }
        Filter::Rate => "wait a few minutes",
        Filter::Origin => "the provider has trouble; try later",
    }
}

fn failure(stopped: &Stopped, proxy: Option<&str>) -> String {
    let whose = match (stopped.step, proxy) {
        (Step::Name | Step::Connect, Some(proxy)) => format!("the proxy {proxy}: "),
        (Step::Tunnel, Some(proxy)) => format!("{proxy}: "),
        _ => String::new(),
    };
    let what = match (&stopped.error, stopped.step) {
        (StepError::TimedOut { limit }, step) => {
            let seconds = limit.as_secs_f32();
            let what = match step {
                Step::Name => "the name is not looked up",
                Step::Connect => "nobody takes the connection",
                Step::Tunnel => "it does not connect",
                Step::Secure => "TLS is not agreed on",
                Step::Answer => "no answer comes",
            };
            format!("{what} within {seconds} s")
        }
        (error, _) => error.to_string(),
    };
    clean(&format!("{whose}{what}"), WORDS_CHARS_MAX)
}

fn way_out(stopped: &Stopped, proxy: Option<&str>) -> String {
    let through_proxy = proxy.is_some();
    match &stopped.error {
        StepError::Address { .. } => {
            "`base_url` is an `http://` or `https://` address".to_owned()
        }
        StepError::ProxyUnusable => "look at `proxy` of the provider".to_owned(),
        StepError::Name { host, .. } if through_proxy => format!(
            "is `{host}` in `proxy` (or in HTTPS_PROXY, ALL_PROXY) written right, and does this machine have a network?"
        ),
        StepError::Name { host, .. } => format!(
            "is `{host}` in `base_url` written right, and does this machine have a network and a name server?"
        ),
        StepError::Connect { source, .. } => connect_hint(source.kind(), through_proxy).to_owned(),
        StepError::Tunnel(words) if words.contains("authorization") => {
            "the proxy wants a user and a password: `proxy = \"http://user:password@host:port\"`"
                .to_owned()
        }
        StepError::Tunnel(_) => {
            "look at `proxy` of the provider, or at HTTPS_PROXY, ALL_PROXY and NO_PROXY; may this proxy connect to the provider's port?".to_owned()
        }
        StepError::Secure(problem) => tls_hint(problem).to_owned(),
        StepError::Answer(_) => {
            "is it an HTTP server, on this port, and `http://` or `https://` as it should be?".to_owned()
        }
        StepError::TimedOut { .. } => timeout_hint(stopped.step, through_proxy).to_owned(),
    }
}

fn connect_hint(kind: ErrorKind, through_proxy: bool) -> &'static str {
    match (kind, through_proxy) {
        (ErrorKind::ConnectionRefused, true) => "is the proxy running, on this port?",
        (ErrorKind::ConnectionRefused, false) => {
            "the machine is there and nobody listens on this port: is the server running, and the port in `base_url` right?"
        }
        (ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable, _) => {
            "there is no way to this address: look at the network, a VPN, or the firewall"
        }
        (_, true) => "look at the network and at `proxy`",
        (_, false) => "look at the network and at `base_url`",
    }
}

const fn tls_hint(problem: &TlsProblem) -> &'static str {
    match problem {
        TlsProblem::Expired | TlsProblem::NotYetValid => {
            "is this machine's clock right? If it is, the server's owner must renew the certificate"
        }
        TlsProblem::WrongName => {
            "is the host in `base_url` the right one? A network with a sign-in page also answers in another's name"
        }
        TlsProblem::UnknownIssuer | TlsProblem::OtherCertificate(_) => {
            "a company's proxy or a virus scanner may sign in the server's place: add its root certificate to the system, or name it in SSL_CERT_FILE"
        }
        TlsProblem::NotTls => {
            "the address should probably begin with `http://`, or have another port"
        }
        TlsProblem::Broken(_) | TlsProblem::Refused(_) => {
            "does the server speak TLS 1.2 or 1.3 on this port? A firewall may also break connections off"
        }
        TlsProblem::Unusable(_) => {
            "install the system's root certificates (package `ca-certificates`), or name a file in SSL_CERT_FILE"
        }
    }
}

const fn timeout_hint(step: Step, through_proxy: bool) -> &'static str {
    match (step, through_proxy) {
        (Step::Name, _) => "the name server does not answer: look at the network",
        (Step::Connect, true) | (Step::Tunnel, _) => {
            "the proxy does not answer: look at `proxy`, HTTPS_PROXY and ALL_PROXY"
        }
        (Step::Connect, false) => {
            "a firewall may swallow the connection, or a proxy be needed: set `proxy` or HTTPS_PROXY"
        }
        (Step::Secure, _) => {
            "is it a TLS port? If the server speaks plain HTTP, the address begins with `http://`"
        }
        (Step::Answer, _) => {
            "the server takes requests and does not answer: is it busy loading a model, or another program?"
        }
    }
}
