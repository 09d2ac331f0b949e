//! A turn as it is counted.

use super::{Attempt, Outcome, Settlement};
use crate::metrics::{EndedTurn, Ending};

impl Settlement {
    pub(super) fn counted(&self) -> EndedTurn<'_> {
        let attempt = &self.attempt;
        EndedTurn {
            provider: attempt.provider(),
            dialect: self.dialect.name(),
            outcome: attempt.outcome.name(),
            ending: match &attempt.outcome {
                Outcome::ClientLeft => Ending::ClientLeft,
                Outcome::Finished(_) => Ending::Ok,
                Outcome::Failed(fault) => Ending::Failed {
                    status: self.dialect.http_status(fault),
                },
            },
            failed_attempts: self
                .failed_attempts
                .iter()
                .map(|attempt: &Attempt| (attempt.provider(), attempt.outcome.name()))
                .collect(),
            usage: attempt.usage,
            losses: self.all_losses().map(|loss| loss.severity).collect(),
            first_content: attempt.first_content.map(|at| at - self.began),
        }
    }
}

impl Outcome {
    /// Why the model stopped, the class of the fault, or `client_left`.
    fn name(&self) -> &'static str {
        match self {
            Outcome::ClientLeft => "client_left",
            Outcome::Finished(reason) => reason.name(),
            Outcome::Failed(fault) => fault.class.name(),
        }
    }
}
