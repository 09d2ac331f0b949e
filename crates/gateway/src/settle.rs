//! The end of a turn: what it was, what it cost, what was lost. Told exactly once, however the turn ends.
//!
//! What is told, and to whom: `settle/log.rs`, `settle/count.rs`, `settle/receipt.rs`.

mod count;
mod log;
mod receipt;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use polywire_catalog::Price;
use polywire_conversation::{
    Event, Fault, FaultClass, Ledger, Loss, Origin, Request, StopReason, Usage, estimate,
};
use polywire_plan::Target;
use polywire_store::ReceiptSink;

use crate::client::{Client, ClientDialect};
use crate::metrics::Metrics;
use crate::phases::{Phase, Phases};
use crate::state::Gateway;
use crate::turn::Accepted;

pub use log::JSON_FIELDS;

/// What is known of a turn while it runs; written to the log and as a receipt, and counted, when it is dropped.
///
/// Dropping is how every turn ends: a finished body is dropped by the server, and so is the one of a client that hung up. Log
/// line and receipt are therefore written exactly once.
pub(crate) struct Settlement {
    turn_id: String,
    dialect: ClientDialect,
    client: Client,
    receipts: Option<Arc<dyn ReceiptSink>>,
    metrics: Arc<Metrics>,
    /// The gateway cuts its turns off.
    is_cut: Arc<AtomicBool>,
    is_strict: bool,
    /// The client wants a stream.
    streams: bool,
    /// The model name as the client wrote it.
    model: String,
    began: Instant,
    began_unix_ms: u64,
    /// What the request had that could not be carried, whoever serves it.
    request_losses: Vec<Loss>,
    /// The size of the request's body.
    request_bytes: usize,
    /// About how many tokens the request has.
    request_tokens: u64,
    /// How long each step took.
    phases: Phases,
    /// When the first bytes of a stream went to the client, heartbeats included.
    first_event: Option<Instant>,
    /// The turn has had effects beyond its answer, or may have had: it must not be made again.
    has_acted: bool,
    /// The attempts before the one at work.
    failed_attempts: Vec<Attempt>,
    /// In a box, because a settlement is moved from hand to hand and the future of a turn holds it several times.
    attempt: Box<Attempt>,
}

/// What is known of the attempt at work, or of the last one.
#[derive(Default)]
struct Attempt {
    /// Who serves it; nobody before the first attempt.
    served_by: Option<ServedBy>,
    price: Option<Price>,
    losses: Vec<Loss>,
    usage: Option<Usage>,
    outcome: Outcome,
    /// When the target was asked.
    asked: Option<Instant>,
    first_content: Option<Instant>,
    /// When the answer had come to its end.
    finished: Option<Instant>,
    /// How many tools were offered, and how many of them under another name or in another form.
    tools_offered: usize,
    tools_lowered: usize,
    /// How much was said, thought and called, in bytes.
    answer_bytes: usize,
    /// The client's bytes went out as they were.
    keeps_bytes: bool,
}

/// Who serves an attempt.
struct ServedBy {
    provider: String,
    /// The kind of the provider.
    engine: &'static str,
    upstream_model: String,
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
    /// A turn that begins now, with the id that its header, its log line and its receipt carry.
    pub(crate) fn begin(accepted: &Accepted, gateway: &Gateway, is_strict: bool) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let began_unix_ms = since.map_or(0, |since| since.as_millis());
        Self {
            turn_id: accepted.turn_id.clone(),
            dialect: accepted.dialect,
            client: accepted.client,
            receipts: gateway.receipts(),
            metrics: Arc::clone(&gateway.metrics),
            is_cut: Arc::clone(&gateway.is_cut),
            is_strict,
            streams: false,
            model: String::new(),
            began: Instant::now(),
            began_unix_ms: u64::try_from(began_unix_ms).unwrap_or(u64::MAX),
            request_losses: Vec::new(),
            request_bytes: accepted.body.len(),
            request_tokens: 0,
            phases: Phases::default(),
            first_event: None,
            has_acted: false,
            failed_attempts: Vec::new(),
            attempt: Box::default(),
        }
    }

    /// The request was read from a body of so many bytes.
    pub(crate) fn decoded(&mut self, request: &Request<'_>, body_bytes: usize) {
        (*request.model).clone_into(&mut self.model);
        self.streams = request.stream;
        self.request_losses.extend_from_slice(&request.losses);
        self.request_bytes = body_bytes;
        self.request_tokens = estimate::request_tokens(request);
    }

    /// The client's bytes go out as they are in this attempt, so that nothing of the request is lost.
    pub(crate) fn keeps_bytes(&mut self) {
        self.attempt.keeps_bytes = true;
    }

    /// What of the request could not be carried, whoever serves it in another protocol.
    pub(crate) fn request_losses(&self) -> &[Loss] {
        if self.attempt.keeps_bytes {
            &[]
        } else {
            &self.request_losses
        }
    }

    /// Whether a loss is known already.
    pub(crate) fn knows(&self, loss: &Loss) -> bool {
        self.all_losses().any(|known| known == loss)
    }

    /// A new attempt begins; what the one before saw does not count any more.
    pub(crate) fn begin_attempt(&mut self, target: &Target) {
        let before = std::mem::replace(
            &mut *self.attempt,
            Attempt {
                served_by: Some(ServedBy {
                    provider: target.provider.id.clone(),
                    engine: target.provider.kind.name(),
                    upstream_model: target.upstream_model.clone(),
                }),
                price: target.model.as_ref().and_then(|model| model.price),
                ..Attempt::default()
            },
        );
        if before.served_by.is_some() {
            self.failed_attempts.push(before);
        }
    }

    /// The record of how long each step takes, for whoever does one.
    pub(crate) fn phases(&self) -> &Phases {
        &self.phases
    }

    /// The target is asked now.
    pub(crate) fn asked(&mut self) {
        self.attempt.asked = Some(Instant::now());
    }

    /// Something of a stream goes to the client at this moment.
    pub(crate) fn sends(&mut self, now: Instant) {
        self.first_event.get_or_insert(now);
    }

    /// The turn has had effects beyond its answer, or may have had.
    pub(crate) fn acted(&mut self) {
        self.has_acted = true;
    }

    /// Whether the turn must not be made again, whatever comes of it.
    pub(crate) fn has_acted(&self) -> bool {
        self.has_acted
    }

    /// Nobody works on the turn for now: a client that leaves in a pause has left, whatever failed before.
    pub(crate) fn pause(&mut self) {
        self.attempt.outcome = Outcome::ClientLeft;
    }

    /// What encoding could not carry.
    pub(crate) fn lost(&mut self, losses: Vec<Loss>) {
        self.attempt.losses.extend(losses);
    }

    /// How many tools the provider is offered, and how many of them in another form than the client's.
    pub(crate) fn offered(&mut self, tools: usize, lowered: usize) {
        self.attempt.tools_offered = tools;
        self.attempt.tools_lowered = lowered;
    }

    /// How many losses are known so far.
    pub(crate) fn losses(&self) -> usize {
        self.all_losses().count()
    }

    /// What the turn has probably consumed, when the provider has not said.
    pub(crate) fn estimated_usage(&self) -> Option<Usage> {
        let nothing = self.attempt.usage.is_none();
        nothing.then(|| self.completed(Usage::default()))
    }

    /// The usage with both of its sums: clients have no use for half of it, and are told nothing then.
    pub(crate) fn completed(&self, usage: Usage) -> Usage {
        if usage.input.is_some() && usage.output.is_some() {
            return usage;
        }
        let said = || estimate::text_tokens(self.attempt.answer_bytes);
        Usage {
            input: usage.input.or(Some(self.request_tokens)),
            output: usage.output.or_else(|| Some(said())),
            estimated: true,
            ..usage
        }
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
            Event::ReasoningDelta(text)
            | Event::TextDelta(text)
            | Event::RefusalDelta(text)
            | Event::CallDelta(text) => self.attempt.answer_bytes += text.as_written().len(),
            Event::Usage(usage) => self.attempt.usage = Some(*usage),
            Event::Loss(loss) => self.attempt.losses.push(loss.clone()),
            Event::Finish(reason) => {
                self.attempt.outcome = Outcome::Finished(*reason);
                self.attempt.finished = Some(Instant::now());
            }
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

    fn all_losses(&self) -> impl Iterator<Item = &Loss> {
        self.request_losses().iter().chain(&self.attempt.losses)
    }
}

impl Settlement {
    /// What the gateway measures for every kind of provider.
    fn measure(&self, ended: Instant) {
        let attempt = &self.attempt;
        if let (Some(asked), Some(first)) = (attempt.asked, attempt.first_content) {
            self.phases.add(Phase::FirstDelta, first - asked);
        }
        if let (Some(asked), Some(finished)) = (attempt.asked, attempt.finished) {
            self.phases.add(Phase::TurnComplete, finished - asked);
        }
        self.phases.add(Phase::Total, ended - self.began);
    }

    /// A turn that ends while the gateway cuts off its turns has not been left by its client.
    fn note_cut(&mut self) {
        let is_open = matches!(self.attempt.outcome, Outcome::ClientLeft);
        if is_open && self.is_cut.load(Ordering::Relaxed) {
            self.attempt.outcome = Outcome::Failed(Fault {
                origin: Origin::Ours,
                ..Fault::new(
                    FaultClass::Overloaded,
                    "the gateway stopped before the answer was whole",
                )
            });
        }
    }

    fn milliseconds_until(&self, moment: Instant) -> u64 {
        u64::try_from((moment - self.began).as_millis()).unwrap_or(u64::MAX)
    }

    fn cost_usd(&self) -> Option<f64> {
        let usage = self.attempt.usage.as_ref()?;
        Some(self.attempt.price?.cost_usd(usage))
    }

    /// The status that tells how the turn ended, whether or not it was sent: what fails inside a stream would have had it.
    fn http_status(&self) -> Option<u16> {
        match &self.attempt.outcome {
            Outcome::ClientLeft => None,
            Outcome::Finished(_) => Some(200),
            Outcome::Failed(fault) => Some(self.dialect.http_status(fault)),
        }
    }
}

impl Attempt {
    /// Who serves it, as `provider/model`; empty before the first attempt.
    fn target(&self) -> String {
        let served_by = self.served_by.as_ref();
        served_by.map_or_else(String::new, |by| {
            format!("{}/{}", by.provider, by.upstream_model)
        })
    }

    /// The provider; empty before the first attempt.
    fn provider(&self) -> &str {
        self.served_by.as_ref().map_or("", |by| &by.provider)
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let ended = Instant::now();
        self.note_cut();
        self.measure(ended);
        self.log();
        self.metrics.ended(self.counted());
        if let Some(receipts) = self.receipts.take() {
            receipts.put_receipt(self.receipt(ended));
        }
    }
}

/// How many of the offered tools go to the provider under another name or in another form.
pub(crate) fn lowered(ledger: &Ledger) -> usize {
    let entries = ledger.entries().iter();
    entries
        .filter(|entry| {
            entry.wire_name != entry.name || entry.form != polywire_conversation::Form::Function
        })
        .count()
}
