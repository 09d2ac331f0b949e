//! The provider's errors, before the stream and inside it.

use std::time::Duration;

use polywire_conversation::{Fault, FaultClass, Retry};
use polywire_wire::clean;

/// The most characters of an error inside a stream that are kept for the log.
const DETAIL_CHARS_MAX: usize = 500;

/// Reads the answer to a request that failed as a whole. `status` is the HTTP status, `retry_after` what the headers said.
///
/// The provider uses one status for many things (403 for a plan, a spending cap and an unknown model), so its codes and words
/// decide before the status does.
pub fn read_error(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
    let fault = polywire_wire::read_error(status, retry_after, body);
    let text = String::from_utf8_lossy(body);
    refined(fault, &text)
}

/// An error that came inside a stream: words, perhaps with a status in front and JSON behind it.
pub(crate) fn stream_error(message: &str, status: Option<u16>, retryable: Option<bool>) -> Fault {
    let (told_status, json) = status_and_json(message);
    let status = status.or(told_status);
    let words = json.unwrap_or(message);
    // An error that names no status counts as one of the server (the provider's client, 2026), unless its words say more.
    let read = polywire_wire::read_error(status.unwrap_or(500), None, words.as_bytes());
    let mut fault = refined(read, message);
    if status.is_none() && fault.class != FaultClass::Server {
        fault.status = Fault::new(fault.class, "").status;
    }
    let fault = match (fault.retry, retryable) {
        (Retry::After(_), Some(false)) => fault.with_retry(Retry::Elsewhere),
        (Retry::After(_) | Retry::Never | Retry::Elsewhere, _) => fault,
    };
    fault.with_detail(clean(message, DETAIL_CHARS_MAX))
}

/// `429 {"success":false,…}`: the status, and the JSON behind it.
fn status_and_json(message: &str) -> (Option<u16>, Option<&str>) {
    let message = message.trim();
    let digits = message
        .split(|letter: char| !letter.is_ascii_digit())
        .next();
    let status = digits
        .filter(|digits| digits.len() == 3)
        .and_then(|digits| digits.parse().ok())
        .filter(|status| (400..600).contains(status));
    let json = message.find('{').map(|start| &message[start..]);
    (status, json)
}

/// What the provider's codes and words mean, where they mean more than everybody's do. In lower case; the first that fits counts.
const MEANINGS: [(&str, Meaning); 14] = [
    ("proxy use detected", Meaning::Refused),
    ("upgrade_required", Meaning::NotInPlan),
    ("model_not_in_plan", Meaning::NotInPlan),
    ("usage_exceeded", Meaning::Spent),
    ("insufficient credits", Meaning::Spent),
    ("insufficient_credits", Meaning::Spent),
    ("credits_exhausted", Meaning::Spent),
    ("model/provider not recognized", Meaning::UnknownModel),
    ("cmd_zdr_no_providers", Meaning::NoProvider),
    ("tool result is missing", Meaning::BadRequest(None)),
    (
        "reasoning_effort",
        Meaning::BadRequest(Some("reasoning.effort")),
    ),
    (
        "reasoning effort",
        Meaning::BadRequest(Some("reasoning.effort")),
    ),
    ("\"ratelimit\"", Meaning::WindowUsedUp),
    ("resets at", Meaning::WindowUsedUp),
];

#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// The route is for the provider's own client.
    Refused,
    /// The account's plan does not include it.
    NotInPlan,
    /// Credit or budget is used up.
    Spent,
    /// A window of hours, days or a week is used up. Waiting seconds does not help.
    WindowUsedUp,
    UnknownModel,
    /// Nobody who keeps no data serves the model.
    NoProvider,
    /// The request is at fault, perhaps in this field.
    BadRequest(Option<&'static str>),
}

fn refined(fault: Fault, text: &str) -> Fault {
    let text = text.to_lowercase();
    let found = MEANINGS.iter().find(|(words, _)| text.contains(words));
    let Some((_, meaning)) = found else {
        return fault;
    };
    let (class, hint, param) = match meaning {
        Meaning::Refused => (
            FaultClass::Auth,
            Some(
                "this route serves the provider's own client only; its Provider API is the supported way",
            ),
            None,
        ),
        Meaning::NotInPlan => (FaultClass::Auth, None, None),
        Meaning::Spent | Meaning::WindowUsedUp => (FaultClass::Quota, None, None),
        Meaning::UnknownModel => (FaultClass::NotFound, None, None),
        Meaning::NoProvider => (FaultClass::NotFound, None, None),
        Meaning::BadRequest(param) => (FaultClass::InvalidRequest, None, *param),
    };
    let message = match hint {
        Some(hint) => format!("{}\nhint: {hint}", fault.message),
        None => fault.message,
    };
    Fault {
        code: fault.code,
        param: param.map(str::to_owned).or(fault.param),
        detail: fault.detail,
        status: fault.status,
        ..Fault::new(class, message)
    }
}
