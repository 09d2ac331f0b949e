//! What was found out about a provider.

use polywire_store::Receipt;
use serde_json::{Value, json};

use crate::check::{Checked, Outcome};
use crate::reach::Reach;
use crate::switches::{Evidence, Speaks, Switch};

/// The tokens of all turns together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the requests.
    pub input: u64,
    /// Of the answers.
    pub output: u64,
    /// How many turns were played.
    pub turns: u64,
    /// Some are polywire's estimates, because the provider counted none.
    pub estimated: bool,
}

impl Tokens {
    pub(crate) fn add(&mut self, receipt: &Receipt) {
        self.turns += 1;
        if let Some(usage) = receipt.usage {
            self.input += usage.input.unwrap_or(0);
            self.output += usage.output.unwrap_or(0);
            self.estimated |= usage.estimated;
        }
    }
}

/// What was found out about a provider and one of its models.
#[derive(Clone, Debug)]
pub struct Report {
    /// The provider's id.
    pub provider: String,
    /// The model.
    pub model: String,
    /// How far the request for the list of models came; nothing for a provider that is not reached over HTTP.
    pub reach: Option<Reach>,
    /// Every check.
    pub checks: Vec<Checked>,
    /// What was seen of the switches of the profile.
    pub evidence: Vec<Evidence>,
    /// What it cost.
    pub tokens: Tokens,
}

impl Report {
    /// Whether all works that a coding client cannot do without.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|checked| {
            !checked.check.is_essential()
                || match checked.outcome {
                    Outcome::Works | Outcome::Unsupported => true,
                    Outcome::Fails => false,
                    // Something else failed then, or there was nothing to try, as with a key that nobody needs.
                    Outcome::Skipped => true,
                }
        })
    }

    /// The switches that work where those in force do not, in the order in which they were found.
    pub fn proven(&self) -> Vec<&Switch> {
        let mut proven: Vec<&Switch> = Vec::new();
        for evidence in &self.evidence {
            let is_other = !evidence.in_force && evidence.speaks == Speaks::For;
            if is_other {
                proven.retain(|known| known.key != evidence.switch.key);
                proven.push(&evidence.switch);
            }
        }
        proven
    }

    /// The report as JSON: `provider`, `model`, `works`, `reach`, `checks`, `evidence`, `proven`, `tokens`.
    pub fn to_json(&self) -> Value {
        let proven: serde_json::Map<String, Value> = self
            .proven()
            .into_iter()
            .map(|switch| (switch.key.to_owned(), json!(switch.value)))
            .collect();
        json!({
            "provider": self.provider,
            "model": self.model,
            "works": self.is_good(),
            "reach": self.reach.as_ref().map(Reach::to_json),
            "checks": self.checks,
            "evidence": self.evidence,
            "proven": proven,
            "tokens": {
                "turns": self.tokens.turns,
                "input": self.tokens.input,
                "output": self.tokens.output,
                "estimated": self.tokens.estimated,
            },
        })
    }
}
