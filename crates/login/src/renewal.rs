//! Asking the issuer for new tokens.

use polywire_credentials::Secret;
use polywire_upstream::Upstream;
use serde::Serialize;

use crate::Limits;
use crate::ask::{Answer, NoAnswer, ask, json};
use crate::document::NewTokens;
use crate::places::CLIENT_ID;

/// Why a login is renewed, in the words of Codex 0.169 (codex-client.md 8.2).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The token ends soon.
    ProactiveExpiry,
    /// The back end refused it.
    UnauthorizedRecovery,
}

/// A renewal that brought nothing.
#[derive(Debug)]
pub(crate) enum NotRenewed {
    /// The issuer will never renew this login; its code.
    ForGood(String),
    /// It may work later; what happened.
    ForNow(String),
    /// The answer is lost, and with it perhaps the refresh token; what happened.
    Lost(String),
}

#[derive(Serialize)]
struct Question<'a> {
    client_id: &'static str,
    grant_type: &'static str,
    refresh_reason: Reason,
    refresh_token: &'a str,
}

/// Asks for new tokens, once. The caller holds the lock of the login.
pub(crate) async fn renew(
    upstream: &Upstream,
    token_url: &str,
    refresh: &Secret,
    reason: Reason,
    limits: &Limits,
) -> Result<NewTokens, NotRenewed> {
    let question = Question {
        client_id: CLIENT_ID,
        grant_type: "refresh_token",
        refresh_reason: reason,
        refresh_token: refresh.reveal(),
    };
    let request = json(token_url, &question).map_err(not_renewed)?;
    let answer = ask(upstream, request, limits.answer_wait).await;
    read(&answer.map_err(not_renewed)?)
}

fn not_renewed(no_answer: NoAnswer) -> NotRenewed {
    match no_answer {
        NoAnswer::NotSent(reason) => NotRenewed::ForNow(reason),
        NoAnswer::Lost(reason) => NotRenewed::Lost(reason),
    }
}

/// Which failures are for good: seed-behaviours.md D6.8.
fn read(answer: &Answer) -> Result<NewTokens, NotRenewed> {
    if answer.status.is_success() {
        let tokens = serde_json::from_slice::<NewTokens>(&answer.body).ok();
        // Without a new access token nothing was renewed, whatever the status says, and yet the refresh token may be spent.
        return tokens
            .filter(|tokens| tokens.access.as_ref().is_some_and(|it| !it.is_empty()))
            .ok_or_else(|| NotRenewed::Lost("the answer holds no token".to_owned()));
    }
    let code = answer.code();
    let named = matches!(
        code.as_deref(),
        Some(
            "refresh_token_expired"
                | "refresh_token_reused"
                | "refresh_token_invalidated"
                | "invalid_grant"
        )
    );
    if named || answer.status == http::StatusCode::UNAUTHORIZED {
        let code = code.unwrap_or_else(|| answer.status.as_u16().to_string());
        return Err(NotRenewed::ForGood(code));
    }
    Err(NotRenewed::ForNow(answer.failure()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned().into(),
        }
    }

    fn outcome(status: u16, body: &str) -> String {
        match read(&answer(status, body)) {
            Ok(tokens) => format!("tokens {:?}", tokens.access),
            Err(NotRenewed::ForGood(code)) => format!("for good: {code}"),
            Err(NotRenewed::ForNow(reason)) => format!("for now: {reason}"),
            Err(NotRenewed::Lost(reason)) => format!("lost: {reason}"),
        }
    }

    #[test]
    fn what_is_for_good_and_what_may_pass() {
        for (status, body, expected) in [
            (200, r#"{"access_token":"a"}"#, "tokens Some(\"a\")"),
            (
                200,
                r#"{"refresh_token":"r"}"#,
                "lost: the answer holds no token",
            ),
            (200, "<html>", "lost: the answer holds no token"),
            (
                401,
                r#"{"error":{"code":"refresh_token_reused","message":"m"}}"#,
                "for good: refresh_token_reused",
            ),
            (
                400,
                r#"{"error":"invalid_grant"}"#,
                "for good: invalid_grant",
            ),
            (
                403,
                r#"{"code":"refresh_token_invalidated"}"#,
                "for good: refresh_token_invalidated",
            ),
            (401, "no", "for good: 401"),
            (
                400,
                r#"{"error":"invalid_request"}"#,
                "for now: the answer was 400 (`invalid_request`)",
            ),
            (429, "", "for now: the answer was 429"),
            (500, "secret rt-1", "for now: the answer was 500"),
            (403, "<html>challenge", "for now: the answer was 403"),
        ] {
            assert_eq!(outcome(status, body), expected, "{status} {body}");
        }
    }
}
