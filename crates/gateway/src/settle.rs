//! The end of a turn: what it was, what it cost, what was lost. Told exactly once, however the turn ends.

use std::sync::Arc;
use std::time::Instant;

use polywire_conversation::{Event, Fault, Loss, Request, StopReason, Usage};
use polywire_store::ReceiptSink;

use crate::client::ClientDialect;
use crate::turn::Accepted;

/// What is known of a turn while it runs; written to the log when it is dropped.
///
/// Dropping is how every turn ends: a finished body is dropped by the server, and so is the one of a client that hung up. The
/// log line is therefore written exactly once.
pub(crate) struct Settlement {
    turn_id: String,
    dialect: ClientDialect,
    receipts: Option<Arc<dyn ReceiptSink>>,
    is_strict: bool,
    /// The model name as the client wrote it.
    model: String,
    began: Instant,
    attempts: u32,
    /// What the request had that could not be carried, whoever serves it.
    request_losses: Vec<Loss>,
    /// The size of the request's body.
    request_bytes: usize,
    attempt: Attempt,
}

/// What is known of the attempt at work, or of the last one.
#[derive(Default)]
struct Attempt {
    /// Who serves it, as `provider/model`.
    target: String,
    losses: Vec<Loss>,
    usage: Option<Usage>,
    outcome: Outcome,
    first_content: Option<Instant>,
    /// How many tools were offered.
    tools_offered: usize,
    /// How much was said and thought, in bytes.
    answer_bytes: usize,
}

#[derive(Default)]
enum Outcome {
    /// Nothing terminal was seen: the client left.
    #[default]
    ClientLeft,
    Finished(StopReason),
    Failed(Fault),
}

impl Settlement {
    /// A turn that begins now, with the id that its header and its log line carry.
    pub(crate) fn begin(
        accepted: &Accepted,
        receipts: Option<Arc<dyn ReceiptSink>>,
        is_strict: bool,
    ) -> Self {
        Self {
            turn_id: accepted.turn_id.clone(),
            dialect: accepted.dialect,
            receipts,
            is_strict,
            model: String::new(),
            began: Instant::now(),
            attempts: 0,
            request_losses: Vec::new(),
            request_bytes: 0,
            attempt: Attempt::default(),
        }
    }

    /// The request was read from a body of so many bytes.
    pub(crate) fn decoded(&mut self, request: &Request<'_>, body_bytes: usize) {
        (*request.model).clone_into(&mut self.model);
        self.request_losses.extend_from_slice(&request.losses);
        self.request_bytes = body_bytes;
    }

    /// How many tools the provider is offered.
    pub(crate) fn offered(&mut self, tools: usize) {
        self.attempt.tools_offered = tools;
    }

    /// What the turn has probably consumed, when the provider has not said.
    pub(crate) fn estimated_usage(&self) -> Option<Usage> {
        let tokens = |bytes: usize| Some(u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX));
        self.attempt.usage.is_none().then(|| Usage {
            input: tokens(self.request_bytes),
            output: tokens(self.attempt.answer_bytes),
            estimated: true,
            ..Usage::default()
        })
    }

    /// A new attempt begins; what the one before saw does not count any more.
    pub(crate) fn begin_attempt(&mut self, target: String) {
        self.attempts += 1;
        self.attempt = Attempt {
            target,
            ..Attempt::default()
        };
    }

    /// Nobody works on the turn for now: a client that leaves in a pause has left, whatever failed before.
    pub(crate) fn pause(&mut self) {
        self.attempt.outcome = Outcome::ClientLeft;
    }

    /// What encoding could not carry.
    pub(crate) fn lost(&mut self, losses: Vec<Loss>) {
        self.attempt.losses.extend(losses);
    }

    /// How many losses are known so far.
    pub(crate) fn losses(&self) -> usize {
        self.request_losses.len() + self.attempt.losses.len()
    }

    /// Takes note of an event of the answer. Called for every delta, so it does next to nothing.
    pub(crate) fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::ReasoningStart
            | Event::TextStart
            | Event::RefusalStart
            | Event::CallStart { .. }
            | Event::WebSearch(_) => {
                self.attempt.first_content.get_or_insert_with(Instant::now);
            }
            Event::Usage(usage) => self.attempt.usage = Some(*usage),
            Event::Loss(loss) => self.attempt.losses.push(loss.clone()),
            Event::Finish(reason) => self.attempt.outcome = Outcome::Finished(*reason),
            Event::ReasoningDelta(text)
            | Event::TextDelta(text)
            | Event::RefusalDelta(text)
            | Event::CallDelta(text) => self.attempt.answer_bytes += text.as_written().len(),
            // A fault is told by `fail`, after what must not be told was taken out of it.
            Event::Fault(_) => {}
            Event::Start { .. }
            | Event::Citation(_)
            | Event::Logprobs(_)
            | Event::Native(_)
            | Event::StoppedAt(_)
            | Event::ReasoningOpaque(_)
            | Event::ReasoningEnd
            | Event::TextEnd
            | Event::RefusalEnd
            | Event::CallEnd
            | Event::CallCut => {}
        }
    }

    /// The turn failed.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        self.attempt.outcome = Outcome::Failed(fault.clone());
    }

    /// Whether the model ended its answer of its own will.
    pub(crate) fn has_stopped(&self) -> bool {
        matches!(self.attempt.outcome, Outcome::Finished(StopReason::Stop))
    }

    /// Whether any part of the answer has begun.
    pub(crate) fn has_content(&self) -> bool {
        self.attempt.first_content.is_some()
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let attempt = &self.attempt;
        let first_ms = attempt
            .first_content
            .map(|at| (at - self.began).as_millis());
        let usage = attempt.usage.unwrap_or_default();
        let (outcome, fault) = match &attempt.outcome {
            Outcome::ClientLeft => ("client left", None),
            Outcome::Finished(reason) => (reason.name(), None),
            Outcome::Failed(fault) => (fault.class.name(), Some(fault)),
        };
        let losses: Vec<String> = self
            .request_losses
            .iter()
            .chain(&attempt.losses)
            .map(ToString::to_string)
            .collect();
        tracing::info!(
            turn = %self.turn_id,
            model = %self.model,
            target = %attempt.target,
            dialect = self.dialect.name(),
            outcome,
            attempts = self.attempts,
            first_ms,
            total_ms = self.began.elapsed().as_millis(),
            input = usage.input,
            cached = usage.cached,
            output = usage.output,
            reasoning = usage.reasoning,
            estimated = usage.estimated,
            tools = self.attempt.tools_offered,
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
