//! What was found out about a provider.

use polywire_store::Receipt;
use serde_json::{Value, json};

use crate::check::{CheckId, Checked, Outcome};
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
        let mut essential = self
            .checks
            .iter()
            .filter(|checked| checked.check.is_essential());
        essential.all(|checked| match checked.outcome {
            Outcome::Works => true,
            Outcome::Fails => false,
            // A program on this machine has its own tools, and tells each text when it is whole. A client gets along with that; with a
            // provider that is only asked over HTTP it does not.
            Outcome::Unsupported => self.reach.is_none(),
            // With a key that nobody needs there is nothing to try. Whatever else stood in the way, nobody knows whether it works.
            Outcome::Skipped => checked.check == CheckId::Key,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(check: CheckId, outcome: Outcome, reach: Option<Reach>) -> Report {
        Report {
            provider: "house".to_owned(),
            model: "a".to_owned(),
            reach,
            checks: vec![Checked::new(check, outcome, "")],
            evidence: Vec::new(),
            tokens: Tokens::default(),
        }
    }

    fn over_http() -> Reach {
        Reach {
            url: "http://127.0.0.1:9/v1/models".to_owned(),
            proxy: None,
            steps: Vec::new(),
            finding: crate::Finding::Works { models: None },
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn what_a_client_cannot_do_without_has_to_work() {
        for (check, outcome, http, good) in [
            (CheckId::ToolCall, Outcome::Works, true, true),
            (CheckId::ToolCall, Outcome::Fails, true, false),
            (CheckId::ToolCall, Outcome::Unsupported, true, false),
            (CheckId::ToolCall, Outcome::Unsupported, false, true),
            (CheckId::ToolResult, Outcome::Skipped, true, false),
            (CheckId::Key, Outcome::Skipped, true, true),
            (CheckId::Image, Outcome::Unsupported, true, true),
            (CheckId::Image, Outcome::Fails, true, true),
        ] {
            let reach = http.then(over_http);
            let report = report(check, outcome, reach);
            assert_eq!(report.is_good(), good, "{check:?} {outcome:?} {http}");
        }
    }
}
