//! The one place where a fault becomes an HTTP answer.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_gateway::ClientDialect;
use polywire_plan::{RETRY_AFTER_CAP, client_retry_after};

/// What a client is told to wait when the provider named no time. Long enough for a per-second limit to pass, short enough to
/// be worth waiting.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// A fault as an answer in the shape of the dialect that was called.
pub(crate) fn error_page(dialect: ClientDialect, fault: &Fault) -> Response<Body> {
    let status = StatusCode::from_u16(dialect.http_status(fault))
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(dialect.render_error(fault)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    // Codex stops at a 429 that names no time, and waits as long as one names: always a time, never a long one.
    if matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) && matches!(fault.retry, Retry::After(_))
    {
        let pause = client_retry_after(fault).unwrap_or(RETRY_AFTER_DEFAULT);
        let seconds = pause
            .as_secs_f64()
            .ceil()
            .min(RETRY_AFTER_CAP.as_secs_f64());
        if let Ok(value) = HeaderValue::try_from(format!("{seconds:.0}")) {
            headers.insert(header::RETRY_AFTER, value);
        }
    }
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

/// A path or a method that is not served.
pub(crate) fn no_such_path(message: String, status: u16) -> Fault {
    Fault {
        origin: Origin::Client,
        retry: Retry::Never,
        ..Fault::new(FaultClass::NotFound, message).with_status(status)
    }
}

/// A body that cannot be taken.
pub(crate) fn bad_body(class: FaultClass, message: String, status: u16) -> Fault {
    Fault {
        origin: Origin::Client,
        retry: Retry::Never,
        ..Fault::new(class, message).with_status(status)
    }
}
