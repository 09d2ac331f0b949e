//! An issuer of Codex logins that does what the real one does, on the loopback interface: tokens that are good for one use, logins by
//! browser and by code, revocation, and the limits of the plan.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::reply::{Gate, Reply, Step};
use crate::upstream::{Received, ScriptedUpstream};

/// The account that all its logins belong to.
pub const ACCOUNT: &str = "acc-1";

/// The path of the token endpoint.
const TOKEN_PATH: &str = "/oauth/token";

/// A scripted issuer. The first refresh token that is good is `rt-1`, then `rt-2`, and so on; each is good once.
#[derive(Debug)]
pub struct Issuer {
    upstream: ScriptedUpstream,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// How many token answers were given: the refresh token that is good is `rt-{issued + 1}`.
    issued: u32,
    /// The newest access token; what the back end takes.
    newest: Option<String>,
    /// How long new access tokens are good, in seconds.
    lifetime_s: i64,
    planned: VecDeque<Planned>,
    /// What a browser was sent away with, to be exchanged.
    grant: Option<Grant>,
    /// How often a login by code still has to ask.
    device_pending: u32,
}

/// Something else than usual at the token endpoint.
#[derive(Debug)]
enum Planned {
    /// This answer; the refresh token stays good.
    Instead(Reply),
    /// The refresh token is spent and this is sent in place of the new ones.
    SpentThen(Reply),
    /// The usual answer, when the gate opens.
    Held(Gate),
    /// The usual answer without these members.
    Without(Vec<&'static str>),
}

#[derive(Debug)]
struct Grant {
    code: String,
    challenge: String,
    redirect_uri: String,
}

impl Issuer {
    /// Starts one. Its access tokens are good for an hour.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            lifetime_s: 3600,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let upstream = ScriptedUpstream::start(move |_, request| {
            shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .answer(request)
        });
        Self { upstream, state }
    }

    /// What it received, and waits for more.
    pub fn upstream(&self) -> &ScriptedUpstream {
        &self.upstream
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.upstream.address())
    }

    /// Where logins are renewed.
    pub fn token_url(&self) -> String {
        self.url() + TOKEN_PATH
    }

    /// Where logins are revoked.
    pub fn revoke_url(&self) -> String {
        self.url() + "/oauth/revoke"
    }

    /// Where the limits are asked for.
    pub fn back_end(&self) -> String {
        self.url() + "/backend-api"
    }

    /// Makes a command use this issuer, whether it is ours or Codex.
    pub fn tell(&self, command: &mut tokio::process::Command) {
        command
            .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", self.token_url())
            .env("CODEX_REVOKE_TOKEN_URL_OVERRIDE", self.revoke_url())
            .env("POLYWIRE_CODEX_ISSUER", self.url())
            .env("POLYWIRE_CHATGPT_URL", self.back_end());
    }

    /// An `auth.json` as Codex writes it, with `rt-1` and two members that Codex does not know. Its access token ends in so many
    /// seconds, or does not say when it ends.
    pub fn login_file(&self, ends_in_s: Option<i64>, refreshed_hours_ago: i64) -> String {
        let token = access_token(ends_in_s.map(|seconds| now_s() + seconds), 0);
        self.state().newest = Some(token.clone());
        login_file(&token, refreshed_hours_ago)
    }

    /// Changes how long new access tokens are good.
    pub fn set_lifetime(&self, seconds: i64) {
        self.state().lifetime_s = seconds;
    }

    /// Lets the back end refuse the newest access token, as if it was revoked.
    pub fn forget_access(&self) {
        self.state().newest = None;
    }

    /// The next renewal gets this answer, and its refresh token stays good.
    pub fn answer_next(&self, reply: Reply) {
        self.state().planned.push_back(Planned::Instead(reply));
    }

    /// The next renewal spends its refresh token and gets this answer.
    pub fn spend_next(&self, reply: Reply) {
        self.state().planned.push_back(Planned::SpentThen(reply));
    }

    /// The next renewal is answered as usual when the gate opens.
    pub fn hold_next(&self, gate: &Gate) {
        self.state().planned.push_back(Planned::Held(gate.clone()));
    }

    /// The next renewal is answered without these members.
    pub fn leave_out_next(&self, members: &[&'static str]) {
        let members = members.to_vec();
        self.state().planned.push_back(Planned::Without(members));
    }

    /// The questions at the token endpoint so far.
    pub fn renewals(&self) -> Vec<Received> {
        let received = self.upstream.received();
        received.into_iter().filter(is_renewal).collect()
    }

    /// Waits for so many questions at the token endpoint.
    pub async fn renewals_until(&self, count: usize) -> Vec<Received> {
        self.upstream.requests_where(count, is_renewal).await
    }

    /// Does what a person does in a browser: logs in at an authorize address, and is sent back. Gives the address that the browser is
    /// sent to.
    pub fn authorize(&self, url: &str) -> String {
        let (page, query) = url.split_once('?').expect("an address with a query");
        assert_eq!(page, self.url() + "/oauth/authorize");
        let field = |name: &str| field(query, name);
        assert_eq!(field("response_type"), "code");
        assert_eq!(field("code_challenge_method"), "S256");
        assert!(field("scope").contains("offline_access"), "{url}");
        let code = "c-1/+ ü".to_owned();
        let back = format!(
            "{}?code=c-1%2F%2B%20%C3%BC&state={}",
            field("redirect_uri"),
            field("state")
        );
        self.state().grant = Some(Grant {
            code,
            challenge: field("code_challenge"),
            redirect_uri: field("redirect_uri"),
        });
        back
    }

    /// Lets a login by code ask in vain so many times.
    pub fn set_device_pending(&self, times: u32) {
        self.state().device_pending = times;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_renewal(request: &Received) -> bool {
    request.path == TOKEN_PATH
}

impl State {
    fn answer(&mut self, request: &Received) -> Reply {
        match request.path.as_str() {
            TOKEN_PATH if request.text().starts_with('{') => self.renew(request),
            TOKEN_PATH => self.exchange(&request.text()),
            "/oauth/revoke" => Reply::json(200, &json!({})),
            "/backend-api/wham/usage" => self.usage(request),
            "/api/accounts/deviceauth/usercode" => Reply::json(
                200,
                &json!({"device_auth_id": "d-1", "user_code": "ABCD-1234", "interval": "0"}),
            ),
            "/api/accounts/deviceauth/token" => self.device(request),
            path => Reply::error(404, "not_found", path),
        }
    }

    fn renew(&mut self, request: &Received) -> Reply {
        let question = request.json();
        assert_eq!(question["client_id"], "app_EMoamEEZ73f0CkXaXp7hrann");
        assert_eq!(question["grant_type"], "refresh_token");
        if question["refresh_token"] != format!("rt-{}", self.issued + 1) {
            return Reply::error(401, "refresh_token_reused", "it was used already");
        }
        match self.planned.pop_front() {
            None => Reply::json(200, &self.tokens()),
            Some(Planned::Instead(reply)) => reply,
            Some(Planned::SpentThen(reply)) => {
                self.tokens();
                reply
            }
            Some(Planned::Held(gate)) => Reply::json(200, &self.tokens()).before(Step::Wait(gate)),
            Some(Planned::Without(members)) => {
                let mut tokens = self.tokens();
                let object = tokens.as_object_mut().expect("an object");
                for member in members {
                    object.shift_remove(member);
                }
                Reply::json(200, &tokens)
            }
        }
    }

    fn exchange(&mut self, form: &str) -> Reply {
        assert_eq!(field(form, "grant_type"), "authorization_code");
        let Some(grant) = self.grant.take() else {
            return Reply::error(400, "invalid_grant", "no code was given");
        };
        let verifier = field(form, "code_verifier");
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let good = field(form, "code") == grant.code
            && challenge == grant.challenge
            && field(form, "redirect_uri") == grant.redirect_uri;
        if good {
            Reply::json(200, &self.tokens())
        } else {
            Reply::error(400, "invalid_grant", "something does not fit")
        }
    }

    fn device(&mut self, request: &Received) -> Reply {
        assert_eq!(
            request.json(),
            json!({"device_auth_id": "d-1", "user_code": "ABCD-1234"})
        );
        if self.device_pending > 0 {
            self.device_pending -= 1;
            return Reply::json(403, &json!({}));
        }
        let verifier = "v-of-the-issuer";
        let host = request.headers.get("host").unwrap_or_default();
        self.grant = Some(Grant {
            code: "c-device".to_owned(),
            challenge: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            redirect_uri: format!("http://{host}/deviceauth/callback"),
        });
        Reply::json(
            200,
            &json!({"authorization_code": "c-device", "code_challenge": "x", "code_verifier": verifier}),
        )
    }

    fn usage(&self, request: &Received) -> Reply {
        let given = request.headers.get("authorization");
        let good = self.newest.as_ref().map(|token| format!("Bearer {token}"));
        if good.is_none() || given != good.as_deref() {
            return Reply::error(401, "token_expired", "please log in again");
        }
        assert_eq!(request.headers.get("chatgpt-account-id"), Some(ACCOUNT));
        Reply::json(
            200,
            &json!({
                "plan_type": "team", "email": "someone@example.com",
                "rate_limit": {"allowed": true, "limit_reached": false,
                    "primary_window": {"used_percent": 32, "limit_window_seconds": 18000,
                        "reset_after_seconds": 600, "reset_at": now_s() + 600},
                    "secondary_window": {"used_percent": 4.5, "limit_window_seconds": 604_800,
                        "reset_after_seconds": 90000}},
                "additional_rate_limits": [{"limit_name": "Large\u{1b}[2J", "metered_feature": "x",
                    "rate_limit": {"primary_window": {"used_percent": 1, "limit_window_seconds": 3600}}}],
                "credits": {"has_credits": true, "unlimited": false, "balance": "12.50"},
                "later": [1],
            }),
        )
    }

    /// New tokens. What was good before is good no more.
    fn tokens(&mut self) -> Value {
        self.issued += 1;
        let access = access_token(Some(now_s() + self.lifetime_s), self.issued);
        self.newest = Some(access.clone());
        json!({
            "id_token": id_token(),
            "access_token": access,
            "refresh_token": format!("rt-{}", self.issued + 1),
        })
    }
}

fn login_file(access_token: &str, refreshed_hours_ago: i64) -> String {
    let refreshed = Timestamp::from_second(now_s() - refreshed_hours_ago * 3600);
    format!(
        r#"{{
  "auth_mode": "chatgpt",
  "of_somebody": {{"digits": 12345678901234567890123, "f": 1.50}},
  "OPENAI_API_KEY": null,
  "tokens": {{
    "id_token": "{}",
    "access_token": "{access_token}",
    "refresh_token": "rt-1",
    "later": [1,  2],
    "account_id": "{ACCOUNT}"
  }},
  "last_refresh": "{}"
}}"#,
        id_token(),
        refreshed.expect("a date"),
    )
}

fn now_s() -> i64 {
    Timestamp::now().as_second()
}

fn access_token(ends_at: Option<i64>, number: u32) -> String {
    jwt(&json!({"exp": ends_at, "jti": number}))
}

fn id_token() -> String {
    jwt(&json!({
        "email": "someone@example.com",
        "https://api.openai.com/auth": {
            "chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1",
        },
    }))
}

/// A token with these claims that nobody signed. Codex takes it (codex-client.md 8.1).
pub fn jwt(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "none"})), part(claims))
}

/// The value of a field of a query or form.
fn field(query: &str, name: &str) -> String {
    let prefix = format!("{name}=");
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&prefix));
    let value = value.unwrap_or_else(|| panic!("no `{name}` in {query}"));
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits"));
            let digits = std::str::from_utf8(&digits).expect("ASCII");
            bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
