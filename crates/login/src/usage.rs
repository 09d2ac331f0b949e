//! How much of a plan is used up.

use std::time::Duration;

use http::Request;
use polywire_upstream::Upstream;
use serde::{Deserialize, Serialize};

use crate::ask::{ask, get};
use crate::{Access, CodexLogin, LoginError};

/// How long the back end may take.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// What was asked, in errors.
const WHAT: &str = "the question for the limits of the plan";

/// The plan and its limits, as the back end tells them (`wham/usage`, seed-behaviours.md D4.10). Everything may be missing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Usage {
    /// The plan as it is now.
    pub plan_type: Option<String>,
    /// Whose account it is.
    pub email: Option<String>,
    /// The limits of everything that is not limited by itself.
    pub rate_limit: Option<RateLimit>,
    /// Limits of single models or functions.
    pub additional_rate_limits: Option<Vec<NamedLimit>>,
    /// What was paid for beside the plan.
    pub credits: Option<Credits>,
}

/// A limit.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct RateLimit {
    /// Whether requests are let through.
    pub allowed: Option<bool>,
    /// Whether a window is used up.
    pub limit_reached: Option<bool>,
    /// One window. Which one is the shorter is not said: read its length.
    pub primary_window: Option<Window>,
    /// The other window.
    pub secondary_window: Option<Window>,
}

/// A span of time in which so much may be used.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Window {
    /// How much is used, in percent.
    pub used_percent: Option<f64>,
    /// How long the window is, in seconds.
    pub limit_window_seconds: Option<i64>,
    /// In how many seconds it begins anew.
    pub reset_after_seconds: Option<i64>,
    /// When it begins anew, in seconds since 1970.
    pub reset_at: Option<i64>,
}

/// A limit with a name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct NamedLimit {
    /// Its name.
    pub limit_name: Option<String>,
    /// The limit.
    pub rate_limit: Option<RateLimit>,
}

/// What was paid for beside the plan.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Credits {
    /// Whether there are any.
    pub has_credits: Option<bool>,
    /// Whether they never end.
    pub unlimited: Option<bool>,
    /// How many there are, as the back end writes it.
    pub balance: Option<String>,
}

impl CodexLogin {
    /// Asks how much of the plan is used up. Costs nothing of it. A token that the back end refuses is replaced once.
    ///
    /// # Errors
    /// There is no usable login, or the back end does not answer as it should.
    pub async fn usage(&self, upstream: &Upstream) -> Result<Usage, LoginError> {
        let access = self.access(upstream).await?;
        let mut answer = self.ask_usage(&access, upstream).await?;
        if answer.status == http::StatusCode::UNAUTHORIZED {
            let access = self.after_unauthorized(&access, upstream).await?;
            answer = self.ask_usage(&access, upstream).await?;
        }
        if !answer.status.is_success() {
            return Err(failed(answer.failure()));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| failed("the answer is not what it should be".to_owned()))
    }

    async fn ask_usage(
        &self,
        access: &Access,
        upstream: &Upstream,
    ) -> Result<crate::ask::Answer, LoginError> {
        let url = format!("{}/wham/usage", self.places().back_end);
        let bearer = format!("Bearer {}", access.token.reveal());
        let mut request = Request::get(url).header("authorization", bearer);
        if let Some(account) = &access.account_id {
            request = request.header("chatgpt-account-id", account);
        }
        if access.is_fedramp {
            request = request.header("x-openai-fedramp", "true");
        }
        let asked = async { ask(upstream, get(request)?, ANSWER_WAIT).await };
        asked.await.map_err(|no_answer| failed(no_answer.reason()))
    }
}

fn failed(reason: String) -> LoginError {
    LoginError::Asked { what: WHAT, reason }
}
