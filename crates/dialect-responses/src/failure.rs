//! What failed, in the words of the Responses protocol.
//!
//! One row per class of failure: the status and body before a stream begins, the code inside `response.failed` after.

use polywire_conversation::{Fault, FaultClass, Retry};
use polywire_wire::openai_error::{self, Words};

use crate::Client;
use crate::limits::RETRY_WAIT_MAX;

pub(crate) use polywire_wire::openai_error::write_optional;

/// The body of an error answer: `{"error":{"message","type","param","code"}}`, with all four keys, null where nothing is known.
///
/// The limit of a plan has `resets_at` besides, from which Codex tells its user when to come back.
pub fn render_error(fault: &Fault) -> Vec<u8> {
    let mut body = b"{\"error\":".to_vec();
    write_error_members(fault, &mut body);
    if let (Some(_), Some(resets_at)) = (plan_code(fault), fault.resets_at) {
        // Inside the object that has just been closed.
        body.pop();
        body.extend_from_slice(format!(",\"resets_at\":{resets_at}}}").as_bytes());
    }
    body.push(b'}');
    body
}

/// Writes the error object that error bodies and `error` events share.
pub(crate) fn write_error_members(fault: &Fault, out: &mut Vec<u8>) {
    openai_error::write_error(fault, words(fault), out);
}

/// The HTTP status of an error answer.
///
/// A rejected key of ours is a 502: the caller's own login is fine, and a 401 would make clients ask for it again. Codex gives
/// up at once on 400 only and repeats the turn after any other status but 429, so a permanent failure is better sent to it as
/// `response.failed` in a stream with status 200.
pub fn http_status(fault: &Fault) -> u16 {
    openai_error::http_status(fault)
}

/// `error.type` and `error.code` of an error body.
fn words(fault: &Fault) -> Words<'_> {
    match plan_code(fault) {
        Some(code) => Words {
            kind: code,
            code: Some(code),
        },
        None => Words::of(fault, "server_is_overloaded"),
    }
}

/// The code of a fault that lies in the plan of an account. Codex looks for these in `error.type` of a 429 and has words of its own for
/// each (codex-cli 0.169.0, November 2026).
fn plan_code(fault: &Fault) -> Option<&'static str> {
    match (fault.class, fault.code.as_deref()) {
        (FaultClass::Quota, Some("usage_limit_reached")) => Some("usage_limit_reached"),
        (FaultClass::Quota, Some("usage_not_included")) => Some("usage_not_included"),
        (_, _) => None,
    }
}

/// The code inside `response.failed` for a class of failure.
///
/// Codex stops and shows the message word for word on `invalid_prompt`, stops with a text of its own on
/// `context_length_exceeded`, `insufficient_quota` and `server_is_overloaded`, and repeats the turn on everything else
/// (codex-cli 0.169.0, November 2026). So a rejected key, which repeating cannot help, is `invalid_prompt` there.
pub const fn failed_code(class: FaultClass, client: Client) -> &'static str {
    match (class, client) {
        (FaultClass::RateLimit, _) => "rate_limit_exceeded",
        (FaultClass::Overloaded, _) => "server_is_overloaded",
        (FaultClass::Quota, _) => "insufficient_quota",
        (FaultClass::ContextLength, _) => "context_length_exceeded",
        (
            FaultClass::TooLarge
            | FaultClass::NotFound
            | FaultClass::InvalidRequest
            | FaultClass::ContentFilter,
            _,
        )
        | (FaultClass::Auth, Client::Codex) => "invalid_prompt",
        (
            FaultClass::Auth
            | FaultClass::BadToolCall
            | FaultClass::Server
            | FaultClass::NetworkCut
            | FaultClass::Timeout
            | FaultClass::Protocol,
            _,
        ) => "server_error",
    }
}

/// Code and message of `response.failed` for one fault.
pub(crate) fn failed(fault: &Fault, client: Client) -> (&'static str, String) {
    let usual = failed_code(fault.class, client);
    match (fault.class, fault.retry) {
        // Codex knows these two codes and shows the message with them; other content filters have no code of their own.
        (FaultClass::ContentFilter, _) => match fault.code.as_deref() {
            Some("cyber_policy") => ("cyber_policy", fault.message.clone()),
            Some("bio_policy") => ("bio_policy", fault.message.clone()),
            Some(_) | None => (usual, fault.message.clone()),
        },
        (FaultClass::Quota, _) if client == Client::Codex => match plan_code(fault) {
            // Inside a stream Codex does not know this one, and would repeat the turn.
            Some("usage_limit_reached") => ("invalid_prompt", fault.message.clone()),
            Some(code) => (code, fault.message.clone()),
            None => (usual, fault.message.clone()),
        },
        (FaultClass::RateLimit, Retry::After(Some(wait))) => {
            let message = with_wait(&fault.message, wait.as_secs_f64());
            let code = match client {
                Client::Codex if wait > RETRY_WAIT_MAX => "invalid_prompt",
                Client::Codex | Client::Sdk => usual,
            };
            (code, message)
        }
        // Here nothing changes by repeating: a web page instead of an answer, a redirect, a compressed body.
        (_, Retry::Never | Retry::Elsewhere)
            if client == Client::Codex && usual == "server_error" =>
        {
            ("invalid_prompt", fault.message.clone())
        }
        (_, Retry::Never | Retry::Elsewhere | Retry::After(_)) => (usual, fault.message.clone()),
    }
}

/// Adds the wait in the words from which Codex reads it, unless the message has such words already.
fn with_wait(message: &str, seconds: f64) -> String {
    if message.to_ascii_lowercase().contains("try again in") {
        return message.to_owned();
    }
    let end = if message.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{message}{end} Please try again in {}s.", seconds.ceil())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use polywire_conversation::Origin;

    #[test]
    fn table_of_failures() {
        let rows: Vec<String> = FaultClass::ALL
            .iter()
            .map(|&class| {
                let fault = Fault::new(class, "m");
                let Words { kind, code } = words(&fault);
                format!(
                    "{:16} {} {kind} / {} | codex {} | sdk {}",
                    class.name(),
                    http_status(&fault),
                    code.unwrap_or("null"),
                    failed_code(class, Client::Codex),
                    failed_code(class, Client::Sdk),
                )
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn error_bodies_have_all_four_keys() {
        let fault = Fault::invalid("input[0]", "say \"hi\"\n").with_code("c");
        let body = String::from_utf8(render_error(&fault)).unwrap();
        assert_eq!(
            body,
            r#"{"error":{"message":"say \"hi\"\n","type":"invalid_request_error","param":"input[0]","code":"c"}}"#
        );
        let body = String::from_utf8(render_error(&Fault::new(FaultClass::Server, "x"))).unwrap();
        assert_eq!(
            body,
            r#"{"error":{"message":"x","type":"server_error","param":null,"code":null}}"#
        );
    }

    #[test]
    fn statuses_that_depend_on_more_than_the_class() {
        let of = |class, status, origin| {
            let mut fault = Fault::new(class, "x").with_status(status);
            fault.origin = origin;
            http_status(&fault)
        };
        assert_eq!(of(FaultClass::Auth, 401, Origin::Credentials), 502);
        assert_eq!(of(FaultClass::Auth, 401, Origin::Client), 401);
        assert_eq!(of(FaultClass::Auth, 403, Origin::Client), 403);
        assert_eq!(of(FaultClass::Quota, 402, Origin::Credentials), 402);
        assert_eq!(of(FaultClass::Server, 500, Origin::Ours), 500);
        assert_eq!(of(FaultClass::Server, 500, Origin::Provider), 502);
    }

    #[test]
    fn waits_are_told_in_words_that_codex_reads() {
        let limited = |seconds, message: &str, client| {
            let wait = Some(Duration::from_millis(seconds));
            let fault = Fault::new(FaultClass::RateLimit, message).with_retry(Retry::After(wait));
            failed(&fault, client)
        };
        let expected = |code, message: &str| (code, message.to_owned());
        assert_eq!(
            limited(1_200, "Slow down", Client::Codex),
            expected("rate_limit_exceeded", "Slow down. Please try again in 2s.")
        );
        assert_eq!(
            limited(5_000, "Try again in 700ms.", Client::Codex),
            expected("rate_limit_exceeded", "Try again in 700ms.")
        );
        assert_eq!(
            limited(3_600_000, "Slow down.", Client::Codex),
            expected("invalid_prompt", "Slow down. Please try again in 3600s.")
        );
        assert_eq!(
            limited(3_600_000, "Slow down.", Client::Sdk),
            expected(
                "rate_limit_exceeded",
                "Slow down. Please try again in 3600s."
            )
        );
    }

    #[test]
    fn permanent_faults_are_shown_by_codex_word_for_word() {
        let permanent = Fault::new(FaultClass::Protocol, "m").with_retry(Retry::Never);
        assert_eq!(failed(&permanent, Client::Codex).0, "invalid_prompt");
        assert_eq!(failed(&permanent, Client::Sdk).0, "server_error");
        let filter = Fault::new(FaultClass::ContentFilter, "m").with_code("cyber_policy");
        assert_eq!(failed(&filter, Client::Codex).0, "cyber_policy");
    }
}
