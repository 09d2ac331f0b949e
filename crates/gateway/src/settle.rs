//! The end of a turn: what it was, what it cost, what was lost. Told exactly once, however the turn ends.

use std::time::Instant;

use polywire_conversation::{Event, Fault, Loss, Severity, StopReason, Usage};

/// What is known of a turn while it runs; written to the log when it is dropped.
///
/// Dropping is how every turn ends: a finished body is dropped by the server, and so is the one of a client that hung up. The
/// log line is therefore written exactly once.
pub struct Settlement {
    /// The turn's id, as in the `x-polywire-request-id` header.
    pub turn_id: String,
    /// The model name as the client wrote it.
    pub model: String,
    /// What served it, as `provider/model`; empty until an attempt was made.
    pub target: String,
    /// What could not be carried.
    pub losses: Vec<Loss>,
    /// How many attempts were made.
    pub attempts: u32,
    usage: Option<Usage>,
    outcome: Outcome,
    began: Instant,
    first_content: Option<Instant>,
}

enum Outcome {
    /// Nothing terminal was seen: the client left.
    ClientLeft,
    Finished(StopReason),
    Failed(Fault),
}

impl Settlement {
    /// A turn that begins now.
    pub fn begin(turn_id: String) -> Self {
        Self {
            turn_id,
            model: String::new(),
            target: String::new(),
            losses: Vec::new(),
            attempts: 0,
            usage: None,
            outcome: Outcome::ClientLeft,
            began: Instant::now(),
            first_content: None,
        }
    }

    /// Takes note of an event of the answer. Called for every delta, so it does next to nothing.
    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::ReasoningStart
            | Event::TextStart
            | Event::RefusalStart
            | Event::CallStart { .. } => {
                self.first_content.get_or_insert_with(Instant::now);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Loss(loss) => {
                tracing::debug!(turn = %self.turn_id, "{loss}");
                self.losses.push(loss.clone());
            }
            Event::ReasoningOpaque(_) => self.opaque_reasoning(),
            Event::Finish(reason) => self.outcome = Outcome::Finished(*reason),
            Event::Fault(fault) => self.fail(fault),
            Event::Start { .. }
            | Event::ReasoningDelta(_)
            | Event::ReasoningEnd
            | Event::TextDelta(_)
            | Event::TextEnd
            | Event::RefusalDelta(_)
            | Event::RefusalEnd
            | Event::CallDelta(_)
            | Event::CallEnd
            | Event::CallCut => {}
        }
    }

    /// The turn failed.
    pub fn fail(&mut self, fault: &Fault) {
        self.outcome = Outcome::Failed(fault.clone());
    }

    /// Whether any part of the answer has begun.
    pub fn has_content(&self) -> bool {
        self.first_content.is_some()
    }

    fn opaque_reasoning(&mut self) {
        const WHAT: &str = "reasoning state";
        if !self.losses.iter().any(|loss| loss.what == WHAT) {
            self.losses.push(Loss::degraded(
                WHAT,
                "the provider's sealed reasoning is not given back to it in the next turn",
            ));
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let first_ms = self.first_content.map(|at| (at - self.began).as_millis());
        let usage = self.usage.unwrap_or_default();
        let (outcome, fault) = match &self.outcome {
            Outcome::ClientLeft => ("client left", None),
            Outcome::Finished(reason) => (reason.name(), None),
            Outcome::Failed(fault) => (fault.class.name(), Some(fault)),
        };
        let losses = self
            .losses
            .iter()
            .filter(|loss| loss.severity > Severity::Note);
        let losses: Vec<String> = losses.map(ToString::to_string).collect();
        tracing::info!(
            turn = %self.turn_id,
            model = %self.model,
            target = %self.target,
            outcome,
            attempts = self.attempts,
            first_ms,
            total_ms = self.began.elapsed().as_millis(),
            input = usage.input,
            cached = usage.cached,
            output = usage.output,
            reasoning = usage.reasoning,
            losses = ?losses,
            "turn"
        );
        if let Some(fault) = fault {
            tracing::warn!(
                turn = %self.turn_id,
                status = fault.status,
                code = fault.code,
                detail = fault.detail,
                "{}", fault.message
            );
        }
    }
}
