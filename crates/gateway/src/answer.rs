//! The stream half of a turn: pulls events out of a source, pushes frames to the client, keeps the clocks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body::{Body, Frame};
use polywire_conversation::{Event, EventSink, Fault, FaultClass, Loss, ReadStream, StreamEnd};
use polywire_credentials::Secret;
use polywire_demo_model::Step;
use polywire_engine::{EngineAnswer, EngineEvent, Step as EngineStep};
use polywire_upstream::{BodyError, HEADERS_TIMEOUT, Incoming, root_cause};
use tokio::time::{Duration, Instant, Sleep};

use crate::delivery::Delivery;
use crate::legs::NextLeg;
use crate::limits::{
    ENGINE_SILENCE_MAX, HEARTBEAT_INTERVAL, IDLE_TIMEOUT, USAGE_WAIT, WRITE_BYTES_MAX,
};
use crate::phases::Phase;
use crate::read::BodyReader;
use crate::search::Found;
use crate::settle::Settlement;

/// Where the events of an answer come from.
pub enum Source {
    /// A request that is being sent.
    Opening(Opening),
    /// A provider's HTTP answer.
    Upstream {
        /// The bytes. Dropping them closes the connection and so stops the provider.
        body: Incoming,
        /// What reads them.
        reader: BodyReader,
        /// The key and the like that were sent, which providers have been seen to repeat in their errors.
        secrets: Vec<Secret>,
    },
    /// The answer of a program on this machine.
    Engine {
        /// Its frames. Dropping them interrupts the turn.
        answer: EngineAnswer,
        /// What reads them.
        reader: Box<dyn ReadStream>,
    },
    /// The demo model's script.
    Script {
        /// Events and pauses.
        steps: VecDeque<Step>,
        /// The pause at the front has begun and the timer runs for it.
        pausing: bool,
    },
    /// Nothing more will come.
    Ended,
}

/// A request on its way to its answer.
pub type Opening = Pin<Box<dyn Future<Output = Result<Opened, Fault>> + Send>>;

/// The beginning of an answer, and what was done before it was asked for.
pub struct Opened {
    /// Where the events come from.
    pub source: Source,
    /// The searches that were carried out for the model.
    pub(crate) found: Vec<Found>,
    /// What the request could not carry.
    pub(crate) losses: Vec<Loss>,
}

impl From<Source> for Opened {
    fn from(source: Source) -> Self {
        Self {
            source,
            found: Vec::new(),
            losses: Vec::new(),
        }
    }
}

/// Sends what the provider is to be asked next.
pub(crate) type Continue = Box<dyn Fn(NextLeg) -> Opening + Send>;

/// How often a piece is held back for the next chunk. hyper asks a pending body a second time before it lets others run (seen
/// in 1.12), so it takes two.
const STEPS_ASIDE: u8 = 2;

/// Pieces that follow each other within this time come from a provider that is faster than a person reads. Above it stepping aside
/// would only let the streams whose events came at the same moment go first.
const FAST_INTERVAL: Duration = Duration::from_millis(12);

/// An answer on its way from its source to the client. It has no task of its own: whoever polls it, moves it.
///
/// Dropping it at any point stops the provider and settles the turn.
pub struct Pump {
    source: Source,
    delivery: Delivery,
    /// Absent when one request is all that the answer takes.
    go_on: Option<Continue>,
    /// When the provider was last heard. Taken when it pauses, not for each chunk: asking the clock costs as much as a small
    /// event.
    read_at: Instant,
    /// The provider was heard since the clock was asked.
    heard: bool,
    written_at: Instant,
    /// When the finish reason came, as long as the usage has not.
    ending_since: Option<Instant>,
    /// How often the task has let others run since the last chunk came.
    steps_aside: u8,
    timer: Pin<Box<Sleep>>,
}

impl Pump {
    /// An answer from `source` that takes the way of `delivery`, held back until [`release`](Pump::release). `go_on` sends the
    /// further requests that it may need.
    pub(crate) fn new(source: Source, delivery: Delivery, go_on: Option<Continue>) -> Self {
        let now = Instant::now();
        Self {
            source,
            delivery,
            go_on,
            read_at: now,
            heard: false,
            written_at: now,
            ending_since: None,
            steps_aside: 0,
            timer: Box::pin(tokio::time::sleep_until(now + IDLE_TIMEOUT)),
        }
    }

    /// Moves the answer until something of it can be shown or it is over.
    ///
    /// # Errors
    /// The fault that ended it before anything was sent.
    pub async fn until_content(&mut self) -> Result<(), Fault> {
        std::future::poll_fn(|cx| {
            while !self.delivery.settlement().has_content() && !self.is_over() {
                ready!(self.poll_source(cx));
            }
            Poll::Ready(())
        })
        .await;
        self.delivery.take_fault().map_or(Ok(()), Err)
    }

    /// Moves the answer to its end and gives it as one body.
    ///
    /// # Errors
    /// The fault that ended it.
    pub async fn until_whole(&mut self) -> Result<Vec<u8>, Fault> {
        std::future::poll_fn(|cx| {
            while !self.is_over() {
                ready!(self.poll_source(cx));
                // The writer remembers the whole answer; its frames are for streams.
                self.delivery.out().clear();
            }
            self.delivery.poll_kept(cx)
        })
        .await;
        match self.delivery.take_fault() {
            Some(fault) => Err(fault),
            None => Ok(self.delivery.whole()),
        }
    }

    /// From here on the answer goes to the client, faults included. The first piece waits for nothing, so that it leaves together
    /// with the head of the response.
    pub fn release(&mut self) {
        self.delivery.release();
        self.steps_aside = STEPS_ASIDE;
    }

    /// Gives the client a sign of life.
    pub fn beat(&mut self) {
        self.delivery.heartbeat();
        self.written_at = Instant::now();
    }

    /// Whether the model ended its answer of its own will without any part in it.
    pub fn has_stopped_empty(&self) -> bool {
        let settlement = self.delivery.settlement();
        self.is_over() && settlement.has_stopped() && !settlement.has_content()
    }

    /// What is known of the turn.
    pub(crate) fn settlement(&self) -> &Settlement {
        self.delivery.settlement()
    }

    /// Takes back what is known of the turn, to make another attempt.
    pub(crate) fn into_settlement(self) -> Settlement {
        self.delivery.into_settlement()
    }

    /// Gives the connection's rest, so that it can be read to its end and the connection used again.
    fn take_rest(&mut self) -> Option<Incoming> {
        match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Upstream { body, reader, .. } if reader.is_done() => Some(body),
            Source::Opening(_)
            | Source::Upstream { .. }
            | Source::Engine { .. }
            | Source::Script { .. }
            | Source::Ended => None,
        }
    }

    fn is_over(&self) -> bool {
        match &self.source {
            Source::Opening(_) => false,
            Source::Upstream { reader, .. } => reader.is_done(),
            Source::Engine { reader, .. } => reader.is_done(),
            Source::Script { steps, .. } => steps.is_empty(),
            Source::Ended => true,
        }
    }

    /// Reads what the source has and writes it to the buffer. Pending when neither the source nor a clock has anything.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.source {
            Source::Ended => Poll::Ready(()),
            Source::Opening(opening) => match opening.as_mut().poll(cx) {
                Poll::Ready(opened) => {
                    self.opened(opened);
                    Poll::Ready(())
                }
                Poll::Pending => self.poll_clocks(cx),
            },
            Source::Upstream { body, .. } => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => {
                    self.upstream_read(frame);
                    Poll::Ready(())
                }
                // What was heard goes to the client next, and the clocks are looked at after that.
                Poll::Pending if self.heard && !self.delivery.out_is_empty() => Poll::Pending,
                Poll::Pending => self.poll_clocks(cx),
            },
            Source::Engine { answer, .. } => match answer.poll_next(cx) {
                Poll::Ready(event) => {
                    self.engine_read(event);
                    Poll::Ready(())
                }
                Poll::Pending if self.heard && !self.delivery.out_is_empty() => Poll::Pending,
                Poll::Pending => self.poll_clocks(cx),
            },
            Source::Script { .. } => self.poll_script(cx),
        }
    }

    fn engine_read(&mut self, event: Option<EngineEvent>) {
        let Source::Engine { reader, .. } = &mut self.source else {
            return;
        };
        self.heard = true;
        match event {
            Some(EngineEvent::Frame(frame)) => {
                let frame = polywire_sse::Frame {
                    event: b"",
                    data: frame.as_bytes(),
                };
                reader.push(frame, &mut self.delivery);
            }
            Some(EngineEvent::Fault(fault)) => {
                reader.finish(StreamEnd::Broken(fault), &mut self.delivery);
            }
            Some(EngineEvent::Acted) => self.delivery.acted(),
            Some(EngineEvent::Step(step, took)) => {
                let phases = self.delivery.settlement().phases();
                phases.add(phase_of(step), took);
            }
            None => reader.finish(StreamEnd::Closed, &mut self.delivery),
        }
        self.turn_page();
    }

    fn opened(&mut self, opened: Result<Opened, Fault>) {
        self.heard = true;
        self.ending_since = None;
        self.source = match opened {
            Ok(Opened {
                source,
                found,
                losses,
            }) => {
                self.delivery.lost(losses);
                for found in &found {
                    self.delivery.found(found);
                }
                source
            }
            Err(fault) => {
                self.delivery.event(Event::Fault(fault));
                Source::Ended
            }
        };
        if let Source::Upstream { secrets, .. } = &mut self.source {
            self.delivery.guard(std::mem::take(secrets));
        }
    }

    /// After events were delivered: whether the answer goes on with another request, or has ended for the client.
    fn turn_page(&mut self) {
        if self.delivery.take_writer_failure() {
            self.source = Source::Ended;
        } else if self.delivery.has_ended() {
            // A finished source stays, so that its connection can be used again.
            if !self.is_over() {
                self.source = Source::Ended;
            }
        } else if let Some(leg) = self.delivery.take_next_leg()
            && let Some(go_on) = &self.go_on
        {
            self.source = Source::Opening(go_on(leg));
        }
    }

    fn upstream_read(&mut self, frame: Option<Result<Frame<Bytes>, BodyError>>) {
        let Source::Upstream { reader, .. } = &mut self.source else {
            return;
        };
        self.heard = true;
        match frame {
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data() {
                    reader.push(&chunk, &mut self.delivery);
                }
            }
            Some(Err(error)) => reader.finish(StreamEnd::Broken(cut(&error)), &mut self.delivery),
            None => reader.finish(StreamEnd::Closed, &mut self.delivery),
        }
        if reader.is_ending() && !reader.is_done() && self.ending_since.is_none() {
            self.ending_since = Some(Instant::now());
        }
        self.turn_page();
    }

    fn end(&mut self, end: StreamEnd) {
        match &mut self.source {
            Source::Upstream { reader, .. } => reader.finish(end, &mut self.delivery),
            Source::Engine { reader, .. } => reader.finish(end, &mut self.delivery),
            Source::Opening(_) | Source::Script { .. } | Source::Ended => return,
        }
        self.turn_page();
    }

    fn poll_script(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Source::Script { steps, pausing } = &mut self.source else {
            return Poll::Ready(());
        };
        if let Some(Step::Pause(pause)) = steps.front() {
            if !std::mem::replace(pausing, true) {
                self.timer.as_mut().reset(Instant::now() + *pause);
            }
            ready!(self.timer.as_mut().poll(cx));
            *pausing = false;
        }
        if let Some(step) = steps.pop_front()
            && let Some(event) = step.event()
        {
            self.delivery.event(event);
            self.turn_page();
        }
        Poll::Ready(())
    }

    /// When the next clock strikes: a heartbeat is due, the provider was silent for too long, or the usage does not come.
    /// `send` keeps the clock of a request that is being sent.
    fn next_due(&self) -> Instant {
        let silence_ends = match &self.source {
            Source::Upstream { .. } => self.read_at + IDLE_TIMEOUT,
            // An engine has limits of its own, and is silent for as long as its commands run.
            Source::Engine { .. } => self.read_at + ENGINE_SILENCE_MAX,
            Source::Opening(_) | Source::Script { .. } | Source::Ended => {
                self.read_at + HEADERS_TIMEOUT + IDLE_TIMEOUT
            }
        };
        let mut due = silence_ends;
        if !self.delivery.is_held_back() {
            due = due.min(self.written_at + HEARTBEAT_INTERVAL);
        }
        if let Some(since) = self.ending_since {
            due = due.min(since + USAGE_WAIT);
        }
        due
    }

    /// The timer is set to a moment at or before the next due one and moved only when it strikes, because every chunk moves
    /// the due moment and setting a timer costs more than translating a chunk.
    fn poll_clocks(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.heard) {
            self.read_at = Instant::now();
        }
        let due = self.next_due();
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        ready!(self.timer.as_mut().poll(cx));
        let now = Instant::now();
        if now < due {
            self.timer.as_mut().reset(due);
            return Poll::Ready(());
        }
        let usage_late = |since| now >= since + USAGE_WAIT;
        if self.ending_since.is_some_and(usage_late) {
            self.end(StreamEnd::Closed);
        } else if !self.delivery.is_held_back() && now >= self.written_at + HEARTBEAT_INTERVAL {
            self.beat();
        } else {
            let limit = due.saturating_duration_since(self.read_at);
            self.read_at = now;
            self.end(StreamEnd::Broken(silent(limit)));
        }
        Poll::Ready(())
    }

    /// Whether pieces follow each other so fast that it pays to wait for the next chunk.
    fn is_fast(&self) -> bool {
        self.steps_aside > 0 || self.written_at.elapsed() < FAST_INTERVAL
    }

    /// The next piece of the answer for the client: all that is there, up to the limit.
    ///
    /// The provider's connection hands over one chunk at a time and is asked for the next one only when this task steps aside.
    /// So it steps aside once more before it gives a piece away: of a provider that sends faster than pieces are written, many
    /// events go out in one piece, which costs a fraction of as many writes. An event that comes alone goes out at once.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while self.delivery.out_len() < WRITE_BYTES_MAX && !self.is_over() {
            match self.poll_source(cx) {
                Poll::Ready(()) => self.steps_aside = 0,
                Poll::Pending if self.delivery.out_is_empty() => return Poll::Pending,
                Poll::Pending if self.steps_aside < STEPS_ASIDE && self.is_fast() => {
                    self.steps_aside += 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        self.steps_aside = 0;
        if self.is_over() {
            ready!(self.delivery.poll_kept(cx));
        }
        if self.delivery.out_is_empty() {
            return Poll::Ready(None);
        }
        self.written_at = Instant::now();
        self.delivery.sends(self.written_at.into_std());
        if std::mem::take(&mut self.heard) {
            self.read_at = self.written_at;
        }
        Poll::Ready(Some(self.delivery.out().take().into()))
    }
}

/// The answer as the body of an HTTP response.
pub struct AnswerBody {
    pump: Pump,
    drain: Drain,
}

/// Takes the rest of a finished provider answer, to read it to its end.
pub type Drain = Box<dyn Fn(Incoming) + Send>;

impl AnswerBody {
    /// A body that moves `pump` as the client reads.
    pub fn new(pump: Pump, drain: Drain) -> Self {
        Self { pump, drain }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = ready!(self.pump.poll_piece(cx));
        if piece.is_none()
            && let Some(rest) = self.pump.take_rest()
        {
            (self.drain)(rest);
        }
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The phase of a turn that a step of an engine is.
const fn phase_of(step: EngineStep) -> Phase {
    match step {
        EngineStep::CwdResolve => Phase::CwdResolve,
        EngineStep::QueueWait => Phase::QueueWait,
        EngineStep::Spawn => Phase::Spawn,
        EngineStep::InputWrite => Phase::InputWrite,
        EngineStep::ThreadStart => Phase::ThreadStart,
        EngineStep::TurnStart => Phase::TurnStart,
        EngineStep::FirstOutput => Phase::FirstOutput,
        EngineStep::ProcessWait => Phase::ProcessWait,
    }
}

/// Seconds since 1970, for time stamps.
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn cut(error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::new(
        FaultClass::NetworkCut,
        "the provider's answer broke off before its end",
    )
    .with_detail(root_cause(error))
}

fn silent(limit: Duration) -> Fault {
    Fault::new(
        FaultClass::Timeout,
        format!("the provider sent nothing for {} s", limit.as_secs()),
    )
}
