//! What an engine gives back: frames of the Responses protocol, as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use polywire_conversation::{Fault, FaultClass};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::limits::WAITING_BYTES_MAX;

/// One piece of an engine's answer.
#[derive(Debug)]
pub enum EngineEvent {
    /// An event of the Responses protocol, as JSON without line breaks.
    Frame(String),
    /// The answer failed. Nothing comes after it.
    Fault(Fault),
    /// Codex has done something by itself that has effects, or may have: whatever comes of the turn, it must not be made again.
    Acted,
    /// A step of the turn is done, and took so long.
    Step(Step, Duration),
}

/// The steps of a turn that an engine measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Checking the working directory that the client asks for.
    CwdResolve,
    /// Waiting for a worker, from the moment it was asked for.
    QueueWait,
    /// Starting a process, or finding the one that runs.
    Spawn,
    /// Giving a process its input.
    InputWrite,
    /// Opening a thread.
    ThreadStart,
    /// Putting the conversation into the thread and asking for a turn, until Codex has agreed.
    TurnStart,
    /// From then, or from the end of the input, to the first thing that Codex says.
    FirstOutput,
    /// Waiting for the end of a process that has answered.
    ProcessWait,
}

/// An answer on its way. Dropping it interrupts the turn.
#[derive(Debug)]
pub struct EngineAnswer {
    events: mpsc::UnboundedReceiver<EngineEvent>,
    waiting_bytes: Arc<AtomicUsize>,
}

impl EngineAnswer {
    /// The next piece; `None` when the answer is over.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<EngineEvent>> {
        let next = self.events.poll_recv(cx);
        if let Poll::Ready(Some(EngineEvent::Frame(frame))) = &next {
            self.waiting_bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        }
        next
    }

    /// The next piece, waited for.
    pub async fn next(&mut self) -> Option<EngineEvent> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// The engine's end of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    events: mpsc::UnboundedSender<EngineEvent>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// The client has left; the turn has nobody to work for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientLeft;

pub(crate) fn channel() -> (Out, EngineAnswer) {
    let (sender, events) = mpsc::unbounded_channel();
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let out = Out {
        events: sender,
        waiting_bytes: Arc::clone(&waiting_bytes),
    };
    let answer = EngineAnswer {
        events,
        waiting_bytes,
    };
    (out, answer)
}

impl Out {
    /// Hands out one event of the protocol.
    pub(crate) fn frame(&self, frame: &impl Serialize) {
        match serde_json::to_string(frame) {
            Ok(frame) => {
                let waiting = self.waiting_bytes.fetch_add(frame.len(), Ordering::Relaxed);
                if waiting > WAITING_BYTES_MAX {
                    let message =
                        "the client reads too slowly: more of the answer waits than can be kept";
                    self.fault(Fault::new(FaultClass::Server, message));
                } else {
                    self.send(EngineEvent::Frame(frame));
                }
            }
            Err(error) => self.fault(Fault::new(
                FaultClass::Server,
                format!("an event of the engine cannot be written: {error}"),
            )),
        }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.send(EngineEvent::Fault(fault));
    }

    /// The turn must not be made again.
    pub(crate) fn acted(&self) {
        self.send(EngineEvent::Acted);
    }

    /// The turn ended and nobody knows how far it had come: an agent may have done anything.
    pub(crate) fn lost(&self, fault: Fault, agent: bool) {
        if agent {
            self.acted();
        }
        self.fault(fault);
    }

    /// A step that began at `since` is done.
    pub(crate) fn step(&self, step: Step, since: Instant) {
        self.step_took(step, since.elapsed());
    }

    pub(crate) fn step_took(&self, step: Step, took: Duration) {
        self.send(EngineEvent::Step(step, took));
    }

    /// Completes when the client has left.
    pub(crate) async fn left(&self) -> ClientLeft {
        self.events.closed().await;
        ClientLeft
    }

    fn send(&self, event: EngineEvent) {
        // Nobody there to take it: `left` tells.
        drop(self.events.send(event));
    }
}
