//! Questions to the issuer and to the back end, with an end.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Builder;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use polywire_upstream::{CONNECT_TIMEOUT, SendError, Upstream, root_cause};
use serde::Serialize;
use serde_json::Value;

/// Who asks. Our own name: the issuer may know that it is not Codex.
const AGENT: &str = concat!("polywire/", env!("CARGO_PKG_VERSION"));

/// How we call ourselves where Codex says `codex_cli_rs`.
pub(crate) const ORIGINATOR: &str = "polywire";

/// The most bytes of an answer. Tokens have a few kilobytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The most characters of somebody else's words in an error of ours.
const QUOTED_CHARS_MAX: usize = 200;

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// There is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The question was not sent: nothing happened.
    NotSent(String),
    /// The question may have been sent: nobody knows what happened.
    Lost(String),
}

impl NoAnswer {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::NotSent(reason) | Self::Lost(reason) => reason,
        }
    }
}

/// A question with a JSON body.
pub(crate) fn json(url: &str, body: &impl Serialize) -> Result<Request<Full<Bytes>>, NoAnswer> {
    let body = serde_json::to_vec(body).map_err(|error| NoAnswer::NotSent(error.to_string()))?;
    finish(
        Request::post(url).header(CONTENT_TYPE, "application/json"),
        body,
    )
}

/// A question with a form as its body.
pub(crate) fn form(url: &str, fields: &[(&str, &str)]) -> Result<Request<Full<Bytes>>, NoAnswer> {
    let body = crate::url::query(fields).into_bytes();
    finish(
        Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded"),
        body,
    )
}

/// A question without a body.
pub(crate) fn get(request: Builder) -> Result<Request<Full<Bytes>>, NoAnswer> {
    finish(request, Vec::new())
}

fn finish(request: Builder, body: Vec<u8>) -> Result<Request<Full<Bytes>>, NoAnswer> {
    request
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, AGENT)
        .header("originator", ORIGINATOR)
        .body(Full::from(body))
        .map_err(|error| NoAnswer::NotSent(error.to_string()))
}

/// Asks, and waits `wait` for the whole answer.
pub(crate) async fn ask(
    upstream: &Upstream,
    request: Request<Full<Bytes>>,
    wait: Duration,
) -> Result<Answer, NoAnswer> {
    tokio::time::timeout(wait, exchange(upstream, request))
        .await
        .unwrap_or_else(|_| {
            Err(NoAnswer::Lost(format!(
                "no answer within {} s",
                wait.as_secs()
            )))
        })
}

async fn exchange(upstream: &Upstream, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
    let response = upstream
        .send(request)
        .await
        .map_err(|error| no_answer(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    match body {
        Ok(body) => Ok(Answer {
            status,
            body: body.to_bytes(),
        }),
        Err(error) if status.is_success() => Err(NoAnswer::Lost(format!(
            "the answer broke off: {}",
            root_cause(error.as_ref())
        ))),
        // What failed is known from the status alone.
        Err(_) => Ok(Answer {
            status,
            body: Bytes::new(),
        }),
    }
}

fn no_answer(error: &SendError) -> NoAnswer {
    let reason = match std::error::Error::source(error) {
        Some(_) => format!("{error}: {}", root_cause(error)),
        None => error.to_string(),
    };
    match error {
        SendError::Connect { .. } | SendError::Tls(_) => NoAnswer::NotSent(reason),
        SendError::Timeout { timeout, .. } if *timeout == CONNECT_TIMEOUT => {
            NoAnswer::NotSent(reason)
        }
        SendError::Timeout { .. } | SendError::Broken { .. } => NoAnswer::Lost(reason),
    }
}

impl Answer {
    /// The error code of a failure: `error.code`, `error` as text, or `code` at the top (seed-behaviours.md D6.8).
    pub(crate) fn code(&self) -> Option<String> {
        let body = self.json();
        let places = [&body["error"]["code"], &body["error"], &body["code"]];
        let code = places.into_iter().find_map(Value::as_str)?;
        Some(quoted(code)).filter(|code| !code.is_empty())
    }

    /// What a failure was, in a few words. Of the body only its code is told.
    pub(crate) fn failure(&self) -> String {
        match self.code() {
            Some(code) => format!("the answer was {} (`{code}`)", self.status.as_u16()),
            None => format!("the answer was {}", self.status.as_u16()),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Somebody else's words, on one line, short, and without what a terminal could obey.
pub(crate) fn quoted(text: &str) -> String {
    let shown = |letter: char| match letter {
        letter if letter.is_control() => ' ',
        // It would end our own quotation marks.
        '`' => '\'',
        letter => letter,
    };
    let text: String = text.chars().take(QUOTED_CHARS_MAX).map(shown).collect();
    text.trim().to_owned()
}
