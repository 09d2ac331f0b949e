//! The one place where a failure becomes an HTTP answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_gateway::{Client, ClientDialect};
use polywire_plan::{RETRY_AFTER_CAP, client_retry_after};

/// What a client is told to wait when the provider named no time. Long enough for a per-second limit to pass, short enough to
/// be worth waiting.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// Tells the official libraries whether to repeat a request, whatever they think of the status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What Anthropic's protocol says for "overloaded"; it has no name of its own.
const OVERLOADED: u16 = 529;

/// A request that the HTTP surface itself refuses: a wrong path, no token, a body that cannot be taken.
pub(crate) struct Refusal {
    status: StatusCode,
    class: FaultClass,
    message: String,
}

impl Refusal {
    /// A refusal with the status that says it best.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let class = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FaultClass::Auth,
            StatusCode::PAYLOAD_TOO_LARGE => FaultClass::TooLarge,
            _ => FaultClass::InvalidRequest,
        };
        Self {
            status,
            class,
            message: message.into(),
        }
    }

    /// The refusal as this client understands it: Codex repeats a request five times on every 4xx but 400 and 429.
    pub(crate) fn for_client(mut self, client: Client) -> Self {
        if client == Client::Codex {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }

    /// The refusal as an answer in the shape of the dialect that was called.
    pub(crate) fn page(self, dialect: ClientDialect, turn_id: &str) -> Response<Body> {
        let fault = Fault {
            origin: Origin::Client,
            retry: Retry::Never,
            ..Fault::new(self.class, self.message)
        };
        page(self.status, dialect.render_error(&fault, turn_id))
    }
}

/// Why a request has no proper answer.
pub(crate) enum Failure {
    /// The HTTP surface refuses it.
    Refused(Refusal),
    /// The turn failed.
    Failed(Fault),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Failed(fault)
    }
}

impl Failure {
    /// The failure as an answer in the shape of the dialect that was called.
    pub(crate) fn page(self, dialect: ClientDialect, turn_id: &str) -> Response<Body> {
        match self {
            Failure::Refused(refusal) => refusal.page(dialect, turn_id),
            Failure::Failed(fault) => error_page(dialect, &fault, turn_id),
        }
    }
}

/// A fault of a turn as an answer in the shape of the dialect that was called.
fn error_page(dialect: ClientDialect, fault: &Fault, turn_id: &str) -> Response<Body> {
    let status = StatusCode::from_u16(dialect.http_status(fault))
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = page(status, dialect.render_error(fault, turn_id));
    // The window of a plan is longer than anybody waits with a request at hand.
    let helps = fault.class != FaultClass::Quota && matches!(fault.retry, Retry::After(_));
    response.headers_mut().insert(
        SHOULD_RETRY,
        HeaderValue::from_static(if helps { "true" } else { "false" }),
    );
    // Codex stops at a 429 that names no time, and waits as long as one names: always a time, never a long one.
    let waits = status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::SERVICE_UNAVAILABLE
        || status.as_u16() == OVERLOADED;
    if waits && helps {
        let pause = client_retry_after(fault).unwrap_or(RETRY_AFTER_DEFAULT);
        let seconds = pause
            .as_secs_f64()
            .ceil()
            .min(RETRY_AFTER_CAP.as_secs_f64());
        if let Ok(value) = HeaderValue::try_from(format!("{seconds:.0}")) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
    if let Some(seconds) = seconds_until_reset(fault) {
        let value = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// How long the limit of a plan still holds. Told as it is, however long: this is not for whoever would wait with the request at hand.
fn seconds_until_reset(fault: &Fault) -> Option<u64> {
    if fault.class != FaultClass::Quota {
        return None;
    }
    match (fault.resets_at, fault.retry) {
        (Some(moment), _) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            let moment = u64::from(moment.get());
            Some(moment.saturating_sub(now.as_secs()).max(1))
        }
        (None, Retry::After(Some(wait))) => Some(wait.as_secs().max(1)),
        (None, Retry::After(None) | Retry::Elsewhere | Retry::Never) => None,
    }
}

fn page(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// Too many turns at work.
pub(crate) fn overloaded(retry_after: Duration) -> Fault {
    Fault {
        origin: Origin::Ours,
        ..Fault::new(
            FaultClass::Overloaded,
            "the gateway has as many turns at work as it takes. hint: try again in a moment",
        )
        .with_retry(Retry::After(Some(retry_after)))
    }
}

/// The gateway is stopping, and begins nothing. 503 in every dialect: it is the gateway that is not there, not a provider that has too much to do.
pub(crate) fn stopping(dialect: ClientDialect, turn_id: &str) -> Response<Body> {
    let fault = Fault {
        origin: Origin::Ours,
        ..Fault::new(
            FaultClass::Overloaded,
            "the gateway is stopping. hint: try again in a moment; if it does not come back, `polywire start`",
        )
        .with_retry(Retry::After(Some(RETRY_AFTER_DEFAULT)))
    };
    let mut response = error_page(dialect, &fault, turn_id);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(dialect: ClientDialect, class: FaultClass) -> (u16, String, bool) {
        let page = Failure::from(Fault::new(class, "no")).page(dialect, "turn");
        let should_retry = page.headers()[SHOULD_RETRY].to_str().unwrap().to_owned();
        let waits = page.headers().contains_key(header::RETRY_AFTER);
        (page.status().as_u16(), should_retry, waits)
    }

    #[test]
    fn clients_hear_whether_to_try_again() {
        let yes = || "true".to_owned();
        let no = || "false".to_owned();
        for (dialect, class, expected) in [
            (
                ClientDialect::Messages,
                FaultClass::Overloaded,
                (529, yes(), true),
            ),
            (
                ClientDialect::Messages,
                FaultClass::Auth,
                (502, no(), false),
            ),
            (
                ClientDialect::Messages,
                FaultClass::InvalidRequest,
                (400, no(), false),
            ),
            (
                ClientDialect::Chat,
                FaultClass::RateLimit,
                (429, yes(), true),
            ),
            (ClientDialect::Chat, FaultClass::Quota, (429, no(), false)),
        ] {
            assert_eq!(headers(dialect, class), expected, "{class:?}");
        }
    }
}
