//! Errors of the provider, as faults.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use std::time::Duration;

use polywire_conversation::{FaultClass, Retry};
use polywire_dialect_command_code::read_error;

fn check(status: u16, body: &str, class: FaultClass, retry: Retry, code: Option<&str>) {
    let fault = read_error(status, None, body.as_bytes());
    assert_eq!(fault.class, class, "{body}: {fault:?}");
    assert_eq!(fault.retry, retry, "{body}: {fault:?}");
    assert_eq!(fault.status, status, "{body}: {fault:?}");
    assert_eq!(fault.code.as_deref(), code, "{body}: {fault:?}");
    assert!(!fault.message.is_empty());
}

fn envelope(code: &str, status: u16, message: &str) -> String {
    let error = serde_json::json!({"code": code, "status": status, "message": message, "docs": "https://example.com"});
    serde_json::json!({"success": false, "error": error}).to_string()
}

#[test]
fn table() {
    use FaultClass::{
        Auth, InvalidRequest, NotFound, Overloaded, Quota, RateLimit, Server, Timeout,
    };
    let later = Retry::After(None);
    for (status, code, message, class, retry) in [
        (
            400,
            "BAD_REQUEST",
            "You have insufficient credits.",
            Quota,
            Retry::Elsewhere,
        ),
        (
            400,
            "BAD_REQUEST",
            "premium_credits_exhausted",
            Quota,
            Retry::Elsewhere,
        ),
        (
            400,
            "BAD_REQUEST",
            "Proxy use detected. This endpoint only serves CLI.",
            Auth,
            Retry::Elsewhere,
        ),
        (
            400,
            "BAD_REQUEST",
            "unsupported reasoning_effort",
            InvalidRequest,
            Retry::Never,
        ),
        (
            422,
            "BAD_REQUEST",
            "Reasoning effort `max` is unknown",
            InvalidRequest,
            Retry::Never,
        ),
        (
            400,
            "BAD_REQUEST",
            "Tool result is missing for tool call c1",
            InvalidRequest,
            Retry::Never,
        ),
        (
            401,
            "UNAUTHORIZED",
            "Invalid API key",
            Auth,
            Retry::Elsewhere,
        ),
        (
            403,
            "MODEL_NOT_IN_PLAN",
            "Not in your plan.",
            Auth,
            Retry::Elsewhere,
        ),
        (
            403,
            "FORBIDDEN",
            "Model/provider not recognized",
            NotFound,
            Retry::Elsewhere,
        ),
        (
            403,
            "USAGE_EXCEEDED",
            "The cap is reached.",
            Quota,
            Retry::Elsewhere,
        ),
        (
            403,
            "upgrade_required",
            "Not on the Go plan.",
            Auth,
            Retry::Elsewhere,
        ),
        (
            422,
            "CMD_ZDR_NO_PROVIDERS",
            "Nobody offers that.",
            NotFound,
            Retry::Elsewhere,
        ),
        (429, "RATE_LIMITED", "Slow down.", RateLimit, later),
        (
            429,
            "RATE_LIMITED",
            "Weekly limit; resets at 2026-06-07T00:00:00Z",
            Quota,
            Retry::Elsewhere,
        ),
        (408, "TIMEOUT", "Too slow.", Timeout, later),
        (500, "INTERNAL", "Oh.", Server, later),
        (
            503,
            "SERVICE_UNAVAILABLE",
            "Please try again.",
            Overloaded,
            later,
        ),
    ] {
        check(
            status,
            &envelope(code, status, message),
            class,
            retry,
            Some(code),
        );
    }
    let window = r#"{"success":false,"error":{"code":"RATE_LIMITED","status":429,"message":"Limit.","rateLimit":{"window":"fiveHour","reset":1780326000}}}"#;
    check(429, window, Quota, Retry::Elsewhere, Some("RATE_LIMITED"));
    check(502, "", Server, later, None);
}

#[test]
fn faults_say_what_to_do() {
    let refused = envelope("BAD_REQUEST", 400, "Proxy use detected.");
    let fault = read_error(400, None, refused.as_bytes());
    assert!(fault.message.contains("hint: "), "{}", fault.message);
    let effort = envelope("BAD_REQUEST", 400, "unsupported reasoning_effort");
    let fault = read_error(400, None, effort.as_bytes());
    assert_eq!(fault.param.as_deref(), Some("reasoning.effort"));
    let slow = envelope("RATE_LIMITED", 429, "Slow down.");
    let pause = Some(Duration::from_secs(7));
    assert_eq!(
        read_error(429, pause, slow.as_bytes()).retry,
        Retry::After(pause)
    );
}

/// The shared error bodies: the class of each, by the name of its file.
#[test]
fn shared_fixtures() {
    let Some(folder) = support::shared("errors") else {
        return;
    };
    let expected = [
        ("400-insufficient-credits.json", FaultClass::Quota),
        ("400-proxy-detected.json", FaultClass::Auth),
        ("400-reasoning-effort.json", FaultClass::InvalidRequest),
        ("401-unauthorized.json", FaultClass::Auth),
        ("403-model-not-in-plan.json", FaultClass::Auth),
        ("403-model-not-recognized.json", FaultClass::NotFound),
        ("403-upgrade-required.json", FaultClass::Auth),
        ("403-usage-exceeded.json", FaultClass::Quota),
        ("422-zdr-no-providers.json", FaultClass::NotFound),
        ("429-rate-limited-text.json", FaultClass::Quota),
        ("429-rate-limited-window.json", FaultClass::Quota),
        ("503-unavailable.json", FaultClass::Overloaded),
    ];
    let files = support::files(&folder);
    assert_eq!(files.len(), expected.len());
    for ((name, body), (wanted, class)) in files.iter().zip(expected) {
        assert_eq!(name, wanted);
        let status = name[..3].parse().unwrap();
        assert_eq!(read_error(status, None, body).class, class, "{name}");
    }
}
