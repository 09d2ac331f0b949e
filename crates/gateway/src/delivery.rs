//! The client's end of an answer: what happens to each event between the provider's reader and the client's writer.
//!
//! sealing → legs → stop texts → settlement and writer, in this order. Each stage passes on what it does not keep.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use polywire_conversation::{Event, EventSink, Fault, Loss, StopReason, Usage, WriteStream};
use polywire_credentials::Secret;
use polywire_sse::FrameBuffer;

use crate::answer::unix_seconds;
use crate::fault::without_secrets;
use crate::legs::{Legs, NextLeg};
use crate::memory::Recorder;
use crate::phases::Phase;
use crate::sealing::Sealer;
use crate::search::Found;
use crate::settle::Settlement;
use crate::stop::StopTexts;

/// What an answer passes through on its way to the client.
pub(crate) struct Delivery {
    sealer: Sealer,
    legs: Legs,
    stop: StopTexts,
    outlet: Outlet,
}

/// The last stage: the settlement sees each event, then the writer writes it.
struct Outlet {
    writer: Box<dyn WriteStream>,
    out: FrameBuffer,
    settlement: Settlement,
    /// Nothing has gone to the client yet, so a fault is kept for `plan` rather than written.
    held_back: bool,
    fault: Option<Fault>,
    /// What was sent and must not be told.
    secrets: Vec<Secret>,
    /// Remembers what leads to calls.
    recorder: Option<Recorder>,
    keep: Option<Keep>,
    /// The answer on its way to where it is kept. Its end goes to the client behind it, so that the next request finds it.
    keeping: Option<Keeping>,
    /// The terminal event has passed; whatever the provider still sends does not count.
    ended: bool,
}

/// Takes the whole answer in the client's form when it has ended, or nothing when it has failed.
pub(crate) type Keep = Box<dyn FnOnce(Option<Vec<u8>>) -> Option<Keeping> + Send>;

/// Ends when an answer is kept, or when that takes too long.
pub(crate) type Keeping = Pin<Box<dyn Future<Output = ()> + Send>>;

impl EventSink for Delivery {
    fn event(&mut self, event: Event<'_>) {
        if self.outlet.ended {
            return;
        }
        if let Event::Fault(fault) = event {
            if let Some(usage) = self.legs.take_usage() {
                self.outlet.event(Event::Usage(usage));
            }
            self.outlet.fault(fault);
            return;
        }
        let Self {
            sealer,
            legs,
            stop,
            outlet,
        } = self;
        sealer.event(event, |event| {
            legs.event(event, &mut |event| {
                stop.event(event, &mut |event| outlet.event(event));
            });
        });
    }
}

impl Outlet {
    fn event(&mut self, event: Event<'_>) {
        if self.ended {
            return;
        }
        if let Event::Finish(_) = event {
            if let Some(usage) = self.settlement.estimated_usage() {
                self.event(Event::Usage(usage));
            }
            self.writer.tick(unix_seconds());
        }
        let mut event = event;
        if let Event::Usage(usage) = &mut event {
            *usage = self.settlement.completed(*usage);
        }
        self.settlement.observe(&event);
        if let Some(recorder) = &mut self.recorder {
            recorder.event(&event);
        }
        let is_end = matches!(event, Event::Finish(_));
        self.writer.push(event, &mut self.out);
        if is_end {
            self.ended = true;
            self.settlement.lost(self.writer.take_losses());
            // What is a failure in the end is nothing to go on from.
            let failed = self.writer.failure().is_some();
            let whole = (!failed && self.keep.is_some()).then(|| self.writer.whole());
            self.keep(whole);
        }
    }

    fn keep(&mut self, whole: Option<Vec<u8>>) {
        if let Some(keep) = self.keep.take() {
            self.keeping = keep(whole);
        }
    }

    fn fault(&mut self, fault: Fault) {
        let fault = without_secrets(fault, &self.secrets);
        self.settlement.fail(&fault);
        self.ended = true;
        if self.held_back {
            // Another attempt may take the place of this one.
            self.fault = Some(fault);
        } else {
            self.keep(None);
            self.writer.tick(unix_seconds());
            self.writer.push(Event::Fault(fault), &mut self.out);
        }
    }
}

impl Delivery {
    /// The way of one answer, held back until [`release`](Delivery::release).
    pub(crate) fn new(
        sealer: Sealer,
        legs: Legs,
        stop: StopTexts,
        writer: Box<dyn WriteStream>,
        settlement: Settlement,
        recorder: Option<Recorder>,
        keep: Option<Keep>,
    ) -> Self {
        Self {
            sealer,
            legs,
            stop,
            outlet: Outlet {
                writer,
                out: FrameBuffer::new(),
                settlement,
                held_back: true,
                fault: None,
                secrets: Vec::new(),
                recorder,
                keep,
                keeping: None,
                ended: false,
            },
        }
    }

    /// From here on the answer goes to the client, faults included.
    pub(crate) fn release(&mut self) {
        self.outlet.held_back = false;
    }

    /// Whether nothing may go to the client yet.
    pub(crate) fn is_held_back(&self) -> bool {
        self.outlet.held_back
    }

    /// The key and the like that were sent, which must not be told.
    pub(crate) fn guard(&mut self, secrets: Vec<Secret>) {
        self.outlet.secrets = secrets;
    }

    /// The fault that ended an answer of which nothing was sent.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.outlet.fault.take()
    }

    /// What the provider is to be asked next, when its answer has ended and the client's has not.
    pub(crate) fn take_next_leg(&mut self) -> Option<NextLeg> {
        self.legs.take_next()
    }

    /// A search was carried out between two legs.
    pub(crate) fn found(&mut self, found: &Found) {
        self.outlet.event(Event::WebSearch(found.event()));
        self.legs.answered(found);
    }

    /// A further request could not carry these.
    pub(crate) fn lost(&mut self, losses: Vec<Loss>) {
        for loss in losses {
            // Most of them are those of the request before.
            if !self.outlet.settlement.knows(&loss) {
                self.outlet.event(Event::Loss(loss));
            }
        }
    }

    /// Whether the answer is over for the client, whatever the provider still sends.
    pub(crate) fn has_ended(&self) -> bool {
        self.outlet.ended
    }

    /// Waits until the answer is where it is kept.
    pub(crate) fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(keeping) = &mut self.outlet.keeping {
            ready!(keeping.as_mut().poll(cx));
            self.outlet.keeping = None;
        }
        Poll::Ready(())
    }

    /// The failure with which the writer has ended the answer, as a fault of the turn.
    pub(crate) fn take_writer_failure(&mut self) -> bool {
        let Some(fault) = self.outlet.writer.failure().cloned() else {
            return false;
        };
        self.outlet.settlement.fail(&fault);
        self.outlet.ended = true;
        self.outlet.keep(None);
        self.outlet.fault = self.outlet.held_back.then_some(fault);
        true
    }

    /// Gives the client a sign of life.
    pub(crate) fn heartbeat(&mut self) {
        self.outlet.writer.heartbeat(&mut self.outlet.out);
    }

    /// The answer in one body.
    pub(crate) fn whole(&mut self) -> Vec<u8> {
        let _writing = self.outlet.settlement.phases().timer(Phase::Write);
        self.outlet.writer.whole()
    }

    /// What waits to be sent to the client.
    pub(crate) fn out(&mut self) -> &mut FrameBuffer {
        &mut self.outlet.out
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn out_is_empty(&self) -> bool {
        self.outlet.out.is_empty()
    }

    /// How many bytes wait to be sent.
    pub(crate) fn out_len(&self) -> usize {
        self.outlet.out.len()
    }

    /// What is known of the turn.
    pub(crate) fn settlement(&self) -> &Settlement {
        &self.outlet.settlement
    }

    /// The turn has had effects beyond its answer.
    pub(crate) fn acted(&mut self) {
        self.outlet.settlement.acted();
    }

    /// Something goes to the client at this moment.
    pub(crate) fn sends(&mut self, now: std::time::Instant) {
        self.outlet.settlement.sends(now);
    }

    /// Takes back what is known of the turn, to make another attempt.
    pub(crate) fn into_settlement(self) -> Settlement {
        self.outlet.settlement
    }
}

/// Usage of several legs as one turn's.
pub(crate) fn together(one: Usage, other: Usage) -> Usage {
    let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    };
    Usage {
        input: sum(one.input, other.input),
        cached: sum(one.cached, other.cached),
        cache_write: sum(one.cache_write, other.cache_write),
        output: sum(one.output, other.output),
        reasoning: sum(one.reasoning, other.reasoning),
        estimated: one.estimated || other.estimated,
    }
}

/// Whether a reason ends the client's answer for good.
pub(crate) const fn may_go_on(reason: StopReason) -> bool {
    match reason {
        StopReason::Stop | StopReason::Calls | StopReason::Pause => true,
        StopReason::Length | StopReason::ContentFilter => false,
    }
}
