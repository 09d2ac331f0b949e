//! Whether an address answers, step by step.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use polywire_conversation::Fault;
use polywire_credentials::Proxy;
use polywire_gateway::Endpoint;
use polywire_upstream::{Heard, Request, StepLimits, Upstream, Walk, walk};
use serde::Serialize;

use crate::Finding;

/// How long each step up to the request may take. Healthy networks need a fraction of a second for each; who looks for a fault does not
/// want to wait for the sum of all.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answer may take. A list of models is there at once, but for servers that wake up when they are asked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes of an answer that are looked at. Lists of several hundred models have half a megabyte.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Shorter secrets are words that may stand in any text.
const SECRET_BYTES_MIN: usize = 8;

/// How far a request came, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The address that was asked.
    pub url: String,
    /// The proxy on the way, without its password.
    pub proxy: Option<String>,
    /// The steps that succeeded, in order.
    pub steps: Vec<StepTime>,
    /// What came of it.
    pub finding: Finding,
    /// The beginning of the answer's body when it is the expected one; empty otherwise.
    pub body: Bytes,
}

/// A step that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepTime {
    /// `dns`, `tcp`, `proxy`, `tls` or `http`.
    pub step: &'static str,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What is known afterwards: an address, the version of TLS, a status.
    pub found: String,
}

impl Reach {
    /// The steps in one line: `dns 2 ms, tcp 12 ms, tls 30 ms, http 80 ms`.
    pub fn steps_line(&self) -> String {
        let steps: Vec<String> = self
            .steps
            .iter()
            .map(|step| format!("{} {} ms", step.step, step.took_ms))
            .collect();
        steps.join(", ")
    }

    /// The result as JSON: `url`, `proxy`, `reached`, `finding`, `message`, `hint`, `failed_step`, `steps`.
    pub fn to_json(&self) -> serde_json::Value {
        let failed_step = match &self.finding {
            Finding::Stopped { step, .. } => Some(*step),
            Finding::Works { .. }
            | Finding::NoList { .. }
            | Finding::KeyRefused { .. }
            | Finding::Limited { .. }
            | Finding::Filtered { .. }
            | Finding::Page { .. }
            | Finding::Moved { .. }
            | Finding::Failing { .. } => None,
        };
        serde_json::json!({
            "url": self.url,
            "proxy": self.proxy,
            "reached": self.finding.is_reached(),
            "finding": self.finding.name(),
            "message": self.finding.message(),
            "hint": self.finding.hint(),
            "failed_step": failed_step,
            "steps": self.steps,
        })
    }
}

/// Asks an address, on a connection of its own, as `proxy` says. Header values that are marked as sensitive do not show in what comes
/// back.
pub async fn reach(proxy: &Proxy, request: Request<Full<Bytes>>) -> Reach {
    let limits = StepLimits {
        each: STEP_TIMEOUT,
        answer: ANSWER_TIMEOUT,
        body_bytes_max: BODY_BYTES_MAX,
    };
    reach_within(proxy, request, &limits).await
}

/// The same within other limits.
pub async fn reach_within(
    proxy: &Proxy,
    request: Request<Full<Bytes>>,
    limits: &StepLimits,
) -> Reach {
    let url = request.uri().to_string();
    let secrets = secrets(&request);
    let Walk { proxy, steps, end } = walk(proxy, request, limits).await;
    let (finding, body) = match end {
        Ok(heard) => {
            let finding = Finding::of_answer(&heard, |words| masked(words, &secrets));
            (finding, expected(heard))
        }
        Err(stopped) => (
            Finding::of_failure(&stopped, proxy.as_deref()),
            Bytes::new(),
        ),
    };
    let steps = steps
        .into_iter()
        .map(|taken| StepTime {
            step: taken.step.name(),
            took_ms: u64::try_from(taken.took.as_millis()).unwrap_or(u64::MAX),
            found: taken.found,
        })
        .collect();
    Reach {
        url,
        proxy,
        steps,
        finding,
        body,
    }
}

/// Asks a provider for its list of models, with its key or login, its headers and its proxy. Nothing for a provider that is not reached
/// over HTTP.
///
/// # Errors
/// A [`Fault`] when its key or login cannot be had, or its address cannot be used.
pub async fn reach_provider(
    endpoint: &Endpoint,
    upstream: &Upstream,
) -> Result<Option<Reach>, Fault> {
    let Some(mut request) = endpoint.inquiry()? else {
        return Ok(None);
    };
    endpoint.let_request_in(&mut request, upstream).await?;
    Ok(Some(reach(endpoint.proxy(), request).await))
}

fn expected(heard: Heard) -> Bytes {
    if heard.status.is_success() {
        heard.body
    } else {
        Bytes::new()
    }
}

/// The values of sensitive headers, and what stands behind the word in front of them (`Bearer`).
fn secrets(request: &Request<Full<Bytes>>) -> Vec<String> {
    let sensitive = request
        .headers()
        .values()
        .filter(|value| value.is_sensitive());
    sensitive
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| {
            let last = value.rsplit_once(' ').map(|(_, last)| last);
            [Some(value), last]
        })
        .flatten()
        .filter(|secret| secret.len() >= SECRET_BYTES_MIN)
        .map(str::to_owned)
        .collect()
}

fn masked(words: &str, secrets: &[String]) -> String {
    secrets.iter().fold(words.to_owned(), |words, secret| {
        words.replace(secret, "***")
    })
}
