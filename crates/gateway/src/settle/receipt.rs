//! The receipt of a turn.

use std::time::Instant;

use polywire_store::{Outcome as ReceiptOutcome, Receipt, ReceiptAttempt, Timings};

use super::{Attempt, Outcome, Settlement};
use crate::client::Client;

impl Settlement {
    pub(super) fn receipt(&self, ended: Instant) -> Receipt {
        let attempt = &*self.attempt;
        let last = attempt.served_by.is_some().then_some(attempt);
        let attempts = self.failed_attempts.iter().chain(last);
        let (finish, fault) = match &attempt.outcome {
            Outcome::ClientLeft => (None, None),
            Outcome::Finished(reason) => (Some(reason.name().to_owned()), None),
            Outcome::Failed(fault) => (None, Some(fault)),
        };
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Receipt {
            id: self.turn_id.clone(),
            began_unix_ms: self.began_unix_ms,
            dialect: self.dialect.name().to_owned(),
            client: (self.client == Client::Codex).then(|| "codex".to_owned()),
            model_asked: self.model.clone(),
            target: attempt.target(),
            outcome: attempt.outcome.of_receipt(),
            finish,
            status: fault.map(|fault| self.dialect.http_status(fault)),
            fault: fault.map(Into::into),
            attempts: attempts.map(Attempt::receipt).collect(),
            losses: self.all_losses().map(Into::into).collect(),
            losses_left_out: 0,
            lowered_tools: count(attempt.tools_lowered),
            usage: attempt.usage.map(Into::into),
            cost_usd: self.cost_usd(),
            timings: Timings {
                first_ms: attempt.first_content.map(|at| self.milliseconds_until(at)),
                total_ms: self.milliseconds_until(ended),
            },
            request_bytes: count(self.request_bytes),
            answer_bytes: count(attempt.answer_bytes),
            strict: self.is_strict,
        }
    }
}

impl Attempt {
    fn receipt(&self) -> ReceiptAttempt {
        ReceiptAttempt {
            target: self.target(),
            outcome: self.outcome.of_receipt(),
            fault: match &self.outcome {
                Outcome::Failed(fault) => Some(fault.into()),
                Outcome::ClientLeft | Outcome::Finished(_) => None,
            },
        }
    }
}

impl Outcome {
    fn of_receipt(&self) -> ReceiptOutcome {
        match self {
            Outcome::ClientLeft => ReceiptOutcome::ClientLeft,
            Outcome::Finished(_) => ReceiptOutcome::Finished,
            Outcome::Failed(_) => ReceiptOutcome::Failed,
        }
    }
}
