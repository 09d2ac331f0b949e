//! `auth.json` as Codex writes it.

use jiff::Timestamp;
use polywire_credentials::Secret;
use serde::Deserialize;

use crate::claims::{Claims, claims_without_verifying_the_signature};
use crate::exchange::NewLogin;
use crate::members::Members;
use crate::places::CLIENT_ID;

/// How long a token without a readable end is used before it is renewed (codex-client.md 8.2, ran: 7.5 days no, 9 yes).
const AGE_MAX_S: i64 = 8 * 24 * 3600;

/// How long before its end a token is renewed (codex-client.md 8.2, ran: 360 s no, 240 s yes).
const MARGIN_S: i64 = 5 * 60;

/// The contents of `auth.json`. Members that nobody here knows stay as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document(Members);

/// What kind of login a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    ChatGpt,
    ApiKey,
    Other(String),
}

/// The tokens of a login. Debug output shows none of them.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    pub(crate) id: Option<Secret>,
    pub(crate) account_id: Option<String>,
}

/// Tokens as the issuer sends them. All are optional; what is missing keeps its old value (seed-behaviours.md D6.5).
#[derive(Clone, Deserialize, Default)]
pub(crate) struct NewTokens {
    #[serde(rename = "id_token")]
    pub(crate) id: Option<String>,
    #[serde(rename = "access_token")]
    pub(crate) access: Option<String>,
    #[serde(rename = "refresh_token")]
    pub(crate) refresh: Option<String>,
}

impl Document {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// The text of the file: indented as Codex does it, without an end of line.
    pub(crate) fn render(&self) -> Result<String, serde_json::Error> {
        self.0.render(0)
    }

    /// What kind of login it is. Older files do not say: a key then means a login by key (seed-behaviours.md D6.1).
    pub(crate) fn mode(&self) -> Mode {
        match self.0.get::<String>("auth_mode") {
            Some(mode) if mode == "chatgpt" => Mode::ChatGpt,
            Some(mode) if mode == "apikey" => Mode::ApiKey,
            Some(mode) => Mode::Other(mode),
            None if self.0.get::<String>("OPENAI_API_KEY").is_some() => Mode::ApiKey,
            None => Mode::ChatGpt,
        }
    }

    /// The tokens; `None` when there is no access token.
    pub(crate) fn tokens(&self) -> Option<Tokens> {
        let tokens = self.0.get::<Members>("tokens")?;
        let text = |name: &str| tokens.get::<String>(name).filter(|it| !it.is_empty());
        Some(Tokens {
            access: Secret::new(text("access_token")?),
            refresh: text("refresh_token").map(Secret::new),
            id: text("id_token").map(Secret::new),
            account_id: text("account_id"),
        })
    }

    pub(crate) fn last_refresh(&self) -> Option<Timestamp> {
        self.0.get::<String>("last_refresh")?.parse().ok()
    }

    /// Takes renewed tokens in.
    pub(crate) fn renew(
        &mut self,
        new: &NewTokens,
        now: Timestamp,
    ) -> Result<(), serde_json::Error> {
        let mut tokens = self.0.get::<Members>("tokens").unwrap_or_default();
        for (name, value) in [
            ("id_token", &new.id),
            ("access_token", &new.access),
            ("refresh_token", &new.refresh),
        ] {
            if let Some(value) = value {
                tokens.set(name, value)?;
            }
        }
        self.0.set_object("tokens", &tokens, 1)?;
        self.0.set("last_refresh", &now.to_string())
    }

    /// Makes this the file of a new login, as Codex writes it. `owner` is a random name for it. Members that nobody here knows stay.
    pub(crate) fn log_in(
        &mut self,
        login: &NewLogin,
        owner: &str,
        now: Timestamp,
    ) -> Result<(), serde_json::Error> {
        let new = &login.tokens;
        let claims = new.id.as_deref();
        let claims = claims.and_then(claims_without_verifying_the_signature);
        self.0.set("auth_mode", "chatgpt")?;
        self.0.set("OPENAI_API_KEY", &())?;
        // Nothing of the tokens that were there may stay: they may be another account's.
        let mut tokens = Members::default();
        tokens.set("id_token", &new.id)?;
        tokens.set("access_token", &new.access)?;
        tokens.set("refresh_token", &new.refresh)?;
        // These two are new in Codex 0.169 (seen on 2026-11-25). It reads files without them; they are here because it writes them.
        let mut provenance = Members::default();
        provenance.set("issuer", &login.issuer)?;
        provenance.set("client_id", CLIENT_ID)?;
        tokens.set_object("oauth_provenance", &provenance, 2)?;
        tokens.set("login_owner_id", owner)?;
        tokens.set("account_id", &claims.and_then(|claims| claims.account_id))?;
        self.0.set_object("tokens", &tokens, 1)?;
        self.0.set("last_refresh", &now.to_string())
    }
}

impl Tokens {
    pub(crate) fn access_claims(&self) -> Claims {
        claims_without_verifying_the_signature(self.access.reveal()).unwrap_or_default()
    }

    pub(crate) fn id_claims(&self) -> Claims {
        let id = self.id.as_ref();
        id.and_then(|id| claims_without_verifying_the_signature(id.reveal()))
            .unwrap_or_default()
    }
}

/// Whether a token has to be renewed before it is used.
pub(crate) fn is_due(
    expires_at: Option<i64>,
    last_refresh: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    match (expires_at, last_refresh) {
        (Some(end), _) => end.saturating_sub(now.as_second()) <= MARGIN_S,
        (None, Some(last)) => now.as_second().saturating_sub(last.as_second()) > AGE_MAX_S,
        // Nobody knows how old it is. The back end will say when it is too old.
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
  "zeta": {"big": 12345678901234567890123, "x": 1.50},
  "auth_mode": "chatgpt",
  "OPENAI_API_KEY": null,
  "tokens": {
    "id_token": "i-1",
    "access_token": "a-1",
    "later": [1, 2],
    "refresh_token": "r-1",
    "account_id": "acc"
  },
  "last_refresh": "2026-11-21T05:58:21.790643156Z",
  "agent_identity": "kept"
}"#;

    fn now() -> Timestamp {
        "2026-11-25T12:00:00.5Z".parse().unwrap()
    }

    #[test]
    fn what_is_not_touched_is_written_as_it_was() {
        let document = Document::parse(FILE).unwrap();
        assert_eq!(document.render().unwrap(), FILE);
        assert_eq!(
            document.last_refresh().unwrap().to_string(),
            "2026-11-21T05:58:21.790643156Z"
        );
    }

    #[test]
    fn renewed_tokens_take_the_places_of_the_old() {
        let mut document = Document::parse(FILE).unwrap();
        let new = NewTokens {
            access: Some("a-2".to_owned()),
            refresh: Some("r-2".to_owned()),
            id: None,
        };
        document.renew(&new, now()).unwrap();
        let expected = FILE
            .replace("a-1", "a-2")
            .replace("r-1", "r-2")
            .replace("2026-11-21T05:58:21.790643156Z", "2026-11-25T12:00:00.5Z");
        assert_eq!(document.render().unwrap(), expected);
    }

    #[test]
    fn a_new_login_leaves_nothing_of_the_old_tokens() {
        let old = FILE
            .replace("null", "\"sk-old\"")
            .replace("chatgpt", "apikey");
        let mut document = Document::parse(&old).unwrap();
        assert_eq!(document.mode(), Mode::ApiKey);
        let new = NewTokens {
            access: Some("a-9".to_owned()),
            refresh: Some("r-9".to_owned()),
            id: Some("i-9".to_owned()),
        };
        let login = NewLogin {
            tokens: new,
            issuer: "https://issuer.example".to_owned(),
        };
        document.log_in(&login, "owner-9", now()).unwrap();
        assert_eq!(document.mode(), Mode::ChatGpt);
        let text = document.render().unwrap();
        for gone in ["sk-old", "a-1", "r-1", "i-1", "\"acc\"", "later"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        assert!(text.contains("12345678901234567890123"), "{text}");
        assert!(text.contains("\"OPENAI_API_KEY\": null"), "{text}");
    }

    #[test]
    fn kinds_of_logins() {
        for (text, mode) in [
            (r#"{"auth_mode":"chatgpt"}"#, Mode::ChatGpt),
            (r#"{"auth_mode":"apikey"}"#, Mode::ApiKey),
            (r#"{"auth_mode":null,"OPENAI_API_KEY":"sk"}"#, Mode::ApiKey),
            (r#"{"OPENAI_API_KEY":null,"tokens":{}}"#, Mode::ChatGpt),
            (
                r#"{"auth_mode":"agentIdentity"}"#,
                Mode::Other("agentIdentity".to_owned()),
            ),
        ] {
            assert_eq!(Document::parse(text).unwrap().mode(), mode, "{text}");
        }
        for text in ["", "[]", "null", r#"{"a":1,"a":2}"#, "{", "{} x"] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn when_a_token_is_due() {
        let day = 24 * 3600;
        for (ends_in, refreshed_ago, due) in [
            (Some(240), None, true),
            (Some(300), None, true),
            (Some(360), None, false),
            (Some(-1), None, true),
            (Some(360), Some(30 * day), false),
            (Some(240), Some(0), true),
            (None, Some(9 * day), true),
            (None, Some(15 * day / 2), false),
            (None, Some(-day), false),
            (None, None, false),
        ] {
            let end = ends_in.map(|seconds: i64| now().as_second() + seconds);
            let last =
                refreshed_ago.map(|ago| Timestamp::from_second(now().as_second() - ago).unwrap());
            assert_eq!(
                is_due(end, last, now()),
                due,
                "{ends_in:?} {refreshed_ago:?}"
            );
        }
    }

    #[test]
    fn tokens_do_not_print() {
        let tokens = Document::parse(FILE).unwrap().tokens().unwrap();
        assert_eq!(tokens.access.reveal(), "a-1");
        let shown = format!("{tokens:?}");
        for secret in ["a-1", "r-1", "i-1"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
