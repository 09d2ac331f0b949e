//! From a code that the issuer gave to tokens.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use polywire_upstream::Upstream;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

use crate::LoginError;
use crate::ask::{NoAnswer, ask, form};
use crate::document::NewTokens;
use crate::places::CLIENT_ID;

/// How long the issuer may take to answer while somebody waits at the terminal.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// How long a person may take to log in. The issuer's codes end about then.
pub(crate) const PERSON_WAIT: Duration = Duration::from_mins(15);

/// What to do after a login that was not finished.
pub(crate) const TRY_AGAIN: &str = "run `polywire login` again";

/// Tokens of a new login that are not stored yet. Prints none of them.
#[derive(Clone)]
pub struct NewLogin {
    pub(crate) tokens: NewTokens,
    /// Who issued them.
    pub(crate) issuer: String,
}

impl std::fmt::Debug for NewLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewLogin").finish_non_exhaustive()
    }
}

/// Exchanges a code. `redirect_uri` and `verifier` must be those that the code was asked for with.
pub(crate) async fn exchange(
    upstream: &Upstream,
    issuer: &str,
    code: &str,
    redirect_uri: &str,
    verifier: &str,
) -> Result<NewLogin, LoginError> {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ];
    let request = form(&format!("{issuer}/oauth/token"), &fields).map_err(failed)?;
    let answer = ask(upstream, request, ANSWER_WAIT).await.map_err(failed)?;
    if !answer.status.is_success() {
        return Err(not_finished(format!(
            "the issuer gave no tokens for the code: {}",
            answer.failure()
        )));
    }
    let tokens: NewTokens = serde_json::from_slice(&answer.body).unwrap_or_default();
    let all = [&tokens.id, &tokens.access, &tokens.refresh];
    if all
        .into_iter()
        .any(|token| token.as_ref().is_none_or(String::is_empty))
    {
        return Err(not_finished(
            "the issuer's answer does not hold all three tokens".to_owned(),
        ));
    }
    Ok(NewLogin {
        tokens,
        issuer: issuer.to_owned(),
    })
}

fn failed(no_answer: NoAnswer) -> LoginError {
    not_finished(format!(
        "the issuer could not be asked for tokens: {}",
        no_answer.reason()
    ))
}

pub(crate) fn not_finished(reason: String) -> LoginError {
    LoginError::NotFinished {
        reason,
        hint: TRY_AGAIN,
    }
}

/// What cannot be guessed: 256 random bits, in letters that need no encoding anywhere.
pub(crate) fn random() -> Result<String, LoginError> {
    let mut bytes = [0u8; 32];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| not_finished("the system gave no random numbers".to_owned()))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The challenge that goes with a verifier (RFC 7636, method S256).
pub(crate) fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_those_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
    }
}
