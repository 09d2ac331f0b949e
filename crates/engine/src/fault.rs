//! What Codex says when a turn fails, as faults.

use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_wire::read_error;
use serde::Deserialize;
use serde_json::Value;

use crate::limits::RETRY_AFTER;

/// The error of a turn. Source: the app-server's protocol of Codex 0.169 (`codexErrorInfo`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TurnError {
    pub(crate) message: String,
    pub(crate) codex_error_info: Value,
    pub(crate) additional_details: Option<String>,
}

/// The words with which Codex reports an answer that was cut by its provider; the reason follows.
const INCOMPLETE: &str = "Incomplete response returned, reason: ";

/// Our own word, in the place of one of Codex's.
const WITHHELD: &str = "refusal";

impl TurnError {
    /// The error of an answer whose message was begun and never came: Codex passes on no refusals (seen with 0.169).
    pub(crate) fn withheld() -> Self {
        Self {
            message: "the model began a message and nothing of it was passed on, as is the case when it refuses to answer".to_owned(),
            codex_error_info: Value::from(WITHHELD),
            additional_details: None,
        }
    }

    /// The reason for which the provider ended the answer early, when that is what happened.
    pub(crate) fn incomplete(&self) -> Option<&str> {
        self.message.strip_prefix(INCOMPLETE).map(str::trim)
    }

    /// The fault that it is.
    pub(crate) fn fault(&self) -> Fault {
        // The provider's own error body: of a refusal with status 400, Codex tells nothing else.
        if self.message.starts_with('{') {
            let mut fault = read_error(400, None, self.message.as_bytes());
            fault.message = format!("Codex: {}", fault.message);
            return after_own_tries(fault);
        }
        let (name, status) = match &self.codex_error_info {
            Value::String(name) => (name.as_str(), None),
            Value::Object(info) => {
                let (name, about) = info.iter().next().unzip();
                let status = about.and_then(|about| about["httpStatusCode"].as_u64());
                (name.map_or("", String::as_str), status)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => ("", None),
        };
        let class = match (name, status) {
            ("contextWindowExceeded", _) => FaultClass::ContextLength,
            ("usageLimitExceeded" | "sessionBudgetExceeded", _) => FaultClass::Quota,
            ("serverOverloaded", _) => FaultClass::Overloaded,
            ("cyberPolicy" | WITHHELD, _) => FaultClass::ContentFilter,
            ("unauthorized", _) | (_, Some(401 | 403)) => FaultClass::Auth,
            ("badRequest", _) | (_, Some(400 | 422)) => FaultClass::InvalidRequest,
            (_, Some(404)) => FaultClass::NotFound,
            (_, Some(413)) => FaultClass::TooLarge,
            (_, Some(429)) => FaultClass::RateLimit,
            (_, Some(503 | 529)) => FaultClass::Overloaded,
            (_, Some(_)) => FaultClass::Server,
            (
                "httpConnectionFailed"
                | "responseStreamConnectionFailed"
                | "responseStreamDisconnected"
                | "responseTooManyFailedAttempts",
                None,
            ) => FaultClass::NetworkCut,
            _ => FaultClass::Server,
        };
        let mut message = format!("Codex: {}", self.message);
        if class == FaultClass::Auth {
            message.push_str(
                ". hint: `polywire whoami` tells about the login, `polywire login` makes a new one",
            );
        }
        let fault =
            Fault::new(class, message).with_code(if name.is_empty() { "codex" } else { name });
        let fault = match &self.additional_details {
            Some(details) => fault.with_detail(details.clone()),
            None => fault,
        };
        after_own_tries(fault)
    }
}

/// The same fault when trying again was done already: Codex repeats what can be repeated.
pub(crate) fn after_own_tries(fault: Fault) -> Fault {
    let retry = match (fault.class, fault.retry) {
        (FaultClass::RateLimit | FaultClass::Overloaded, _) => Retry::After(Some(RETRY_AFTER)),
        (_, Retry::After(_)) => Retry::Elsewhere,
        (_, Retry::Never | Retry::Elsewhere) => fault.retry,
    };
    fault.with_retry(retry)
}

/// The engine itself cannot work. What is wrong stands in the message, with the way out.
pub(crate) fn unusable(message: impl Into<String>) -> Fault {
    Fault {
        origin: Origin::Ours,
        retry: Retry::Elsewhere,
        status: 503,
        ..Fault::new(FaultClass::Server, message)
    }
}

/// A process of the engine ended in the middle of a turn. Another one may do better.
pub(crate) fn worker_died(how: &str) -> Fault {
    Fault::new(
        FaultClass::NetworkCut,
        format!("the engine's process ended before the answer was complete ({how})"),
    )
}

/// The turn took longer than it may.
pub(crate) fn timed_out(limit: std::time::Duration) -> Fault {
    Fault::new(
        FaultClass::Timeout,
        format!(
            "the engine's turn took longer than {} s. hint: `timeout` of the provider sets the limit",
            limit.as_secs()
        ),
    )
    .with_retry(Retry::Elsewhere)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(info: Value, class: FaultClass, retries: bool) {
        let error = TurnError {
            message: "m".to_owned(),
            codex_error_info: info,
            additional_details: None,
        };
        let fault = error.fault();
        assert_eq!(fault.class, class, "{fault:?}");
        assert_eq!(matches!(fault.retry, Retry::After(_)), retries, "{fault:?}");
    }

    #[test]
    fn every_error_of_codex_has_its_fault() {
        use FaultClass::{
            Auth, ContentFilter, ContextLength, InvalidRequest, NetworkCut, NotFound, Overloaded,
            Quota, RateLimit, Server,
        };
        check(json!("contextWindowExceeded"), ContextLength, false);
        check(json!("usageLimitExceeded"), Quota, false);
        check(json!("serverOverloaded"), Overloaded, true);
        check(json!("cyberPolicy"), ContentFilter, false);
        check(json!("unauthorized"), Auth, false);
        check(json!("badRequest"), InvalidRequest, false);
        check(json!("other"), Server, false);
        check(Value::Null, Server, false);
        let with = |name: &str, status: Value| json!({ name: { "httpStatusCode": status } });
        check(
            with("responseTooManyFailedAttempts", json!(429)),
            RateLimit,
            true,
        );
        check(
            with("responseTooManyFailedAttempts", json!(503)),
            Overloaded,
            true,
        );
        check(
            with("responseTooManyFailedAttempts", json!(500)),
            Server,
            false,
        );
        check(
            with("responseStreamDisconnected", Value::Null),
            NetworkCut,
            false,
        );
        check(with("httpConnectionFailed", json!(401)), Auth, false);
        check(
            with("responseStreamDisconnected", json!(404)),
            NotFound,
            false,
        );
    }

    #[test]
    fn a_providers_own_error_is_read() {
        let error = TurnError {
            message: r#"{"error":{"message":"No such field.","code":"invalid_value"}}"#.to_owned(),
            codex_error_info: json!("other"),
            additional_details: None,
        };
        let fault = error.fault();
        assert_eq!(fault.class, FaultClass::InvalidRequest, "{fault:?}");
        assert_eq!(fault.message, "Codex: No such field.");
    }

    #[test]
    fn a_cut_answer_is_told_by_its_words() {
        let error = TurnError {
            message: format!("{INCOMPLETE}max_output_tokens"),
            ..TurnError::default()
        };
        assert_eq!(error.incomplete(), Some("max_output_tokens"));
        assert_eq!(TurnError::default().incomplete(), None);
    }
}
