//! What a token says about itself.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

/// Tokens come without padding; one with it is as good.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What of a token's claims matters here. Each is `None` when the token does not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// When the token ends, in seconds since 1970.
    pub(crate) expires_at: Option<i64>,
    pub(crate) email: Option<String>,
    pub(crate) account_id: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) is_fedramp: bool,
}

/// Reads the claims of a JSON Web Token **without verifying its signature**, which is nothing to decide anybody's rights by.
///
/// The tokens come from the owner's own file or straight from the issuer, and what they say only decides when to renew them and which
/// account to name. Whoever could forge one could as well change the file. Source: codex-client.md 8.1 (Codex 0.169).
///
/// `None` when the text is no such token.
pub(crate) fn claims_without_verifying_the_signature(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_header, payload) = (parts.next()?, parts.next()?);
    let payload = BASE64.decode(payload).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims.is_object().then(|| read(&claims))
}

fn read(claims: &Value) -> Claims {
    let ours = &claims["https://api.openai.com/auth"];
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
    };
    let account_id = [
        &ours["chatgpt_account_id"],
        &claims["chatgpt_account_id"],
        &ours["organizations"][0]["id"],
        &claims["organizations"][0]["id"],
    ];
    Claims {
        expires_at: seconds(&claims["exp"]),
        email: text(&claims["email"])
            .or_else(|| text(&claims["https://api.openai.com/profile"]["email"])),
        account_id: account_id.into_iter().find_map(text),
        plan: text(&ours["chatgpt_plan_type"]),
        is_fedramp: ours["chatgpt_account_is_fedramp"] == true,
    }
}

/// A number of seconds. The standard allows fractions.
fn seconds(value: &Value) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fraction is to be cut off, and a number out of range becomes the nearest in it"
    )]
    let whole = |seconds: f64| seconds as i64;
    value.as_i64().or_else(|| value.as_f64().map(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        let encoded = BASE64.encode(payload);
        format!("eyJhbGciOiJub25lIn0.{}.sig", encoded.trim_end_matches('='))
    }

    #[test]
    fn claims_are_read_where_they_may_be() {
        let claims = claims_without_verifying_the_signature(&token(
            r#"{"exp": 1800000000, "https://api.openai.com/profile": {"email": "a@example.com"},
                "https://api.openai.com/auth": {"chatgpt_account_id": "acc", "chatgpt_plan_type": "pro",
                "chatgpt_account_is_fedramp": true}}"#,
        ))
        .unwrap();
        assert_eq!(claims.expires_at, Some(1_800_000_000));
        assert_eq!(claims.email.as_deref(), Some("a@example.com"));
        assert_eq!(claims.account_id.as_deref(), Some("acc"));
        assert_eq!(claims.plan.as_deref(), Some("pro"));
        assert!(claims.is_fedramp);
        for (payload, account) in [
            (r#"{"chatgpt_account_id": "top"}"#, Some("top")),
            (r#"{"organizations": [{"id": "org"}]}"#, Some("org")),
            (
                r#"{"https://api.openai.com/auth": {"organizations": [{"id": "o2"}]}}"#,
                Some("o2"),
            ),
            (r#"{"chatgpt_account_id": ""}"#, None),
            (r#"{"chatgpt_account_id": 7}"#, None),
        ] {
            let claims = claims_without_verifying_the_signature(&token(payload)).unwrap();
            assert_eq!(claims.account_id.as_deref(), account, "{payload}");
            assert_eq!(claims.expires_at, None);
        }
    }

    #[test]
    fn expiry_may_have_a_fraction_and_must_be_a_number() {
        for (exp, expected) in [
            ("1800000000.9", Some(1_800_000_000)),
            ("\"1800000000\"", None),
            ("null", None),
            ("-5", Some(-5)),
            ("1e300", Some(i64::MAX)),
        ] {
            let token = token(&format!(r#"{{"exp": {exp}}}"#));
            let claims = claims_without_verifying_the_signature(&token).unwrap();
            assert_eq!(claims.expires_at, expected, "{exp}");
        }
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        let list = token("[1]");
        let broken = token("{");
        for text in ["", "opaque", "a.b.c", "a..c", &list, &broken] {
            assert_eq!(claims_without_verifying_the_signature(text), None, "{text}");
        }
    }
}
