//! Error answers: status and body in, fault out.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

use std::time::Duration;

use polywire_conversation::{Fault, FaultClass, Retry};
use polywire_wire::read_error;
use proptest::prelude::*;

fn check(status: u16, body: &str, class: FaultClass, message: &str) -> Fault {
    let fault = read_error(status, None, body.as_bytes());
    assert_eq!(fault.class, class, "{status} {body}");
    assert_eq!(fault.message, message, "{status} {body}");
    fault
}

#[test]
fn shapes() {
    use FaultClass::{
        Auth, ContextLength, InvalidRequest, NotFound, Protocol, Quota, RateLimit, Server,
    };
    let fault = check(
        400,
        r#"{"error":{"message":"Unknown parameter: 'x'","type":"invalid_request_error","param":"x","code":"unknown_parameter"}}"#,
        InvalidRequest,
        "Unknown parameter: 'x'",
    );
    assert_eq!(
        (fault.code.as_deref(), fault.param.as_deref()),
        (Some("unknown_parameter"), Some("x"))
    );
    check(
        400,
        r#"{"error":"model is not loaded"}"#,
        InvalidRequest,
        "model is not loaded",
    );
    check(
        400,
        r#"{"code":"a sentence","error":"Incorrect API key provided"}"#,
        Auth,
        "Incorrect API key provided",
    );
    check(
        429,
        r#"{"error":{"code":"1113","message":"balance"}}"#,
        Quota,
        "balance",
    );
    check(
        404,
        r#"{"object":"error","message":"no such model","code":404}"#,
        NotFound,
        "no such model",
    );
    check(
        422,
        r#"{"detail":[{"loc":["body","tools",0],"msg":"extra fields","type":"x"}]}"#,
        InvalidRequest,
        "body.tools.0: extra fields",
    );
    check(401, r#"{"detail":{"message":"no"}}"#, Auth, "no");
    check(
        429,
        r#"{"title":"Too Many Requests","status":429}"#,
        RateLimit,
        "Too Many Requests",
    );
    check(500, r#"{"error":{"message":"boom"}}"#, Server, "boom");
    check(
        400,
        r#"{"error":{}}"#,
        InvalidRequest,
        "the provider reported a failure and did not say which",
    );
    check(
        418,
        "",
        InvalidRequest,
        "the provider answered HTTP 418 and said nothing",
    );
    check(
        500,
        "Internal Server Error",
        Server,
        "Internal Server Error",
    );
    check(500, r#"{"unexpected":1}"#, Server, r#"{"unexpected":1}"#);
    check(
        413,
        "the prompt is too long: 9 > 8",
        ContextLength,
        "the prompt is too long: 9 > 8",
    );
    check(
        302,
        "",
        Protocol,
        "the provider answered HTTP 302 and said nothing",
    );
    let fault = check(
        403,
        "<html><title>Just a moment...</title>",
        Server,
        "a web page came instead of an answer (HTTP 403): Just a moment.... Something in front of the provider refuses us; the key is not at fault",
    );
    assert_eq!((fault.retry, fault.status), (Retry::Elsewhere, 403));
    check(
        200,
        "<html>",
        Protocol,
        "a web page came instead of an answer (HTTP 200): a page without a title. The base URL is probably wrong",
    );
}

#[test]
fn what_looks_like_a_long_prompt_and_is_not() {
    let body = r#"{"error":{"message":"Request exceeds the limit of 5 at once"}}"#;
    assert_eq!(
        read_error(429, None, body.as_bytes()).class,
        FaultClass::RateLimit
    );
    let body =
        r#"{"error":{"message":"maximum context length reached for tokens per minute (TPM)"}}"#;
    assert_eq!(
        read_error(413, None, body.as_bytes()).class,
        FaultClass::TooLarge
    );
}

#[test]
fn a_hint_where_one_helps() {
    let body = r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice","code":400}"#;
    let fault = read_error(400, None, body.as_bytes());
    assert!(fault.message.contains("\nhint: "), "{}", fault.message);
}

#[test]
fn pauses() {
    let pause = |retry_after, body: &str| read_error(429, retry_after, body.as_bytes()).retry;
    let millis = |millis| Retry::After(Some(Duration::from_millis(millis)));
    let said = |words: &str| {
        format!(
            r#"{{"error":{{"message":"Slow down. Please try again in {words}","code":"rate_limit_exceeded"}}}}"#
        )
    };
    assert_eq!(pause(None, &said("6.375s.")), millis(6_375));
    assert_eq!(pause(None, &said("700ms")), millis(700));
    assert_eq!(pause(None, &said("1m26.4s")), millis(86_400));
    assert_eq!(pause(None, &said("a while")), Retry::After(None));
    assert_eq!(pause(None, &said("99999999999s")), Retry::After(None));
    assert_eq!(
        pause(Some(Duration::from_secs(3)), &said("9s")),
        millis(3_000)
    );
    let google = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"no","details":[{"a":1},{"retryDelay":"34.4s"}]}}]"#;
    assert_eq!(pause(None, google), millis(34_400));
    let quota = r#"{"error":{"message":"used up","code":"insufficient_quota"}}"#;
    assert_eq!(pause(Some(Duration::from_secs(3)), quota), Retry::Elsewhere);
}

#[test]
fn words_are_bounded_and_safe_for_a_terminal() {
    let body = format!(
        r#"{{"error":{{"message":"\u001b[31m{}"}}}}"#,
        "x".repeat(10_000)
    );
    let fault = read_error(500, None, body.as_bytes());
    assert!(fault.message.chars().count() <= 1_001 && !fault.message.contains('\u{1b}'));
    let detail = fault.detail.unwrap();
    assert!(detail.chars().count() <= 501, "{}", detail.len());
}

proptest! {
    #[test]
    fn any_body_gives_a_fault_with_words(status in 200u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let fault = read_error(status, None, &body);
        prop_assert!(!fault.message.is_empty());
    }

    #[test]
    fn any_error_object_gives_a_fault_with_words(
        status in 400u16..600,
        inner in r#"\{("(message|code|type|status|details|metadata|param)":("x"|1|null|\[\]|\{\}|""|\[\{"msg":"m"\}\]),){0,4}"z":0\}"#,
        key in prop::sample::select(vec!["error", "detail", "base_resp", "other"]),
    ) {
        let fault = read_error(status, None, format!("{{\"{key}\":{inner}}}").as_bytes());
        prop_assert!(!fault.message.is_empty());
    }
}

#[test]
fn the_limit_of_a_plan_has_an_end() {
    let told = |members: &str| {
        let body =
            format!(r#"{{"error":{{"type":"usage_limit_reached","message":"No more"{members}}}}}"#);
        read_error(404, None, body.as_bytes())
    };
    for (members, message, resets_at, retry) in [
        (
            r#","plan_type":"plus","resets_at":1790000000,"resets_in_seconds":5400"#,
            "No more (plan `plus`; it is lifted at 2026-09-21 14:13 UTC, in 1 h 30 min)",
            Some(1_790_000_000),
            Retry::Elsewhere,
        ),
        (
            r#","resets_at":1790000000.9"#,
            "No more (it is lifted at 2026-09-21 14:13 UTC)",
            Some(1_790_000_000),
            Retry::Elsewhere,
        ),
        (
            r#","resets_in_seconds":59"#,
            "No more (it is lifted in 59 s)",
            None,
            Retry::After(Some(Duration::from_secs(59))),
        ),
        (
            r#","plan_type":"team""#,
            "No more (plan `team`)",
            None,
            Retry::Elsewhere,
        ),
        ("", "No more", None, Retry::Elsewhere),
        (
            r#","resets_at":-1,"resets_in_seconds":1e30,"plan_type":7"#,
            "No more",
            None,
            Retry::Elsewhere,
        ),
    ] {
        let fault = told(members);
        assert_eq!(fault.class, FaultClass::Quota, "{members}");
        assert_eq!(fault.message, message, "{members}");
        assert_eq!(
            fault.resets_at.map(std::num::NonZeroU32::get),
            resets_at,
            "{members}"
        );
        assert_eq!(fault.retry, retry, "{members}");
    }
}
