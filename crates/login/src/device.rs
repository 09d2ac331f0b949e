//! A new login through a browser on another machine, where a code is typed in.
//!
//! Facts: what `codex login --device-auth` of Codex 0.169 sends and takes (seen on 2026-11-25 with a scripted issuer). It is not the
//! device flow of RFC 8628: 403 and 404 mean "not yet", and the verifier comes from the issuer.

use std::time::Duration;

use http::StatusCode;
use polywire_upstream::Upstream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::ask::{Answer, ask, json, quoted};
use crate::exchange::{ANSWER_WAIT, NewLogin, PERSON_WAIT, exchange, not_finished};
use crate::places::CLIENT_ID;
use crate::{LoginError, Places};

/// How long to wait between two questions when the issuer does not say it.
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest pause that the issuer may ask for.
const INTERVAL_MAX: Duration = Duration::from_mins(1);

/// A login that waits for its code to be typed in somewhere.
#[derive(Debug)]
pub struct DeviceLogin {
    issuer: String,
    device: Device,
    interval: Duration,
    page: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Device {
    device_auth_id: String,
    #[serde(alias = "usercode")]
    user_code: String,
}

#[derive(Deserialize)]
struct Code {
    authorization_code: String,
    code_verifier: String,
}

impl DeviceLogin {
    /// Gets a code.
    ///
    /// # Errors
    /// The issuer cannot be asked, or has no such login.
    pub async fn begin(places: &Places, upstream: &Upstream) -> Result<Self, LoginError> {
        let issuer = places.issuer.clone();
        let question = serde_json::json!({"client_id": CLIENT_ID});
        let answer = post(upstream, &issuer, "usercode", &question).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(LoginError::NotFinished {
                reason: "the issuer has no login by code".to_owned(),
                hint: "run `polywire login` without `--device-auth`",
            });
        }
        let device = answer.status.is_success().then_some(&answer.body);
        let device: Device = device
            .and_then(|body| serde_json::from_slice(body).ok())
            .ok_or_else(|| {
                not_finished(format!("the issuer gave no code: {}", answer.failure()))
            })?;
        Ok(Self {
            interval: interval(&answer.json()["interval"]),
            page: format!("{issuer}/codex/device"),
            device,
            issuer,
        })
    }

    /// The page where the code is to be typed in.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The code, fit for a terminal.
    pub fn code(&self) -> String {
        quoted(&self.device.user_code)
    }

    /// Waits until the code was typed in, and gets the tokens.
    ///
    /// # Errors
    /// The issuer refused, nobody typed the code in within 15 minutes, or the issuer gave no tokens.
    pub async fn finish(self, upstream: &Upstream) -> Result<NewLogin, LoginError> {
        let code = self.code_of_the_issuer(upstream).await?;
        let redirect_uri = format!("{}/deviceauth/callback", self.issuer);
        exchange(
            upstream,
            &self.issuer,
            &code.authorization_code,
            &redirect_uri,
            &code.code_verifier,
        )
        .await
    }

    async fn code_of_the_issuer(&self, upstream: &Upstream) -> Result<Code, LoginError> {
        let end = Instant::now() + PERSON_WAIT;
        loop {
            let answer = post(upstream, &self.issuer, "token", &self.device).await?;
            match answer.status {
                StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {}
                status if status.is_success() => {
                    return serde_json::from_slice(&answer.body)
                        .map_err(|_| not_finished("the issuer's answer holds no code".to_owned()));
                }
                _other => return Err(not_finished(answer.failure())),
            }
            if Instant::now() + self.interval > end {
                return Err(not_finished(format!(
                    "the code was not typed in within {} minutes",
                    PERSON_WAIT.as_secs() / 60
                )));
            }
            tokio::time::sleep(self.interval).await;
        }
    }
}

async fn post(
    upstream: &Upstream,
    issuer: &str,
    name: &str,
    body: &impl Serialize,
) -> Result<Answer, LoginError> {
    let url = format!("{issuer}/api/accounts/deviceauth/{name}");
    let asked = async { ask(upstream, json(&url, body)?, ANSWER_WAIT).await };
    asked.await.map_err(|no_answer| {
        not_finished(format!(
            "the issuer could not be asked: {}",
            no_answer.reason()
        ))
    })
}

/// Seconds, as a number or as text; Codex's issuer sends text.
fn interval(value: &Value) -> Duration {
    let seconds = value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok());
    seconds
        .map_or(INTERVAL, Duration::from_secs)
        .min(INTERVAL_MAX)
}
