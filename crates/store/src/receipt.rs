//! The record of one turn.

use polywire_conversation::{Fault, Loss, Severity, Usage};
use serde::{Deserialize, Serialize};

use crate::limits::{RECEIPT_LIST_MAX, RECEIPT_TEXT_BYTES_MAX};

/// What one turn was: who asked for what, who served it, what was lowered or lost, what it took and what it cost.
///
/// Shapes and sizes, never what was said: no prompt, no answer, no tool argument belongs in here. Fields that are added later have
/// defaults, so that older receipts can be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// The turn's id, which the client got as `x-polywire-request-id`.
    pub id: String,
    /// When the turn began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The dialect that the client spoke: `responses`, `chat`, `messages`.
    pub dialect: String,
    /// The client, as far as it could be told: `codex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The model name as the client wrote it.
    pub model_asked: String,
    /// Who served the turn, as `provider/model`; empty when nobody did.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the model stopped: `stop`, `length`, `tool_calls` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// The HTTP status that the client got, when it got one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<ReceiptFault>,
    /// The targets that were tried, in order; the last one served the turn, or failed last.
    pub attempts: Vec<ReceiptAttempt>,
    /// What could not be carried.
    pub losses: Vec<ReceiptLoss>,
    /// How many losses there were beyond those that are listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub losses_left_out: u64,
    /// How many tools went to the provider under another name or in another form.
    pub lowered_tools: u64,
    /// Tokens, when they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ReceiptUsage>,
    /// What the turn cost in US dollars, when the catalog knows the model's prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How long it took.
    pub timings: Timings,
    /// The bytes of the request body, decoded.
    pub request_bytes: u64,
    /// The bytes of the answer's body.
    pub answer_bytes: u64,
    /// Whether the turn was strict: severe losses would have refused it.
    pub strict: bool,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The client left before the end.
    #[default]
    ClientLeft,
    /// The model's answer is whole.
    Finished,
    /// The turn failed; [`Receipt::fault`] tells why.
    Failed,
}

/// Why a turn or an attempt failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiptFault {
    /// The kind of failure: `rate_limit`, `auth` …
    pub class: String,
    /// The provider's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the client was told.
    pub message: String,
}

/// One target that was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiptAttempt {
    /// The target, as `provider/model`.
    pub target: String,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<ReceiptFault>,
}

/// One thing that could not be carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLoss {
    /// What is concerned, as a path or a name.
    pub what: String,
    /// What became of it and why.
    pub why: String,
    /// How much it matters.
    #[serde(with = "severity")]
    pub severity: Severity,
}

/// The tokens of a turn. See [`Usage`] for what each counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiptUsage {
    /// All input tokens.
    pub input: Option<u64>,
    /// Those that were read from a cache.
    pub cached: Option<u64>,
    /// Those that were written to a cache.
    pub cache_write: Option<u64>,
    /// All output tokens.
    pub output: Option<u64>,
    /// Those spent on reasoning.
    pub reasoning: Option<u64>,
    /// The numbers are ours: the provider sent none.
    pub estimated: bool,
}

/// How long a turn took, in milliseconds from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Until the first part of the answer began.
    pub first_ms: Option<u64>,
    /// Until its end.
    pub total_ms: u64,
}

/// A receipt in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiptSummary {
    /// The turn's id.
    pub id: String,
    /// When the turn began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The dialect that the client spoke.
    pub dialect: String,
    /// The client, as far as it could be told.
    pub client: Option<String>,
    /// The model name as the client wrote it.
    pub model_asked: String,
    /// Who served the turn.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the model stopped, or the kind of the failure.
    pub reason: Option<String>,
    /// Input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// Whether the tokens are an estimate of ours.
    pub estimated: bool,
    /// What the turn cost in US dollars.
    pub cost_usd: Option<f64>,
    /// How many losses there were.
    pub losses: u64,
    /// How much the worst of them matters: `note`, `degraded`, `severe`.
    pub worst_loss: Option<&'static str>,
    /// How long it took.
    pub total_ms: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Outcome {
    /// The word that is used in files, filters and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::ClientLeft => "client_left",
            Outcome::Finished => "finished",
            Outcome::Failed => "failed",
        }
    }
}

impl From<&Fault> for ReceiptFault {
    fn from(fault: &Fault) -> Self {
        Self {
            class: fault.class.name().to_owned(),
            code: fault.code.clone(),
            message: fault.message.clone(),
        }
    }
}

impl From<&Loss> for ReceiptLoss {
    fn from(loss: &Loss) -> Self {
        Self {
            what: loss.what.clone().into_owned(),
            why: loss.why.clone().into_owned(),
            severity: loss.severity,
        }
    }
}

impl From<Usage> for ReceiptUsage {
    fn from(usage: Usage) -> Self {
        let Usage {
            input,
            cached,
            cache_write,
            output,
            reasoning,
            estimated,
        } = usage;
        Self {
            input,
            cached,
            cache_write,
            output,
            reasoning,
            estimated,
        }
    }
}

/// The word for a severity, in files and tables.
const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Degraded => "degraded",
        Severity::Severe => "severe",
    }
}

impl ReceiptLoss {
    /// The word for how much it matters.
    pub const fn severity_name(&self) -> &'static str {
        severity_name(self.severity)
    }
}

impl Receipt {
    /// The receipt in one line.
    pub fn summary(&self) -> ReceiptSummary {
        let usage = self.usage.unwrap_or_default();
        let failure = self.fault.as_ref().map(|fault| fault.class.clone());
        let listed = u64::try_from(self.losses.len()).unwrap_or(u64::MAX);
        let worst = self.losses.iter().map(|loss| loss.severity).max();
        ReceiptSummary {
            id: self.id.clone(),
            began_unix_ms: self.began_unix_ms,
            dialect: self.dialect.clone(),
            client: self.client.clone(),
            model_asked: self.model_asked.clone(),
            target: self.target.clone(),
            outcome: self.outcome,
            reason: failure.or_else(|| self.finish.clone()),
            input_tokens: usage.input,
            output_tokens: usage.output,
            estimated: usage.estimated,
            cost_usd: self.cost_usd,
            losses: listed.saturating_add(self.losses_left_out),
            worst_loss: worst.map(severity_name),
            total_ms: self.timings.total_ms,
        }
    }

    /// The same receipt within bounds: what a client or a provider wrote is cut where it is too long, the worst losses are kept.
    pub(crate) fn bounded(mut self) -> Self {
        if self.losses.len() > RECEIPT_LIST_MAX {
            self.losses
                .sort_by_key(|loss| std::cmp::Reverse(loss.severity));
            let left_out = self.losses.len() - RECEIPT_LIST_MAX;
            self.losses_left_out += u64::try_from(left_out).unwrap_or(u64::MAX);
            self.losses.truncate(RECEIPT_LIST_MAX);
        }
        let more = self.attempts.len().saturating_sub(RECEIPT_LIST_MAX);
        self.attempts.drain(..more);
        let faults = self.attempts.iter_mut().map(|attempt| &mut attempt.fault);
        for fault in faults.chain([&mut self.fault]).flatten() {
            cut(&mut fault.class);
            cut(&mut fault.message);
            fault.code.iter_mut().for_each(cut);
        }
        for attempt in &mut self.attempts {
            cut(&mut attempt.target);
        }
        for loss in &mut self.losses {
            cut(&mut loss.what);
            cut(&mut loss.why);
        }
        let texts = [
            &mut self.id,
            &mut self.dialect,
            &mut self.model_asked,
            &mut self.target,
        ];
        texts.into_iter().for_each(cut);
        self.client.iter_mut().for_each(cut);
        self.finish.iter_mut().for_each(cut);
        self
    }
}

fn cut(text: &mut String) {
    if text.len() > RECEIPT_TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(RECEIPT_TEXT_BYTES_MAX));
        text.push('…');
    }
}

/// Severities as words. The neutral type is not serialisable, on purpose.
mod severity {
    use polywire_conversation::Severity;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    pub(super) fn serialize<S: Serializer>(
        severity: &Severity,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(super::severity_name(*severity))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Severity, D::Error> {
        let word = String::deserialize(deserializer)?;
        [Severity::Note, Severity::Degraded, Severity::Severe]
            .into_iter()
            .find(|severity| super::severity_name(*severity) == word)
            .ok_or_else(|| de::Error::custom(format!("there is no severity `{word}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_stay_within_bounds_and_keep_the_worst() {
        let long = "ü".repeat(5000);
        let fault = ReceiptFault {
            class: "server".to_owned(),
            code: Some(long.clone()),
            message: long.clone(),
        };
        let mut losses: Vec<ReceiptLoss> = (0..400)
            .map(|number| ReceiptLoss::from(&Loss::note(format!("tools[{number}]"), "renamed")))
            .collect();
        losses.push((&Loss::severe("tools[400]", long.clone())).into());
        let attempts = vec![
            ReceiptAttempt {
                target: long.clone(),
                outcome: Outcome::Failed,
                fault: Some(fault.clone()),
            };
            300
        ];
        let receipt = Receipt {
            id: "turn_1".to_owned(),
            model_asked: long.clone(),
            client: Some(long),
            fault: Some(fault),
            losses,
            attempts,
            ..Receipt::default()
        };
        let bounded = receipt.bounded();
        assert_eq!((bounded.losses.len(), bounded.losses_left_out), (256, 145));
        assert_eq!(bounded.losses[0].severity, Severity::Severe);
        assert_eq!(bounded.summary().losses, 401);
        assert_eq!(bounded.summary().worst_loss, Some("severe"));
        assert_eq!(bounded.attempts.len(), 256);
        assert_eq!(bounded.model_asked.len(), RECEIPT_TEXT_BYTES_MAX + 3);
        let bytes = serde_json::to_string(&bounded).unwrap().len();
        assert!(bytes < 1024 * 1024, "{bytes}");
        assert_eq!(bounded.clone().bounded(), bounded, "once is enough");
    }

    #[test]
    fn receipts_of_earlier_and_later_versions_can_be_read() {
        let early: Receipt = serde_json::from_str(r#"{"id": "turn_1", "later": [1]}"#).unwrap();
        assert_eq!(
            (early.id.as_str(), early.outcome),
            ("turn_1", Outcome::ClientLeft)
        );
        let loss = r#"{"losses": [{"what": "a", "why": "b", "severity": "grave"}]}"#;
        serde_json::from_str::<Receipt>(loss).unwrap_err();
    }
}
