//! One turn, from the client's request to the end of the answer. The page that everybody knows.
//!
//! accept → decode → plan → encode → send → read → write → settle. The first happens in `server`; read and write go on in
//! [`Pump`] while the client takes the answer; settle is the drop of [`Settlement`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use polywire_conversation::{Event, Fault, FaultClass};
use polywire_plan::{self as plan, AttemptState, Next, Progress, RetryLimits, Target};
use polywire_sse::FrameBuffer;

use crate::answer::{AnswerBody, Pump, Source, unix_seconds};
use crate::client::{Client, ClientDialect, Decoded};
use crate::fault::empty_answer;
use crate::limits::COMMIT_HOLD;
use crate::settle::Settlement;
use crate::state::{Gateway, Live};

/// What `accept` found out about a request.
pub struct Accepted {
    /// A fresh id for the turn; it becomes part of the response's id and of the `x-polywire-request-id` header.
    pub turn_id: String,
    /// The protocol of the path that was called.
    pub dialect: ClientDialect,
    /// Which client is calling.
    pub client: Client,
    /// The body, whole.
    pub body: Bytes,
}

/// What goes back to the client.
pub enum Answer {
    /// A stream of events that has begun.
    Stream {
        /// The events.
        body: Box<AnswerBody>,
        /// How many losses were known when it began.
        losses: usize,
    },
    /// A stream that holds nothing but the news of a failure.
    FailedStream(Vec<u8>),
    /// One JSON body.
    Whole {
        /// The body.
        body: Vec<u8>,
        /// How many losses there were.
        losses: usize,
    },
    /// A failure, to be told by status and error body.
    Failed(Fault),
}

/// Runs a turn up to the moment when its answer can begin.
///
/// Dropping the future ends the attempt that is at work and settles the turn.
pub async fn run(gateway: &Arc<Gateway>, accepted: Accepted) -> Answer {
    let live = gateway.live();
    let mut settlement = Settlement::begin(accepted.turn_id.clone());
    let (dialect, client) = (accepted.dialect, accepted.client);
    let decoded = match dialect.parse(&accepted.body, client) {
        Ok(decoded) => decoded,
        Err(fault) => {
            settlement.fail(&fault);
            return Answer::Failed(fault);
        }
    };
    settlement.model = decoded.request.model.clone().into_owned();
    settlement
        .losses
        .extend(decoded.request.losses.iter().cloned());
    let streamed = decoded.request.stream;
    let turn = Turn {
        gateway,
        live: &live,
        accepted: &accepted,
        decoded: &decoded,
    };
    match turn.serve(settlement).await {
        Ok(answer) => answer,
        Err(fault) if streamed && dialect.tells_in_stream(client, &fault) => {
            Answer::FailedStream(turn.failed_stream(fault))
        }
        Err(fault) => Answer::Failed(fault),
    }
}

struct Turn<'t> {
    gateway: &'t Arc<Gateway>,
    live: &'t Live,
    accepted: &'t Accepted,
    decoded: &'t Decoded<'t>,
}

/// An attempt that failed, with what is needed for the next one.
struct Failed {
    fault: Fault,
    settlement: Settlement,
}

impl Turn<'_> {
    /// Makes attempts, as `plan` sees fit, until one has an answer.
    async fn serve(&self, mut settlement: Settlement) -> Result<Answer, Fault> {
        let targets = match plan::targets(&self.decoded.request.model, self.live.catalog()) {
            Ok(targets) => targets,
            Err(fault) => {
                settlement.fail(&fault);
                return Err(fault);
            }
        };
        let known_losses = settlement.losses.len();
        let mut targets = targets.iter().peekable();
        let Some(mut target) = targets.next() else {
            return Err(Fault::new(
                FaultClass::NotFound,
                "no target serves this model",
            ));
        };
        let mut attempt = 0;
        let mut waited = Duration::ZERO;
        loop {
            attempt += 1;
            settlement.attempts = attempt;
            settlement.losses.truncate(known_losses);
            let failed = match self.attempt(target, settlement).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => *failed,
            };
            settlement = failed.settlement;
            let state = AttemptState {
                attempt,
                waited,
                targets_left: targets.peek().is_some(),
            };
            let next = plan::after_fault(
                &failed.fault,
                Progress::NothingSent,
                &state,
                &RetryLimits::default(),
                rand::random(),
            );
            tracing::debug!(turn = %settlement.turn_id, ?next, "attempt failed: {}", failed.fault);
            match next {
                Next::GiveUp => return Err(failed.fault),
                Next::RetryAfter(pause) => {
                    tokio::time::sleep(pause).await;
                    waited += pause;
                }
                Next::NextTarget => match targets.next() {
                    Some(next_target) => target = next_target,
                    None => return Err(failed.fault),
                },
            }
        }
    }

    /// One attempt on one target: encode, send, and read until there is something to show.
    async fn attempt(
        &self,
        target: &Target,
        settlement: Settlement,
    ) -> Result<Answer, Box<Failed>> {
        let mut settlement = settlement;
        settlement.target = format!("{}/{}", target.provider.id, target.upstream_model);
        let source = match self.encode(target, &mut settlement) {
            Ok(source) => source,
            Err(fault) => {
                settlement.fail(&fault);
                return Err(Box::new(Failed { fault, settlement }));
            }
        };
        let writer =
            self.decoded
                .writer(&self.accepted.turn_id, self.accepted.client, unix_seconds());
        let mut pump = Pump::new(source, writer, settlement);
        if !self.decoded.request.stream {
            return match pump.until_whole().await {
                Ok(body) => Ok(Answer::Whole {
                    body,
                    losses: pump.settlement().losses.len(),
                }),
                Err(fault) => Err(pump_failed(pump, fault)),
            };
        }
        // After the hold the answer is begun without content: the client must hear heartbeats from here on.
        match tokio::time::timeout(COMMIT_HOLD, pump.until_content()).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => return Err(pump_failed(pump, fault)),
            Err(_) => pump.beat(),
        }
        if pump.is_empty() && pump.settlement().attempts == 1 {
            return Err(pump_failed(pump, empty_answer()));
        }
        pump.release();
        let losses = pump.settlement().losses.len();
        let body = Box::new(AnswerBody::new(pump, self.gateway.drain()));
        Ok(Answer::Stream { body, losses })
    }

    /// Puts the request into the target's form; the source sends it when it is first polled.
    fn encode(&self, target: &Target, settlement: &mut Settlement) -> Result<Source, Fault> {
        let endpoint = self.live.endpoint(target)?;
        let encoded = endpoint.encode(&self.decoded.request, target)?;
        settlement.losses.extend(encoded.losses);
        let upstream = self.gateway.upstream();
        let seed = self.accepted.turn_id.clone();
        Ok(Source::Opening(Box::pin(async move {
            endpoint.send(encoded.outgoing, &upstream, &seed).await
        })))
    }

    fn failed_stream(&self, fault: Fault) -> Vec<u8> {
        let mut writer =
            self.decoded
                .writer(&self.accepted.turn_id, self.accepted.client, unix_seconds());
        let mut out = FrameBuffer::new();
        writer.push(Event::Fault(fault), &mut out);
        out.take()
    }
}

fn pump_failed(pump: Pump, fault: Fault) -> Box<Failed> {
    let settlement = pump.into_settlement();
    Box::new(Failed { fault, settlement })
}
